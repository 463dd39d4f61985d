package fleet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
)

// Update has the TPM of a name be what c says: one that is not there is added, and one that
// is something else is ended and made anew, on the state that it has. With clients that is
// ErrInUse. It leaves the TPM's file to who has written it. The error is an *Error.
func (f *Fleet) Update(ctx context.Context, name string, c Config) error {
	c.Profile = cmp.Or(c.Profile, f.options.Profile)
	if err := c.check(); err != nil {
		return &Error{name, err}
	}
	if t := f.served(name); t != nil {
		same, err := equal(&t.config, &c)
		switch {
		case err != nil:
			return &Error{name, err}
		case same:
			return nil
		case t.inUse():
			return &Error{name, ErrInUse}
		}
		if err := f.end(ctx, t); err != nil {
			return &Error{name, err}
		}
	}
	if err := f.addAs(ctx, name, c, unwritten); err != nil {
		return &Error{name, err}
	}
	return nil
}

// Gone ends a TPM whose file somebody has removed. With clients that is ErrInUse, however
// often it is asked. The error is an *Error.
func (f *Fleet) Gone(ctx context.Context, name string) error {
	t := f.served(name)
	switch {
	case t != nil && t.engine.settling.unwritten():
		return nil // its file comes
	case t != nil && t.inUse():
		return &Error{name, ErrInUse}
	}
	if _, err := os.Stat(f.file(name)); !errors.Is(err, fs.ErrNotExist) {
		return nil // it is there again
	}
	if err := f.Remove(ctx, name, false); !errors.Is(err, ErrNone) {
		return err
	}
	return nil
}

// served returns the TPM of a name, nil if there is none.
func (f *Fleet) served(name string) *tpm {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tpms[name]
}

// end ends a TPM, and leaves its file.
func (f *Fleet) end(ctx context.Context, t *tpm) error {
	f.changing.Lock()
	defer f.changing.Unlock()
	f.mu.Lock()
	if f.tpms[t.name] != t {
		f.mu.Unlock()
		return nil // somebody else has ended it
	}
	delete(f.tpms, t.name)
	f.mu.Unlock()
	t.engine.settling.leave()
	return t.close(ctx)
}

// equal reports whether two configs have the same text.
func equal(a, b *Config) (bool, error) {
	one, err := a.MarshalText()
	if err != nil {
		return false, err
	}
	other, err := b.MarshalText()
	return err == nil && bytes.Equal(one, other), err
}

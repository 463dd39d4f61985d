package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// StoreVolatile keeps the volatile state of a TPM beside its permanent state, for a
// TPM that goes on from both: whole, and in the place of any that is there. The
// directory must be locked, or opened with NoLock.
func (d *Directory) StoreVolatile(blob []byte) error {
	return d.useVolatile(func() error {
		if err := d.writable(); err != nil {
			return err
		}
		if d.options.Key != nil {
			sealed, err := d.options.Key.Seal(nil, SealedVolatile, blob)
			if err != nil {
				return err
			}
			blob = sealed
		}
		if err := d.removeVolatile(d.options.volatileTemp()); err != nil {
			return err
		}
		f, err := d.disk.create(d.options.volatileTemp(), d.options.Mode)
		if err != nil {
			return err
		}
		if err = f.reserve(int64(len(blob))); err == nil {
			err = f.replace(blob)
		}
		if err == nil && !d.options.NoSync {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err == nil {
			err = d.disk.rename(d.options.volatileTemp(), d.options.volatile())
		}
		if err != nil {
			return errors.Join(err, d.removeVolatile(d.options.volatileTemp()))
		}
		return d.syncNames()
	})
}

// LoadVolatile returns what StoreVolatile has kept, nil if there is nothing. What is no
// state of a TPM it returns as it is; what is sealed, or not, as it should be is an
// error of Key.Open.
func (d *Directory) LoadVolatile() (blob []byte, err error) {
	err = d.useVolatile(func() error {
		f, err := d.disk.open(d.options.volatile())
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		blob, err = io.ReadAll(io.NewSectionReader(f, 0, int64(MaxSize+sealOverhead+1)))
		if err = errors.Join(err, f.Close()); err == nil {
			blob, err = d.options.Key.Open(SealedVolatile, blob)
		}
		return err
	})
	return blob, err
}

// RemoveVolatile removes what StoreVolatile has kept, if there is anything.
func (d *Directory) RemoveVolatile() error {
	return d.useVolatile(func() error {
		if err := d.writable(); err != nil {
			return err
		}
		if err := d.removeVolatile(d.options.volatile()); err != nil {
			return err
		}
		return d.syncNames()
	})
}

func (d *Directory) useVolatile(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.check()
	if err == nil {
		err = f()
	}
	if err != nil {
		return fmt.Errorf("TPM state directory %s: volatile state: %w", d.path, err)
	}
	return nil
}

func (d *Directory) removeVolatile(name string) error {
	if err := d.disk.remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncNames forces the names of the files to the disk.
func (d *Directory) syncNames() error {
	if d.options.NoSync {
		return nil
	}
	return d.disk.sync()
}

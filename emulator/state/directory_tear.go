package state

import (
	"errors"
	"fmt"
)

// Tear writes n octets of what the state file would get, and leaves the rest to Load, to
// Commit and to the next OpenDirectory, as after a loss of power: see [Tear]. The error is
// ErrTorn at least.
func (d *Directory) Tear(blob []byte, n int) error {
	if n >= len(blob) {
		return errors.Join(ErrTorn, d.Commit(blob))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.check()
	if err == nil && d.options.Key != nil {
		blob, err = d.options.Key.Seal(nil, SealedState, blob)
	}
	if err == nil {
		err = d.writable()
	}
	if err == nil {
		err = d.write(blob[:n])
	}
	if err != nil {
		return fmt.Errorf("TPM state directory %s: %w: %w", d.path, ErrTorn, err)
	}
	return ErrTorn
}

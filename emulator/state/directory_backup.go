package state

import (
	"errors"
	"io"
	"io/fs"
)

// The names of the backup, and of a damaged state file in whose place one was taken, are
// that of the state file and these.
const (
	backupSuffix  = ".bak"
	damagedSuffix = ".damaged"
)

func (o *DirectoryOptions) backup() string  { return o.file() + backupSuffix }
func (o *DirectoryOptions) damaged() string { return o.file() + damagedSuffix }

// Restored reports whether Load has returned the backup: the state file is missing or
// damaged.
func (d *Directory) Restored() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.restored
}

// loadBackup loads the backup in the place of a state file that is missing, or damaged
// for the reason cause. Without one that can be used the result is that of the state
// file.
func (d *Directory) loadBackup(there bool, cause error) ([]byte, error) {
	f, err := d.disk.open(d.options.backup())
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			cause = errors.Join(cause, err)
		}
		return nil, cause
	}
	blob, err := io.ReadAll(io.NewSectionReader(f, 0, int64(MaxSize+sealOverhead+1)))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(cause, err)
	}
	plain, err := d.opened(d.options.backup(), blob)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	d.restored, d.damaged = true, there
	d.size = max(d.size, len(blob))
	return plain, nil
}

// keepBackup makes the state file the backup. One that is damaged is kept as such, and
// the backup stays.
func (d *Directory) keepBackup() error {
	to := d.options.backup()
	if d.damaged {
		to = d.options.damaged()
	}
	if err := d.disk.rename(d.options.file(), to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.damaged = false
	return nil
}

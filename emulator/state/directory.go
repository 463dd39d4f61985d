package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of the files in a Directory.
const (
	directoryFile = "tpm2.state"
	directoryTemp = "tpm2.state.new"
)

// Directory is a Store in a directory of the file system. At every moment the
// state file is whole, the old one or the new one: a commit is written to
// another file, forced to the disk, read back and compared, and renamed over
// the old one.
//
// One TPM only may use a directory at a time; Directory does not lock it.
type Directory struct{ dir string }

// NewDirectory makes the directory with mode 0700, unless it is there, and
// drops what an interrupted commit has left. The seeds of the TPM will be in
// it: it should be readable for nobody else.
func NewDirectory(dir string) (*Directory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("TPM state directory: %w", err)
	}
	d := &Directory{dir: dir}
	if err := os.Remove(d.path(directoryTemp)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("TPM state directory: remove interrupted commit: %w", err)
	}
	return d, nil
}

func (d *Directory) path(name string) string { return filepath.Join(d.dir, name) }

// Load is Store.Load. A file that is longer than a state can be is refused.
func (d *Directory) Load() ([]byte, error) {
	f, err := os.Open(d.path(directoryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	blob, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(blob) == 0 {
		return nil, &FormatError{0, d.path(directoryFile) + " is empty"}
	}
	if len(blob) > MaxSize {
		return nil, &FormatError{MaxSize, d.path(directoryFile) + " is longer than a state can be"}
	}
	return blob, nil
}

// Writable is Store.Writable: always nil.
func (d *Directory) Writable() error { return nil }

// Commit is Store.Commit.
func (d *Directory) Commit(blob []byte) error {
	temp := d.path(directoryTemp)
	if err := writeSynced(temp, blob); err != nil {
		return err
	}
	back, err := os.ReadFile(temp)
	if err != nil {
		return err
	}
	if !bytes.Equal(back, blob) {
		return fmt.Errorf("%s does not read back as it was written: check the disk", temp)
	}
	if err := os.Rename(temp, d.path(directoryFile)); err != nil {
		return err
	}
	return syncDirectory(d.dir)
}

// writeSynced writes a file and forces it to the disk.
func writeSynced(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

//go:build unix

package state

import (
	"errors"
	"os"
)

// syncDirectory forces a rename in the directory to the disk.
func syncDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

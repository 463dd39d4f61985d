package statedir

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

// ProfileFile returns the file beside the state of this name ("" for File) that has the
// profile with which the TPM was made: swtpm is told it at the first start alone.
func ProfileFile(dir, name string) string {
	return filepath.Join(dir, cmp.Or(name, strings.TrimSuffix(File, ".state"))+".profile")
}

// TakeProfile takes the profile that is kept in a file; kept reports whether one is.
func TakeProfile(file string, p *cli.Profile) (kept bool, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, p.Take(file, text)
}

// KeepProfile keeps the profile of a command line, or that there is none. It is done
// before a TPM is made: killed in between, the next start finds no state, and does it
// again. sync forces it to the disk.
func KeepProfile(file string, p *cli.Profile, sync bool) error {
	if !p.Given() {
		// On a file system that is read-only the answer to Remove would be that.
		if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return os.Remove(file)
	}
	if before, err := os.ReadFile(file); err == nil && bytes.Equal(before, p.Text()) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(p.Text())
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

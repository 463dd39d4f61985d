// Package statedir opens the directory in which a TPM's state is kept, and tells it
// from one in which swtpm keeps a TPM.
package statedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/keys"
	"github.com/swtpmd/swtpmd/emulator/state"
)

const (
	// File is the file of state.Directory (emulator/state/FORMAT.md).
	File = "tpm2.state"
	// Swtpm is the file in which swtpm keeps a TPM 2.0.
	Swtpm = "tpm2-00.permall"
)

// SwtpmError is a directory with the state of a swtpm and none of swtpmd.
type SwtpmError struct{ Dir string }

func (e *SwtpmError) Error() string {
	return fmt.Sprintf("%s holds the TPM of a swtpm (%s): take it over with swtpmd import --from=%[1]s --state=%[1]s, or name another directory for a new TPM", e.Dir, Swtpm)
}

// HasSwtpm reports whether a directory holds the state of a swtpm.
func HasSwtpm(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, Swtpm))
	return err == nil && info.Mode().IsRegular()
}

// Open opens a directory, locks it, and reads what it holds, nil for no TPM. It fails
// with a *SwtpmError where only swtpm's state is.
func Open(dir string, options state.DirectoryOptions) (*state.Directory, []byte, error) {
	d, blob, err := OpenAny(dir, options)
	if err == nil && len(blob) == 0 && HasSwtpm(dir) {
		return nil, nil, errors.Join(&SwtpmError{dir}, d.Close())
	}
	return d, blob, err
}

// OpenAny is Open without a look at what swtpm has left.
func OpenAny(dir string, options state.DirectoryOptions) (*state.Directory, []byte, error) {
	d, err := state.OpenDirectory(dir, options)
	if err != nil {
		return nil, nil, err
	}
	blob, err := d.Load()
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	return d, blob, nil
}

// ReadKey reads the key with which a state is encrypted at rest, nil where the words
// name none.
func ReadKey(w keys.Words) (*state.Key, error) {
	if !w.Given() {
		return nil, nil
	}
	secret, err := w.Read()
	if err != nil {
		return nil, err
	}
	return state.NewKey(secret)
}

package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/statedir"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/state"
)

// tryOn gives the TPM power once, without a command, and takes it away: the state
// of another kind of TPM is refused before anything is served.
func tryOn(tpm *emulator.TPM) error {
	if err := tpm.Init(); err != nil {
		return err
	}
	return tpm.PowerOff()
}

// StateFile is the file in which a TPM's state is.
const StateFile = statedir.File

// VolatileFile is the file for what STORE_VOLATILE stores.
const VolatileFile = "tpm2.state.volatile"

// openState opens the directory with the TPM's state, if it is to be kept in one,
// and reads it: who asked for a TPM that cannot be had learns it now and not from a
// guest. Where only swtpm's state is, that is refused: its owner would find another
// TPM. Without one directory is nil. isNew reports that it holds no TPM.
// What is incoming may still be another daemon's.
func openState(w *options.StateWords, incoming bool, key *state.Key, log *slog.Logger) (directory *state.Directory, isNew bool, err error) {
	if w.Dir == "" {
		log.Info("the TPM is a new one in memory and ends with the daemon; --state=DIR keeps one")
		return nil, true, nil
	}
	directory, err = state.OpenDirectory(w.Dir, state.DirectoryOptions{Mode: w.Mode, NoSync: w.NoSync, NoLock: w.NoLock, Name: w.Name, Key: key, Backup: w.Backup, LockLater: incoming})
	if err != nil {
		return nil, false, err
	}
	if w.Anew {
		if err := os.Remove(filepath.Join(w.Dir, w.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, errors.Join(err, directory.Close())
		}
	}
	blob, err := directory.Load()
	if err != nil {
		return nil, false, errors.Join(err, directory.Close())
	}
	if directory.Restored() {
		log.Warn("the state file is missing or damaged: the TPM goes on from the backup, the state before the last commit", "dir", w.Dir)
	}
	if statedir.HasSwtpm(w.Dir) {
		if len(blob) == 0 && w.Name == "" {
			return nil, false, errors.Join(&statedir.SwtpmError{Dir: w.Dir}, directory.Close())
		}
		log.Info("the state of a swtpm is in the directory too: it is not read", "file", statedir.Swtpm)
	}
	return directory, len(blob) == 0, nil
}

// PrintStates prints what is stored, for swtpm_setup, which asks before it makes a TPM
// there (swtpm(8), "--print-states"), in swtpm's layout and without a newline. The
// state file is what swtpm calls permall. It is looked at from outside, without the
// lock: the directory may be a running TPM's.
func PrintStates(out io.Writer, w *options.StateWords) error {
	if w.Dir == "" {
		return cli.Usage(errors.New("--print-states without a directory to look into"), "add --tpmstate=dir=DIR")
	}
	var states []string
	for _, part := range []struct{ name, file string }{{"permall", cmp.Or(w.Name, StateFile)}, {"volatilestate", cmp.Or(w.Name, StateFile) + strings.TrimPrefix(VolatileFile, StateFile)}} {
		// swtpmd makes a directory that is not there, so that one holds no state.
		info, err := os.Stat(filepath.Join(w.Dir, part.file))
		switch {
		case err == nil:
			states = append(states, fmt.Sprintf(`{"name": %q, "size": %d}`, part.name, info.Size()))
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("--print-states: %w", err)
		}
	}
	list := strings.Join(states, ", ")
	if list != "" {
		list = " " + list + " "
	}
	_, err := fmt.Fprintf(out, `{ "type": "swtpm", "states": [%s] }`, list)
	return err
}

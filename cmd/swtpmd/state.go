package main

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
	"github.com/swtpmd/swtpmd/cmd/swtpmd/statedir"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/state"
)

// stateWords say where the TPM's state is kept.
type stateWords struct {
	dir    string // "" for memory
	mode   fs.FileMode
	noSync bool
	noLock bool
	// name is the state file's, "" for that of state.Directory.
	name string
	anew bool // the TPM is a new one, whatever the file holds
	// backup keeps the state before the last commit too.
	backup bool
}

// defaultStateMode are the permissions of the state file. swtpm's own default
// lets the group read the seeds.
const defaultStateMode = 0o600

// statePath is the environment variable that names the directory where
// --tpmstate does not (swtpm(8), "Options for all interfaces").
const statePath = "TPM_PATH"

// fromEnvironment takes the directory that swtpm would take where the command
// line names none.
func (w *stateWords) fromEnvironment() {
	if w.dir == "" {
		if dir := os.Getenv(statePath); dir != "" {
			*w = stateWords{dir: dir, mode: defaultStateMode}
		}
	}
}

// setDir is --tpmstate with nothing but a directory, which may have any
// name.
func (w *stateWords) setDir(dir string) error {
	if dir == "" {
		return &wordError{"state", dir, "it needs a directory"}
	}
	return w.keep("state", stateWords{dir: dir, mode: defaultStateMode})
}

// keep takes the one answer to where state is kept.
func (w *stateWords) keep(option string, kept stateWords) error {
	if w.dir != "" {
		return &wordError{option, kept.dir, "state is kept in " + w.dir + " already; say one of --state and --tpmstate, once"}
	}
	*w = kept
	return nil
}

// set takes swtpm's words for where state lives.
func (w *stateWords) set(text string) error {
	const option = "tpmstate"
	values, err := parseWords(option, text, "dir", "backend-uri", "mode", "lock", "backup", "fsync")
	if err != nil {
		return err
	}
	kept, err := statePlace(values)
	if err != nil {
		return err
	}
	mode, err := values.mode(option, "mode", defaultStateMode)
	if err != nil {
		return err
	}
	if kept.mode = fs.FileMode(mode); mode&0o600 != 0o600 {
		return &wordError{option, "mode=" + values["mode"], "the owner must read and write the file, as with 0600"}
	}
	for _, flag := range []struct {
		key string
		off *bool
	}{{"lock", &kept.noLock}, {"fsync", &kept.noSync}} {
		yes, err := values.yes(option, flag.key)
		if err != nil {
			return err
		}
		if _, said := values[flag.key]; said {
			*flag.off = !yes
		}
	}
	if kept.backup, err = values.yes(option, "backup"); err != nil {
		return err
	}
	return w.keep(option, kept)
}

// statePlace reads dir= or backend-uri=; with neither it is TPM_PATH. As in swtpm a
// directory is locked unless the words say otherwise, and a file is if they say so; a
// file takes neither backup nor fsync.
func statePlace(w words) (place stateWords, err error) {
	const option = "tpmstate"
	dir, isDir := w["dir"]
	uri, isURI := w["backend-uri"]
	if isDir && isURI {
		return place, &wordError{option, "backend-uri=" + uri, "dir and backend-uri exclude each other"}
	}
	if file, ok := strings.CutPrefix(uri, "file://"); ok {
		for _, word := range []string{"backup", "fsync"} {
			if _, said := w[word]; said {
				return place, &wordError{option, word, "it is for a directory, dir= or backend-uri=dir://"}
			}
		}
		if file == "" || strings.HasSuffix(file, "/") {
			return place, &wordError{option, "backend-uri=" + uri, "it needs the name of a file"}
		}
		return stateWords{dir: filepath.Dir(file), name: filepath.Base(file), noLock: true}, nil
	}
	if isURI {
		var ok bool
		if dir, ok = strings.CutPrefix(uri, "dir://"); !ok {
			return place, &wordError{option, "backend-uri=" + uri, "it begins with dir:// or file://"}
		}
	}
	if !isDir && !isURI {
		dir = os.Getenv(statePath)
	}
	if dir == "" {
		return place, &wordError{option, dir, "it needs dir= or backend-uri=, or " + statePath + " in the environment"}
	}
	return stateWords{dir: dir}, nil
}

// tryOn gives the TPM power once, without a command, and takes it away: the state
// of another kind of TPM is refused before anything is served.
func tryOn(tpm *emulator.TPM) error {
	if err := tpm.Init(); err != nil {
		return err
	}
	return tpm.PowerOff()
}

// stateFile is the file in which a TPM's state is.
const stateFile = statedir.File

// volatileFile is the file for what STORE_VOLATILE stores.
const volatileFile = "tpm2.state.volatile"

// openStore opens the directory with the TPM's state, if it is to be kept in one,
// and reads it: who asked for a TPM that cannot be had learns it now and not from a
// guest. Where only swtpm's state is, that is refused: its owner would find another
// TPM. Without a directory the store is nil. isNew reports that it holds no TPM.
// What is incoming may still be another daemon's.
func (w *stateWords) openStore(incoming bool, key *state.Key, log *slog.Logger) (store *watchedStore, isNew bool, err error) {
	if w.dir == "" {
		log.Info("the TPM is a new one in memory and ends with the daemon; --state=DIR keeps one")
		return nil, true, nil
	}
	directory, err := state.OpenDirectory(w.dir, state.DirectoryOptions{Mode: w.mode, NoSync: w.noSync, NoLock: w.noLock, Name: w.name, Key: key, Backup: w.backup, LockLater: incoming})
	if err != nil {
		return nil, false, err
	}
	if w.anew {
		if err := os.Remove(filepath.Join(w.dir, w.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, errors.Join(err, directory.Close())
		}
	}
	blob, err := directory.Load()
	if err != nil {
		return nil, false, errors.Join(err, directory.Close())
	}
	if directory.Restored() {
		log.Warn("the state file is missing or damaged: the TPM goes on from the backup, the state before the last commit", "dir", w.dir)
	}
	if statedir.HasSwtpm(w.dir) {
		if len(blob) == 0 && w.name == "" {
			return nil, false, errors.Join(&statedir.SwtpmError{Dir: w.dir}, directory.Close())
		}
		log.Info("the state of a swtpm is in the directory too: it is not read", "file", statedir.Swtpm)
	}
	return &watchedStore{Store: directory, directory: directory, dir: w.dir, log: log, close: directory.Close}, len(blob) == 0, nil
}

// makeTPM starts the TPM once, which makes it where there is none, and lets go of it.
func (s *settings) makeTPM() error {
	if err := s.keys.read(); err != nil {
		return err
	}
	d := &daemon{set: s, log: slog.New(slog.DiscardHandler)}
	defer d.services.cleanUp()
	tpm, err := d.newTPM()
	if err != nil {
		return err
	}
	return tryOn(tpm)
}

// printStates prints what is stored, for swtpm_setup, which asks before it makes a TPM
// there (swtpm(8), "--print-states"), in swtpm's layout and without a newline. The
// state file is what swtpm calls permall. It is looked at from outside, without the
// lock: the directory may be a running TPM's.
func printStates(out io.Writer, w *stateWords) error {
	if w.dir == "" {
		return cli.Usage(errors.New("--print-states without a directory to look into"), "add --tpmstate=dir=DIR")
	}
	var states []string
	for _, part := range []struct{ name, file string }{{"permall", cmp.Or(w.name, stateFile)}, {"volatilestate", cmp.Or(w.name, stateFile) + strings.TrimPrefix(volatileFile, stateFile)}} {
		// swtpmd makes a directory that is not there, so that one holds no state.
		info, err := os.Stat(filepath.Join(w.dir, part.file))
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

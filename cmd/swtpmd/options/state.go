package options

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
)

// StateWords say where the TPM's state is kept.
type StateWords struct {
	Dir    string // "" for memory
	Mode   fs.FileMode
	NoSync bool
	NoLock bool
	// Name is the state file's, "" for that of state.Directory.
	Name string
	Anew bool // the TPM is a new one, whatever the file holds
	// Backup keeps the state before the last commit too.
	Backup bool
}

// DefaultStateMode are the permissions of the state file. swtpm's own default
// lets the group read the seeds.
const DefaultStateMode = 0o600

// StatePath is the environment variable that names the directory where
// --tpmstate does not (swtpm(8), "Options for all interfaces").
const StatePath = "TPM_PATH"

// FromEnvironment takes the directory that swtpm would take where the command
// line names none.
func (w *StateWords) FromEnvironment() {
	if w.Dir == "" {
		if dir := os.Getenv(StatePath); dir != "" {
			*w = StateWords{Dir: dir, Mode: DefaultStateMode}
		}
	}
}

// setDir is --tpmstate with nothing but a directory, which may have any
// name.
func (w *StateWords) setDir(dir string) error {
	if dir == "" {
		return words.Wrong("state", dir, "it needs a directory")
	}
	return w.keep("state", StateWords{Dir: dir, Mode: DefaultStateMode})
}

// keep takes the one answer to where state is kept.
func (w *StateWords) keep(option string, kept StateWords) error {
	if w.Dir != "" {
		return words.Wrong(option, kept.Dir, "state is kept in "+w.Dir+" already; say one of --state and --tpmstate, once")
	}
	*w = kept
	return nil
}

// set takes swtpm's words for where state lives.
func (w *StateWords) set(text string) error {
	const option = "tpmstate"
	values, err := words.Parse(option, text, "dir", "backend-uri", "mode", "lock", "backup", "fsync")
	if err != nil {
		return err
	}
	kept, err := statePlace(values)
	if err != nil {
		return err
	}
	mode, err := values.Mode(option, "mode", DefaultStateMode)
	if err != nil {
		return err
	}
	if kept.Mode = fs.FileMode(mode); mode&0o600 != 0o600 {
		return words.Wrong(option, "mode="+values["mode"], "the owner must read and write the file, as with 0600")
	}
	for _, flag := range []struct {
		key string
		off *bool
	}{{"lock", &kept.NoLock}, {"fsync", &kept.NoSync}} {
		yes, err := values.Yes(option, flag.key)
		if err != nil {
			return err
		}
		if _, said := values[flag.key]; said {
			*flag.off = !yes
		}
	}
	if kept.Backup, err = values.Yes(option, "backup"); err != nil {
		return err
	}
	return w.keep(option, kept)
}

// statePlace reads dir= or backend-uri=; with neither it is TPM_PATH. As in swtpm a
// directory is locked unless the words say otherwise, and a file is if they say so; a
// file takes neither backup nor fsync.
func statePlace(w words.Values) (place StateWords, err error) {
	const option = "tpmstate"
	dir, isDir := w["dir"]
	uri, isURI := w["backend-uri"]
	if isDir && isURI {
		return place, words.Wrong(option, "backend-uri="+uri, "dir and backend-uri exclude each other")
	}
	if file, ok := strings.CutPrefix(uri, "file://"); ok {
		for _, word := range []string{"backup", "fsync"} {
			if _, said := w[word]; said {
				return place, words.Wrong(option, word, "it is for a directory, dir= or backend-uri=dir://")
			}
		}
		if file == "" || strings.HasSuffix(file, "/") {
			return place, words.Wrong(option, "backend-uri="+uri, "it needs the name of a file")
		}
		return StateWords{Dir: filepath.Dir(file), Name: filepath.Base(file), NoLock: true}, nil
	}
	if isURI {
		var ok bool
		if dir, ok = strings.CutPrefix(uri, "dir://"); !ok {
			return place, words.Wrong(option, "backend-uri="+uri, "it begins with dir:// or file://")
		}
	}
	if !isDir && !isURI {
		dir = os.Getenv(StatePath)
	}
	if dir == "" {
		return place, words.Wrong(option, dir, "it needs dir= or backend-uri=, or "+StatePath+" in the environment")
	}
	return StateWords{Dir: dir}, nil
}

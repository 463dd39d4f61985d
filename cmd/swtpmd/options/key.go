package options

import (
	"fmt"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/keys"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
	"github.com/swtpmd/swtpmd/emulator/state"
)

// keyWords are --key and --migration-key, and the keys once they are read.
type keyWords struct {
	file, migration keys.Words
	// FileKey seals the state that is kept, migrationKey what is handed over; nil
	// for none.
	FileKey, MigrationKey *state.Key
}

// setKey names the key of the state that is kept.
func (s *Set) setKey(text string) (err error) {
	s.Keys.file, err = named("key", s.Keys.file, text)
	return err
}

// setMigrationKey names the key of state that is handed over.
func (s *Set) setMigrationKey(text string) (err error) {
	s.Keys.migration, err = named("migration-key", s.Keys.migration, text)
	return err
}

// named takes the one answer to which key it is.
func named(option string, before keys.Words, text string) (keys.Words, error) {
	if before.Given() {
		return before, words.Wrong(option, text, "there is a key already; name one")
	}
	return keys.Parse(option, text)
}

// Read reads the keys. It is done once, in the process that serves: a descriptor has
// them once, and a file may have to be removed.
func (w *keyWords) Read() (err error) {
	if w.FileKey, err = readKey("key", w.file); err != nil {
		return err
	}
	w.MigrationKey, err = readKey("migration-key", w.migration)
	return err
}

func readKey(option string, w keys.Words) (*state.Key, error) {
	if !w.Given() {
		return nil, nil
	}
	secret, err := w.Read()
	if err != nil {
		return nil, err
	}
	key, err := state.NewKey(secret)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", option, err)
	}
	return key, nil
}

package fleet

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Suffix ends the names of the files of a fleet: NAME.tpm.
const Suffix = ".tpm"

func (f *Fleet) file(name string) string { return filepath.Join(f.options.Dir, name+Suffix) }

// temp is where a TPM's file is written before it gets its name.
func (f *Fleet) temp(name string) string {
	return filepath.Join(f.options.Dir, "."+name+Suffix+".new")
}

// ReadFile reads the text of a file NAME.tpm. What is no regular file, or has more than
// MaxConfig bytes, is refused, and no more than that is read. The text is not nil.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &ConfigError{File: path, Word: "the file", Reason: "it is no regular file"}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, MaxConfig+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > MaxConfig:
		return nil, tooLong(path)
	}
	return text, nil
}

func tooLong(path string) *ConfigError {
	return &ConfigError{File: path, Word: "the file", Reason: fmt.Sprintf("it has more than %d bytes", MaxConfig)}
}

// ReadConfig reads a file NAME.tpm.
func ReadConfig(path string) (Config, error) {
	text, err := ReadFile(path)
	if err != nil {
		return Config{}, err
	}
	return ParseConfig(path, text)
}

// write writes the file of a TPM, unless it says the same already. Whenever the process
// ends, the file has its old text or its new one.
func (f *Fleet) write(name string, c Config) (written bool, err error) {
	path := f.file(name)
	text, err := c.MarshalText()
	if err != nil {
		return false, err
	}
	if before, err := ReadConfig(path); err == nil {
		before.Profile = cmp.Or(before.Profile, f.options.Profile)
		if same, err := before.MarshalText(); err == nil && bytes.Equal(same, text) {
			return false, nil
		}
	}
	temp := f.temp(name)
	err = f.writeWhole(temp, text)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // unless it was not begun
		return false, err
	}
	return true, nil
}

// writeNew writes the file of a TPM that has none. One that is there is its author's.
func (f *Fleet) writeNew(name string, c Config) error {
	text, err := c.MarshalText()
	if err != nil {
		return err
	}
	path := f.file(name)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp := f.temp(name)
	if err = f.writeWhole(temp, text); err == nil {
		err = os.Link(temp, path)
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(temp))
}

// writeWhole writes a new file, to the disk unless Options.NoSync leaves that to the system.
func (f *Fleet) writeWhole(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil && !f.options.NoSync {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

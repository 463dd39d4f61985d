// Package keys reads the AES keys that swtpm's --key and --migration-key name: from a
// file or a descriptor, as digits, as they are, or derived from a passphrase as swtpm
// derives them, so that both have the same key for the same words.
package keys

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Words names a key, as in "file=F,mode=aes-256-cbc". The zero value names none.
type Words struct {
	option string
	file   string // "" for a descriptor
	fd     int
	// passphrase tells that a key is derived from what is read, by kdf.
	passphrase bool
	kdf        string
	binary     bool
	size       int // of the key, in bytes
	remove     bool
}

// WordError says which word of which option is wrong.
type WordError struct {
	Option, Word, Reason string
}

func (e *WordError) Error() string { return fmt.Sprintf("--%s: %q: %s", e.Option, e.Word, e.Reason) }

// ReadError is a key that cannot be read, or is none.
type ReadError struct {
	Option, From string // the option, and the file or the descriptor
	Err          error
}

func (e *ReadError) Error() string { return fmt.Sprintf("--%s: %s: %v", e.Option, e.From, e.Err) }

// Unwrap returns the cause.
func (e *ReadError) Unwrap() error { return e.Err }

// sources are the words of which there is one.
var sources = []string{"file", "fd", "pwdfile", "pwdfd"}

// modes are the sizes of keys, in bytes, by the word of the mode.
var modes = map[string]int{"aes-cbc": 16, "aes-128-cbc": 16, "aes-256-cbc": 32}

// maxDescriptor bounds the numbers of descriptors.
const maxDescriptor = 1 << 20

// Parse reads the value of --key or --migration-key (option) and reads no key yet.
func Parse(option, text string) (Words, error) {
	w := Words{option: option, fd: -1, size: modes["aes-cbc"], kdf: "pbkdf2"}
	values := map[string]string{}
	for word := range strings.SplitSeq(text, ",") {
		key, value, valued := strings.Cut(word, "=")
		if !valued {
			value = "true"
		}
		if _, twice := values[key]; twice {
			return Words{}, &WordError{option, word, "it stands there twice"}
		}
		values[key] = value
		if err := w.set(key, value); err != nil {
			return Words{}, &WordError{option, word, err.Error()}
		}
	}
	given := slices.DeleteFunc(slices.Clone(sources), func(source string) bool { _, ok := values[source]; return !ok })
	switch _, kdf := values["kdf"]; {
	case len(given) != 1:
		return Words{}, &WordError{option, text, "it needs one of file=, fd=, pwdfile= and pwdfd="}
	case kdf && !w.passphrase:
		return Words{}, &WordError{option, "kdf=" + values["kdf"], "a key is derived from a passphrase only, of pwdfile= or pwdfd="}
	case values["format"] != "" && w.passphrase:
		return Words{}, &WordError{option, "format=" + values["format"], "a passphrase has no format"}
	}
	return w, nil
}

func (w *Words) set(key, value string) (err error) {
	switch key {
	case "file", "pwdfile":
		if value == "" {
			return errors.New("it needs the name of a file")
		}
		w.file, w.passphrase = value, key == "pwdfile"
	case "fd", "pwdfd":
		if w.fd, err = strconv.Atoi(value); err != nil || w.fd < 0 || w.fd > maxDescriptor {
			return fmt.Errorf("not a number from 0 to %d", maxDescriptor)
		}
		w.passphrase = key == "pwdfd"
	case "format":
		if value != "hex" && value != "binary" {
			return errors.New("the formats are hex and binary")
		}
		w.binary = value == "binary"
	case "mode":
		if w.size = modes[value]; w.size == 0 {
			return errors.New("the modes are aes-cbc and aes-256-cbc")
		}
	case "kdf":
		if w.kdf = value; value != "pbkdf2" && value != "sha512" {
			return errors.New("the functions are pbkdf2 and sha512")
		}
	case "remove":
		switch strings.ToLower(value) {
		case "true", "1":
			w.remove = true
		case "false", "0":
		default:
			return errors.New("neither true nor false")
		}
	default:
		return errors.New("unknown word; it takes file, fd, format, pwdfile, pwdfd, kdf, mode, remove")
	}
	return nil
}

// Given reports whether a key is named.
func (w Words) Given() bool { return w.option != "" }

// Read reads the key, of 16 or 32 bytes, closes a descriptor, and removes the file if
// the words ask for it. It is called once.
func (w Words) Read() ([]byte, error) {
	from := w.file
	if from == "" {
		from = "descriptor " + strconv.Itoa(w.fd)
	}
	fail := func(err error) ([]byte, error) { return nil, &ReadError{w.option, from, err} }
	text, err := w.text()
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err // the name is there already
		}
		return fail(err)
	}
	key, err := w.key(text)
	if err != nil {
		return fail(err)
	}
	if w.remove && w.file != "" {
		if err := os.Remove(w.file); err != nil {
			return fail(err)
		}
	}
	return key, nil
}

// maxPassphrase bounds a passphrase, in bytes.
const maxPassphrase = 64 << 10

// errTooLong is more than a passphrase or a key can be.
var errTooLong = fmt.Errorf("there are more than %d bytes", maxPassphrase)

// text reads the file or the descriptor to its end. Whoever passes a pipe may keep its
// own end of it open: as in swtpm, a piece that does not fill the room is the last one.
func (w Words) text() ([]byte, error) {
	var file *os.File
	if w.file != "" {
		var err error
		if file, err = os.Open(w.file); err != nil {
			return nil, err
		}
	} else if file = os.NewFile(uintptr(w.fd), "key"); file == nil {
		return nil, syscall.EBADF
	}
	defer file.Close()
	const room = 1024
	var text []byte
	piece := make([]byte, room)
	for len(text) <= maxPassphrase {
		n, err := file.Read(piece)
		text = append(text, piece[:n]...)
		switch {
		case err == io.EOF, err == nil && n < room:
			return text, nil
		case err != nil:
			return nil, err
		}
	}
	return nil, errTooLong
}

func (w Words) key(text []byte) ([]byte, error) {
	switch {
	case len(text) == 0:
		return nil, errors.New("it is empty")
	case w.passphrase && w.kdf == "sha512":
		sum := sha512.Sum512(text)
		return sum[:w.size], nil
	case w.passphrase:
		// swtpm's salt and count (swtpm(8), "--key"; src/swtpm/key.c).
		return pbkdf2.Key(sha512.New, string(text), []byte("swtpm"), 1000, w.size)
	case w.binary:
		if len(text) != w.size {
			return nil, fmt.Errorf("a key of %d bytes, and the mode needs %d", len(text), w.size)
		}
		return text, nil
	}
	digits := text
	if end := bytes.IndexAny(text, " \t\n\v\f\r"); end >= 0 {
		digits = text[:end]
	}
	digits = bytes.TrimPrefix(digits, []byte("0x"))
	key, err := hex.DecodeString(string(digits))
	switch {
	case err != nil:
		return nil, errors.New("not hexadecimal digits")
	case len(key) != w.size:
		return nil, fmt.Errorf("%d hexadecimal digits, and the mode needs %d", len(digits), 2*w.size)
	}
	return key, nil
}

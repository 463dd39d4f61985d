package libtpms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Error is a constant error.
type Error string

// Error is the text.
func (e Error) Error() string { return string(e) }

const (
	// ErrEncrypted is an encrypted state without a key to read it.
	ErrEncrypted Error = "the state is encrypted: its key is needed, as swtpm's --key names it"
	// ErrNotEncrypted is a key for a state that needs none.
	ErrNotEncrypted Error = "the state is not encrypted: leave out the key"
	// ErrKey is a key that is not the state's.
	ErrKey Error = "the state is encrypted with another key, or damaged"
)

// FormatError says why bytes are no state.
type FormatError struct {
	// Part is the structure that is wrong, such as "NV memory".
	Part, Reason string
}

func (e *FormatError) Error() string { return fmt.Sprintf("swtpm state: %s: %s", e.Part, e.Reason) }

// swtpm's frame (src/swtpm/swtpm_nvstore.c, tlv.h).
const (
	frameHeader  = 10
	frameVersion = 2

	flagEncrypted = 1 << 0
	flagMigration = 1<<1 | 1<<2 // encrypted for, or of, a migration
	flag256       = 1 << 3
	tagData       = 1
	tagEncrypted  = 2
	tagHMAC       = 3
	tagIV         = 6
	maxParts      = 16
	// maxState bounds a state, in bytes. swtpm takes no larger one from QEMU.
	maxState = 512 << 10
	// MaxSize bounds a file, in bytes. One of swtpm's file backend has more in it than
	// the state.
	MaxSize = 4 << 20
)

// linearMagic is what a file of swtpm's backend file:// begins with. Its numbers are
// little-endian: a version and an octet for filling up, the size of the header, and of
// each section offset, octets that are used, and size, 32 bits each
// (src/swtpm/swtpm_nvstore_linear.h). The first section is the permanent state.
const linearMagic = "nilmptws"

const linearHeader = len(linearMagic) + 2 + 2

// permanent returns the permanent state of a file, which may be one of the file backend.
func permanent(blob []byte) ([]byte, error) {
	if len(blob) < linearHeader+12 || string(blob[:len(linearMagic)]) != linearMagic {
		return blob, nil
	}
	fail := func(format string, args ...any) ([]byte, error) {
		return nil, &FormatError{"linear file", fmt.Sprintf(format, args...)}
	}
	if version := blob[len(linearMagic)]; version != 1 {
		return fail("version %d; this program knows version 1", version)
	}
	entry := blob[linearHeader:]
	offset, used := uint64(binary.LittleEndian.Uint32(entry)), uint64(binary.LittleEndian.Uint32(entry[4:]))
	switch {
	case used == 0:
		return fail("there is no permanent state in it")
	case offset+used > uint64(len(blob)):
		return fail("the permanent state is said to be at %d to %d, and there are %d bytes", offset, offset+used, len(blob))
	}
	return blob[offset : offset+used], nil
}

// unframe returns the state in the frame. The key is of 16 or 32 octets, nil for
// none.
func unframe(blob, key []byte) ([]byte, error) {
	fail := func(reason string, args ...any) ([]byte, error) {
		return nil, &FormatError{"header", fmt.Sprintf(reason, args...)}
	}
	if len(blob) > maxState {
		return fail("it has %d bytes, more than %d", len(blob), maxState)
	}
	r := wire.NewReader(blob, nil)
	version, oldest, header, flags, size := r.U8(), r.U8(), r.U16(), r.U16(), r.U32()
	switch {
	case r.RC() != wire.RCSuccess:
		return fail("it has %d bytes", len(blob))
	case header != frameHeader || int64(size) != int64(len(blob)):
		return fail("it announces %d bytes and a header of %d, there are %d and %d", size, header, len(blob), frameHeader)
	case version < frameVersion || oldest > frameVersion:
		return fail("version %d, to be read by version %d or later; this program knows version %d", version, oldest, frameVersion)
	case flags&flagMigration != 0:
		return fail("it is of a migration: take the file in swtpm's directory")
	}
	parts, err := split(&r)
	if err != nil {
		return nil, err
	}
	if flags&flagEncrypted == 0 {
		if key != nil {
			return nil, ErrNotEncrypted
		}
		return part(parts, tagData)
	}
	if key == nil {
		return nil, ErrEncrypted
	}
	if want := keySize(flags); len(key) != want {
		return nil, fmt.Errorf("%w: it has a key of %d bits, not of %d", ErrKey, 8*want, 8*len(key))
	}
	return decrypt(parts, key)
}

func keySize(flags uint16) int {
	if flags&flag256 != 0 {
		return 32
	}
	return 16
}

// split returns the parts by their tags.
func split(r *wire.Reader) (map[uint16][]byte, error) {
	parts := map[uint16][]byte{}
	for r.Len() > 0 {
		tag, size := r.U16(), r.U32()
		if r.RC() == wire.RCSuccess && uint64(size) > uint64(r.Len()) {
			return nil, &FormatError{"frame", fmt.Sprintf("part %d announces %d bytes, there are %d", tag, size, r.Len())}
		}
		data := r.Bytes(int(size))
		_, twice := parts[tag]
		switch {
		case r.RC() != wire.RCSuccess:
			return nil, &FormatError{"frame", "it ends in the middle of a part"}
		case twice || len(parts) == maxParts:
			return nil, &FormatError{"frame", fmt.Sprintf("part %d is one too many", tag)}
		}
		parts[tag] = data
	}
	return parts, nil
}

func part(parts map[uint16][]byte, tag uint16) ([]byte, error) {
	data, ok := parts[tag]
	if !ok {
		return nil, &FormatError{"frame", fmt.Sprintf("it has no part %d", tag)}
	}
	return data, nil
}

// decrypt checks the HMAC-SHA256 of cipher text and IV, and decrypts AES-CBC. The last
// octets each tell how many they are, up to the size of the key.
func decrypt(parts map[uint16][]byte, key []byte) ([]byte, error) {
	text, err := part(parts, tagEncrypted)
	if err != nil {
		return nil, err
	}
	sum, err := part(parts, tagHMAC)
	if err != nil {
		return nil, err
	}
	iv, err := part(parts, tagIV)
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, key)
	h.Write(text)
	h.Write(iv)
	if !hmac.Equal(h.Sum(nil), sum) {
		return nil, ErrKey
	}
	if len(iv) < aes.BlockSize || len(text) == 0 || len(text)%len(key) != 0 {
		return nil, &FormatError{"encrypted part", fmt.Sprintf("%d bytes with an IV of %d", len(text), len(iv))}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(text))
	cipher.NewCBCDecrypter(block, iv[:aes.BlockSize]).CryptBlocks(plain, text)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > len(key) {
		return nil, &FormatError{"encrypted part", "it ends without padding"}
	}
	return plain[:len(plain)-pad], nil
}

package state

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
)

// Purpose says what sealed bytes are for, so that none is taken for another.
type Purpose uint16

// The purposes.
const (
	SealedState     Purpose = 1 // what a Store keeps
	SealedVolatile  Purpose = 2 // volatile state that is stored beside it
	SealedPermanent Purpose = 3 // permanent state on its way to another TPM
	SealedMigration Purpose = 4 // volatile state on its way to another TPM
)

// Sealed bytes; FORMAT.md has the table.
const (
	sealMagic   = "swtpmdSE"
	sealVersion = 1
	sealHeader  = len(sealMagic) + 2 + 2 + 2 + aes.BlockSize
	// sealOverhead is by how much sealed bytes are longer at most.
	sealOverhead = sealHeader + aes.BlockSize + sha256.Size
)

// Key encrypts what a TPM remembers with AES in CBC mode and authenticates what it has
// encrypted with HMAC-SHA-256. NewKey makes one; it may be used from several goroutines.
type Key struct {
	block  cipher.Block
	mac    []byte
	bits   int
	random io.Reader
}

// KeySizeError is a key with a size that AES does not have here.
type KeySizeError struct {
	Bits int // of the key
	Need int // of the key with which something is sealed; 0 if nothing is yet
}

// Error names both sizes.
func (e *KeySizeError) Error() string {
	if e.Need == 0 {
		return fmt.Sprintf("a key of %d bits: one for AES has 128 or 256", e.Bits)
	}
	return fmt.Sprintf("it is encrypted with a key of %d bits, and the one given has %d: give the right one, with its mode", e.Need, e.Bits)
}

// What Key.Open and Directory.Load return for bytes that do not fit the key.
const (
	// ErrNeedsKey is for sealed bytes without a key.
	ErrNeedsKey Error = "it is encrypted: give the key with which it was made"
	// ErrNotSealed is for bytes that are not sealed, with a key.
	ErrNotSealed Error = "it is not encrypted, and a key was given: leave the key out, or begin with an empty directory"
	// ErrWrongKey is for bytes that are sealed with another key, or damaged.
	ErrWrongKey Error = "the key does not fit: it is encrypted with another one, or it is damaged"
)

// NewKey returns the key made of a secret of 16 or 32 bytes, for AES-128 and AES-256.
// One key each for encryption and authentication is derived from it (RFC 5869).
func NewKey(secret []byte) (*Key, error) {
	if len(secret) != 16 && len(secret) != 32 {
		return nil, &KeySizeError{Bits: 8 * len(secret)}
	}
	k := &Key{bits: 8 * len(secret), random: rand.Reader}
	encryption, err := hkdf.Key(sha256.New, secret, nil, "swtpmd state encryption", len(secret))
	if err != nil {
		return nil, err
	}
	if k.mac, err = hkdf.Key(sha256.New, secret, nil, "swtpmd state authentication", sha256.Size); err != nil {
		return nil, err
	}
	k.block, err = aes.NewCipher(encryption)
	return k, err
}

// Seal appends plain, encrypted and authenticated for a purpose, to dst.
func (k *Key) Seal(dst []byte, purpose Purpose, plain []byte) ([]byte, error) {
	start := len(dst)
	dst = append(dst, sealMagic...)
	for _, n := range []uint16{sealVersion, uint16(purpose), uint16(k.bits)} {
		dst = binary.BigEndian.AppendUint16(dst, n)
	}
	iv := make([]byte, aes.BlockSize)
	if _, err := io.ReadFull(k.random, iv); err != nil {
		return nil, err
	}
	dst = append(dst, iv...)
	body := len(dst)
	dst = append(dst, plain...)
	// As PKCS #7 has it (RFC 5652, section 6.3).
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	dst = append(dst, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(k.block, iv).CryptBlocks(dst[body:], dst[body:])
	return append(dst, k.tag(dst[start:])...), nil
}

// tag authenticates everything before it.
func (k *Key) tag(sealed []byte) []byte {
	h := hmac.New(sha256.New, k.mac)
	h.Write(sealed)
	return h.Sum(nil)
}

// Sealed reports whether bytes claim to be sealed.
func Sealed(b []byte) bool { return bytes.HasPrefix(b, []byte(sealMagic)) }

// SealedFor returns for what bytes claim to be sealed, 0 if they are not.
func SealedFor(b []byte) Purpose {
	if !Sealed(b) || len(b) < sealHeader {
		return 0
	}
	return Purpose(binary.BigEndian.Uint16(b[len(sealMagic)+2:]))
}

// Open returns what was sealed for a purpose. Without a key, which is nil, what is not
// sealed is returned as it is. The errors are ErrNeedsKey, ErrNotSealed, ErrWrongKey,
// a *KeySizeError, and a *FormatError or *VersionError.
func (k *Key) Open(purpose Purpose, sealed []byte) ([]byte, error) {
	switch {
	case k == nil && Sealed(sealed):
		return nil, ErrNeedsKey
	case k == nil:
		return sealed, nil
	case !Sealed(sealed):
		return nil, ErrNotSealed
	}
	body := len(sealed) - sha256.Size
	if body < sealHeader+aes.BlockSize || (body-sealHeader)%aes.BlockSize != 0 {
		return nil, &FormatError{len(sealed), "encrypted state is cut short"}
	}
	number := func(at int) uint16 { return binary.BigEndian.Uint16(sealed[at:]) }
	at := len(sealMagic)
	if v := number(at); v != sealVersion {
		return nil, &VersionError{Offset: at, Version: v, Known: sealVersion}
	}
	if bits := int(number(at + 4)); bits != k.bits && (bits == 128 || bits == 256) {
		return nil, &KeySizeError{Bits: k.bits, Need: bits}
	}
	if !hmac.Equal(sealed[body:], k.tag(sealed[:body])) {
		return nil, ErrWrongKey
	}
	if p := Purpose(number(at + 2)); p != purpose {
		return nil, &FormatError{at + 2, fmt.Sprintf("it is encrypted for purpose %d and not for %d", p, purpose)}
	}
	plain := make([]byte, body-sealHeader)
	cipher.NewCBCDecrypter(k.block, sealed[sealHeader-aes.BlockSize:sealHeader]).CryptBlocks(plain, sealed[sealHeader:body])
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > aes.BlockSize {
		return nil, &FormatError{body - 1, "the padding is wrong"}
	}
	return plain[:len(plain)-pad], nil
}

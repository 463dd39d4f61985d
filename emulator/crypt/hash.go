package crypt

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding"
	"fmt"
	"hash"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// HashSize gives the digest size in bytes of a supported hash, else 0.
func HashSize(alg wire.AlgID) int {
	switch alg {
	case wire.AlgSHA1:
		return sha1.Size
	case wire.AlgSHA256, wire.AlgSHA3_256:
		return sha256.Size
	case wire.AlgSHA384, wire.AlgSHA3_384:
		return sha512.Size384
	case wire.AlgSHA512, wire.AlgSHA3_512:
		return sha512.Size
	case wire.AlgSHAKE256_192:
		return 24
	case wire.AlgSHAKE256_256:
		return 32
	case wire.AlgSHAKE256_512:
		return 64
	}
	return 0
}

// Digest appends the digest of data to dst. It allocates nothing if dst has
// room, and returns dst as it is for an algorithm that is no supported hash.
func Digest(alg wire.AlgID, dst, data []byte) []byte {
	switch alg {
	case wire.AlgSHA1:
		d := sha1.Sum(data)
		return append(dst, d[:]...)
	case wire.AlgSHA256:
		d := sha256.Sum256(data)
		return append(dst, d[:]...)
	case wire.AlgSHA384:
		d := sha512.Sum384(data)
		return append(dst, d[:]...)
	case wire.AlgSHA512:
		d := sha512.Sum512(data)
		return append(dst, d[:]...)
	case wire.AlgSHA3_256:
		d := sha3.Sum256(data)
		return append(dst, d[:]...)
	case wire.AlgSHA3_384:
		d := sha3.Sum384(data)
		return append(dst, d[:]...)
	case wire.AlgSHA3_512:
		d := sha3.Sum512(data)
		return append(dst, d[:]...)
	case wire.AlgSHAKE256_192, wire.AlgSHAKE256_256, wire.AlgSHAKE256_512:
		x := sha3.NewSHAKE256()
		x.Write(data)
		var d [wire.MaxDigest]byte
		x.Read(d[:HashSize(alg)])
		return append(dst, d[:HashSize(alg)]...)
	}
	return dst
}

// Extend replaces pcr by H(pcr | digest), where both have the digest size of
// alg (Part 1, section "Extend of a PCR"). It allocates nothing.
func Extend(alg wire.AlgID, pcr, digest []byte) {
	var in [2 * wire.MaxDigest]byte
	n := copy(in[:], pcr)
	n += copy(in[n:], digest)
	Digest(alg, pcr[:0], in[:n])
}

// NewHash starts a hash whose state can be marshaled and restored with
// MarshalHash and UnmarshalHash; nil for an algorithm that is no supported hash.
func NewHash(alg wire.AlgID) hash.Hash {
	switch alg {
	case wire.AlgSHA1:
		return sha1.New()
	case wire.AlgSHA256:
		return sha256.New()
	case wire.AlgSHA384:
		return sha512.New384()
	case wire.AlgSHA512:
		return sha512.New()
	case wire.AlgSHA3_256:
		return sha3.New256()
	case wire.AlgSHA3_384:
		return sha3.New384()
	case wire.AlgSHA3_512:
		return sha3.New512()
	case wire.AlgSHAKE256_192, wire.AlgSHAKE256_256, wire.AlgSHAKE256_512:
		return &shakeHash{*sha3.NewSHAKE256(), HashSize(alg)}
	}
	return nil
}

// HashStateError says that bytes are no state of the hash they are meant for.
type HashStateError struct {
	Alg wire.AlgID
	Err error
}

// Error names the algorithm.
func (e *HashStateError) Error() string { return fmt.Sprintf("state of a %v hash: %v", e.Alg, e.Err) }

// Unwrap gives the cause.
func (e *HashStateError) Unwrap() error { return e.Err }

// MarshalHash gives the state of a hash that NewHash made.
func MarshalHash(h hash.Hash) []byte {
	b, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic(fmt.Sprintf("internal error: a hash of the standard library does not marshal: %v", err))
	}
	return b
}

// UnmarshalHash makes a hash of alg from a state of MarshalHash.
func UnmarshalHash(alg wire.AlgID, b []byte) (hash.Hash, error) {
	h := NewHash(alg)
	if h == nil {
		return nil, &HashStateError{Alg: alg, Err: &UnsupportedError{Alg: alg, Want: "hash"}}
	}
	switch alg {
	case wire.AlgSHA3_256, wire.AlgSHA3_384, wire.AlgSHA3_512:
		if err := checkSponge(b, MarshalHash(h), h.BlockSize()); err != nil {
			return nil, &HashStateError{Alg: alg, Err: err}
		}
	}
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(b); err != nil {
		return nil, &HashStateError{Alg: alg, Err: err}
	}
	return h, nil
}

// HMAC gives HMAC(key, parts…), see AppendHMAC; nil for an algorithm that is no
// supported hash.
func HMAC(alg wire.AlgID, key []byte, parts ...[]byte) []byte {
	size := HashSize(alg)
	if size == 0 {
		return nil
	}
	return AppendHMAC(alg, make([]byte, 0, size), key, parts...)
}

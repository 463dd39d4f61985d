package ima

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"fmt"
	"hash"
)

// HashAlgo is a hash algorithm of the kernel (include/uapi/linux/hash_info.h,
// enum hash_algo). The zero value is none; the kernel's own number is ID.
type HashAlgo uint8

// The kernel's hash algorithms in the kernel's order.
const (
	_ HashAlgo = iota
	MD4
	MD5
	SHA1
	RMD160
	SHA256
	SHA384
	SHA512
	SHA224
	RMD128
	RMD256
	RMD320
	WP256
	WP384
	WP512
	TGR128
	TGR160
	TGR192
	SM3
	Streebog256
	Streebog512
	SHA3_256
	SHA3_384
	SHA3_512

	hashAlgos = iota
)

// hashInfo is a row of crypto/hash_info.c, with the TPM's number of the
// algorithm (TCG Algorithm Registry, "TPM_ALG_ID Constants") and whether the
// kernel maps that number (drivers/char/tpm/tpm2-cmd.c, tpm2_hash_map).
type hashInfo struct {
	name   string
	size   int
	tpm    uint16
	mapped bool
	new    func() hash.Hash
}

var hashTable = [hashAlgos]hashInfo{
	MD4:         {name: "md4", size: 16},
	MD5:         {name: "md5", size: 16, new: md5.New},
	SHA1:        {name: "sha1", size: 20, tpm: 0x0004, mapped: true, new: sha1.New},
	RMD160:      {name: "rmd160", size: 20},
	SHA256:      {name: "sha256", size: 32, tpm: 0x000b, mapped: true, new: sha256.New},
	SHA384:      {name: "sha384", size: 48, tpm: 0x000c, mapped: true, new: sha512.New384},
	SHA512:      {name: "sha512", size: 64, tpm: 0x000d, mapped: true, new: sha512.New},
	SHA224:      {name: "sha224", size: 28, new: sha256.New224},
	RMD128:      {name: "rmd128", size: 16},
	RMD256:      {name: "rmd256", size: 32},
	RMD320:      {name: "rmd320", size: 40},
	WP256:       {name: "wp256", size: 32},
	WP384:       {name: "wp384", size: 48},
	WP512:       {name: "wp512", size: 64},
	TGR128:      {name: "tgr128", size: 16},
	TGR160:      {name: "tgr160", size: 20},
	TGR192:      {name: "tgr192", size: 24},
	SM3:         {name: "sm3", size: 32, tpm: 0x0012, mapped: true, new: newSM3},
	Streebog256: {name: "streebog256", size: 32},
	Streebog512: {name: "streebog512", size: 64},
	SHA3_256:    {name: "sha3-256", size: 32, tpm: 0x0027, new: func() hash.Hash { return sha3.New256() }},
	SHA3_384:    {name: "sha3-384", size: 48, tpm: 0x0028, new: func() hash.Hash { return sha3.New384() }},
	SHA3_512:    {name: "sha3-512", size: 64, tpm: 0x0029, new: func() hash.Hash { return sha3.New512() }},
}

// maxDigestSize is the size of the largest digest in hashTable.
const maxDigestSize = 64

func (h HashAlgo) valid() bool { return h > 0 && h < hashAlgos }

// String returns the kernel's name of the algorithm, as it is printed in a list.
func (h HashAlgo) String() string {
	if !h.valid() {
		return fmt.Sprintf("HashAlgo(%d)", uint8(h))
	}
	return hashTable[h].name
}

// ID returns the kernel's number of the algorithm, as it stands in a signature
// header and in a digest-ng xattr. ok is false for the zero HashAlgo.
func (h HashAlgo) ID() (id uint8, ok bool) {
	if !h.valid() {
		return 0, false
	}
	return uint8(h) - 1, true
}

// HashAlgoByID returns the algorithm of the kernel's number id.
func HashAlgoByID(id uint8) (HashAlgo, bool) {
	if int(id)+1 >= hashAlgos {
		return 0, false
	}
	return HashAlgo(id + 1), true
}

// Size returns the size of a digest in bytes, 0 for the zero HashAlgo.
func (h HashAlgo) Size() int {
	if !h.valid() {
		return 0
	}
	return hashTable[h].size
}

// Available reports whether this package can compute the hash. It can for all that
// a TPM has banks of, and not for most of the kernel's rarer algorithms.
func (h HashAlgo) Available() bool { return h.valid() && hashTable[h].new != nil }

// New returns a new hash.Hash of the algorithm. The error is an
// UnavailableHashError.
func (h HashAlgo) New() (hash.Hash, error) {
	if !h.Available() {
		return nil, &UnavailableHashError{Algo: h}
	}
	return hashTable[h].new(), nil
}

// MarshalText returns the kernel's name, for JSON and flags.
func (h HashAlgo) MarshalText() ([]byte, error) {
	if !h.valid() {
		return nil, &UnknownHashError{Name: h.String()}
	}
	return []byte(hashTable[h].name), nil
}

// UnmarshalText reads what ParseHashAlgo reads.
func (h *HashAlgo) UnmarshalText(text []byte) error {
	parsed, err := ParseHashAlgo(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}

// ParseHashAlgo finds the algorithm of a kernel name. "sm3-256", which kernels
// before 5.19 printed for SM3, is taken too.
func ParseHashAlgo(name string) (HashAlgo, error) {
	if h, ok := hashByName(name); ok {
		return h, nil
	}
	return 0, &UnknownHashError{Name: name}
}

// hashByName is ParseHashAlgo without its error: it takes bytes and allocates
// nothing.
func hashByName[T string | []byte](name T) (HashAlgo, bool) {
	for h := HashAlgo(1); h < hashAlgos; h++ {
		if string(name) == hashTable[h].name {
			return h, true
		}
	}
	if string(name) == "sm3-256" {
		return SM3, true
	}
	return 0, false
}

// UnknownHashError is the answer to a hash name that the kernel does not have.
type UnknownHashError struct {
	Name string
}

func (e *UnknownHashError) Error() string {
	return fmt.Sprintf("unknown hash algorithm %q; the kernel's names are those of crypto/hash_info.c, such as sha1, sha256, sha384", e.Name)
}

// UnavailableHashError is the answer where a hash would have to be computed that
// this package has no code for.
type UnavailableHashError struct {
	Algo HashAlgo
}

func (e *UnavailableHashError) Error() string {
	return fmt.Sprintf("hash algorithm %s cannot be computed here; leave its bank out to use the others", e.Algo)
}

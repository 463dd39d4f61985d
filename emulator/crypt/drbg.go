package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"sync"
)

// Sizes in bytes of the CTR_DRBG with AES-256 (NIST SP 800-90A Rev. 1, table 3).
const (
	DRBGKeySize  = 32
	DRBGSeedSize = 48 // key and one block: what Instantiate and Reseed take

	drbgBlock      = aes.BlockSize
	drbgMaxRequest = 1 << 16 // max_number_of_bits_per_request is 2^19 bits
)

// DRBGState is the working state of a CTR_DRBG. It is plain data, so that it
// can live in the TPM's state and be saved with it.
type DRBGState struct {
	Key     [DRBGKeySize]byte
	V       [drbgBlock]byte
	Reseeds uint64 // requests since the last (re)seeding, plus 1: reseed_counter
}

// Instantiate is CTR_DRBG_Instantiate without derivation function (SP 800-90A
// section 10.2.1.3.1): seed must have full entropy. Without personalization.
func (s *DRBGState) Instantiate(seed *[DRBGSeedSize]byte) {
	*s = DRBGState{Reseeds: 1}
	s.updateWith(drbgFirstKey(), new([DRBGSeedSize]byte), seed)
}

// drbgFirstKey is the key that Instantiate begins with, zeros.
var drbgFirstKey = sync.OnceValue(func() cipher.Block { return drbgCipher(new([DRBGKeySize]byte)) })

// Reseed is CTR_DRBG_Reseed without derivation function (SP 800-90A section
// 10.2.1.4.1). Additional input of any length is brought to the size of a seed
// with SHA-384 first, so that no bit of a long StirRandom is lost.
func (s *DRBGState) Reseed(seed *[DRBGSeedSize]byte, additional []byte) {
	m := sha512.Sum384(additional)
	s.reseed(seed, &m)
}

func (s *DRBGState) reseed(seed, additional *[DRBGSeedSize]byte) {
	var m [DRBGSeedSize]byte
	subtle.XORBytes(m[:], seed[:], additional[:])
	s.update(&m)
	s.Reseeds = 1
}

// Read fills p with random bytes: as many CTR_DRBG_Generate requests without
// additional input (SP 800-90A section 10.2.1.5.1) as p is long. It never
// fails; that 2^48 requests pass without a reseed cannot happen in practice.
func (s *DRBGState) Read(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		c := min(len(p), drbgMaxRequest)
		s.generate(p[:c], nil)
		p = p[c:]
	}
	return n, nil
}

// generate is CTR_DRBG_Generate; no additional input is nil.
func (s *DRBGState) generate(p []byte, additional *[DRBGSeedSize]byte) {
	if additional != nil {
		s.update(additional)
	} else {
		additional = new([DRBGSeedSize]byte)
	}
	block := s.cipher()
	for ; len(p) >= drbgBlock; p = p[drbgBlock:] {
		s.increment()
		block.Encrypt(p, s.V[:])
	}
	var temp [DRBGSeedSize]byte
	if len(p) > 0 {
		s.increment()
		block.Encrypt(temp[:], s.V[:])
		copy(p, temp[:])
	}
	s.updateWith(block, &temp, additional)
	s.Reseeds++
}

// update is CTR_DRBG_Update (SP 800-90A section 10.2.1.2).
func (s *DRBGState) update(data *[DRBGSeedSize]byte) {
	s.updateWith(s.cipher(), new([DRBGSeedSize]byte), data)
}

// updateWith works in temp, which is on the heap because a cipher.Block gets it.
func (s *DRBGState) updateWith(block cipher.Block, temp, data *[DRBGSeedSize]byte) {
	for i := 0; i < len(temp); i += drbgBlock {
		s.increment()
		block.Encrypt(temp[i:], s.V[:])
	}
	subtle.XORBytes(temp[:], temp[:], data[:])
	copy(s.Key[:], temp[:DRBGKeySize])
	copy(s.V[:], temp[DRBGKeySize:])
}

func (s *DRBGState) cipher() cipher.Block { return drbgCipher(&s.Key) }

func drbgCipher(key *[DRBGKeySize]byte) cipher.Block {
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic("internal error: AES refuses a key of 32 bytes")
	}
	return b
}

// increment adds one to V modulo 2^128.
func (s *DRBGState) increment() {
	lo := binary.BigEndian.Uint64(s.V[8:]) + 1
	binary.BigEndian.PutUint64(s.V[8:], lo)
	if lo == 0 {
		binary.BigEndian.PutUint64(s.V[:8], binary.BigEndian.Uint64(s.V[:8])+1)
	}
}

package crypt

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// primaryLabel keeps the primary seeds' use for keys apart from others. Its zero
// is counted.
const primaryLabel = "Primary Object Creation\x00"

// NewPrimaryGenerator gives the generator for a primary object (Part 1, section
// "Primary Object Creation"; the text leaves the method to the vendor, and this
// is the reference's). The same primary seed, name of the template and sensitive
// data of the creator give the same object, so that an endorsement key is the
// one its certificate was issued for.
//
// The object takes from it, in this order, its key (GenerateRSA, GenerateKey or
// a Read of the size of a symmetric key) and its seed value with one Read.
// Between them an object of the endorsement hierarchy calls Stir with the proof
// value of the storage hierarchy and with that of the endorsement hierarchy.
func NewPrimaryGenerator(seed, templateName, sensitiveData []byte) *DRBGState {
	var s DRBGState
	s.Instantiate(condense(seed, []byte(primaryLabel), templateName, sensitiveData))
	return &s
}

// Stir mixes data, which must not be empty, into the generator of a primary
// object.
func (s *DRBGState) Stir(data []byte) { s.update(condense(data)) }

// condense brings any number of bytes to the size of a seed, as the reference
// does: like Block_Cipher_df of SP 800-90A, section 10.3.2, with three
// differences that keys depend on. The three chains are not computed one after
// the other, each is fed with the sum of all that came before in the same block;
// the two sizes in front replace half of the first chaining value, after a block
// of zeros was taken in, and are not part of the message, which instead begins
// with four zeros; and the output is the chains themselves.
func condense(parts ...[]byte) *[DRBGSeedSize]byte {
	var key [DRBGKeySize]byte
	for i := range key {
		key[i] = byte(i)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("internal error: AES refuses a key of 32 bytes")
	}
	var chains [DRBGSeedSize]byte
	for i := range len(chains) / drbgBlock {
		chains[i*drbgBlock+3] = byte(i)
	}
	var message, sum [drbgBlock]byte
	fold := func() {
		sum = [drbgBlock]byte{}
		for c := chains[:]; len(c) > 0; c = c[drbgBlock:] {
			subtle.XORBytes(sum[:], sum[:], c[:drbgBlock])
			subtle.XORBytes(sum[:], sum[:], message[:])
			block.Encrypt(c, sum[:])
		}
		message = [drbgBlock]byte{}
	}
	fold()
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	binary.BigEndian.PutUint32(chains[:], uint32(total))
	binary.BigEndian.PutUint32(chains[4:], DRBGSeedSize)
	n := 4
	for _, p := range append(parts, []byte{0x80}) {
		for len(p) > 0 {
			c := copy(message[n:], p)
			n, p = n+c, p[c:]
			if n == drbgBlock {
				fold()
				n = 0
			}
		}
	}
	if n > 0 {
		fold()
	}
	return &chains
}

// maxDerivationBits is how much a derivation parent gives to one child.
const maxDerivationBits = 8192

// DerivationGenerator is the generator for a child of a derivation parent (Part
// 1, section "Derivation Parents"): the output of KDFa with the parent's secret
// as its key. A child takes from it what a primary object takes from its own.
type DerivationGenerator struct {
	hash    wire.AlgID
	secret  []byte
	label   string
	context []byte

	counter uint32
	left    []byte // of the block that was not used up
}

// NewDerivationGenerator makes the generator from the hash of the parent's
// scheme, its secret, and the label and context of the child. It keeps the
// slices. A hash that is not supported is refused with TPM_RC_HASH.
func NewDerivationGenerator(hash wire.AlgID, secret, label, context []byte) (*DerivationGenerator, error) {
	if HashSize(hash) == 0 {
		return nil, refuse("derivation", wire.RCHash, "%v is no supported hash", hash)
	}
	return &DerivationGenerator{hash: hash, secret: secret, label: string(label), context: context}, nil
}

// Read fills p with the next bytes. What would take more than 8,192 bits is
// refused with TPM_RC_NO_RESULT and gives nothing. The reference counts whole
// blocks of the hash that were begun.
func (g *DerivationGenerator) Read(p []byte) (int, error) {
	if (int(g.counter)*HashSize(g.hash)+len(p))*8 > maxDerivationBits {
		return 0, refuse("derivation", wire.RCNoResult, "a child takes more than %d bits", maxDerivationBits)
	}
	n := len(p)
	for len(p) > 0 {
		if len(g.left) == 0 {
			g.counter++
			g.left = kdfaBlock(g.hash, g.left[:0], g.secret, g.label, g.context, nil, g.counter, maxDerivationBits)
		}
		c := copy(p, g.left)
		p, g.left = p[c:], g.left[c:]
	}
	return n, nil
}

package crypt

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"sync"

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
	s := new(DRBGState)
	s.Instantiate(condense(seed, []byte(primaryLabel), templateName, sensitiveData))
	return s
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
	c := &condenser{block: condenserKey()}
	for i := range len(c.chains) / drbgBlock {
		c.chains[i*drbgBlock+3] = byte(i)
	}
	c.fold()
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	binary.BigEndian.PutUint32(c.chains[:], uint32(total))
	binary.BigEndian.PutUint32(c.chains[4:], DRBGSeedSize)
	c.n = 4
	for _, p := range parts {
		c.add(p)
	}
	c.add([]byte{0x80})
	if c.n > 0 {
		c.fold()
	}
	return &c.chains
}

// condenserKey is the key of condense, the numbers 0…31.
var condenserKey = sync.OnceValue(func() cipher.Block {
	var key [DRBGKeySize]byte
	for i := range key {
		key[i] = byte(i)
	}
	return drbgCipher(&key)
})

// condenser is condense in progress: n bytes of message wait for the rest of a block.
type condenser struct {
	block        cipher.Block
	chains       [DRBGSeedSize]byte
	message, sum [drbgBlock]byte
	n            int
}

// add takes in p, and folds each block that becomes full.
func (c *condenser) add(p []byte) {
	for len(p) > 0 {
		taken := copy(c.message[c.n:], p)
		c.n, p = c.n+taken, p[taken:]
		if c.n == drbgBlock {
			c.fold()
			c.n = 0
		}
	}
}

// fold takes the message into all chains and clears it.
func (c *condenser) fold() {
	c.sum = [drbgBlock]byte{}
	for chain := c.chains[:]; len(chain) > 0; chain = chain[drbgBlock:] {
		subtle.XORBytes(c.sum[:], c.sum[:], chain[:drbgBlock])
		subtle.XORBytes(c.sum[:], c.sum[:], c.message[:])
		c.block.Encrypt(chain, c.sum[:])
	}
	c.message = [drbgBlock]byte{}
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

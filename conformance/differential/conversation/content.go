package conversation

import (
	"math/rand/v2"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// inputs condenses a command and what its handles are of.
func (c *caller) inputs(x *exchange) uint64 {
	h := fnvBytes(fnvStart, x.sent)
	if !x.sound {
		return h
	}
	for _, handle := range x.command.Handles {
		h = mix(h, c.contentOf(x.code, handle))
	}
	if c.needsProofs(x) {
		h = mix(h, c.proofs)
	}
	return h
}

// needsProofs reports whether a primary object depends on the proof values: the
// seedValue of those in the endorsement hierarchy does, and so does the unique
// field of one without an asymmetric key, which is a hash over it (Part 1,
// section "Primary Seed Properties").
func (c *caller) needsProofs(x *exchange) bool {
	code := tpm2.TPMCC(x.code)
	if code != tpm2.TPMCCCreatePrimary && code != tpm2.TPMCCCreateLoaded || x.command.Handles[0] != uint32(tpm2.TPMRHEndorsement) {
		return false
	}
	in := &wire.Cursor{Rest: x.command.Parameters}
	in.Sized() // inSensitive
	kind := (&wire.Cursor{Rest: in.Sized()}).Alg()
	return kind != tpm2.TPMAlgRSA && kind != tpm2.TPMAlgECC
}

func (c *caller) contentOf(code, handle uint32) uint64 {
	if seed, ok := c.seeds[handle]; ok {
		switch tpm2.TPMCC(code) {
		case tpm2.TPMCCCreatePrimary, tpm2.TPMCCCreateLoaded:
			return seed
		}
		return uint64(handle)
	}
	if s := c.sessions[handle]; s != nil {
		return s.id
	}
	e := c.entities[handle]
	switch {
	case e == nil:
		return uint64(handle)
	case tpm2.TPMCC(code) == tpm2.TPMCCCreateLoaded && e.public.Kind != tpm2.TPMAlgKeyedHash:
		return rand.Uint64() // what is not derived is drawn
	}
	return mix(e.id, fnvBytes(fnvStart, e.qualified)) // where it is from shows in what is made below it
}

// FNV-1a with 64 bits: what is condensed was not made to collide.
const (
	fnvStart = 14695981039346656037
	fnvPrime = 1099511628211
)

func fnvBytes(h uint64, b []byte) uint64 {
	for _, v := range b {
		h = (h ^ uint64(v)) * fnvPrime
	}
	return h
}

// mix condenses another number into h.
func mix(h, n uint64) uint64 {
	for range 8 {
		h = (h ^ n&0xff) * fnvPrime
		n >>= 8
	}
	return h
}

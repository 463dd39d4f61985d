package wire_test

import (
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Public areas and signatures of version 185 (Part 2, tables 217 and 225 to 234).
func TestStructuresOfVersion185(t *testing.T) {
	t.Parallel()
	head := []byte{0, 0x0b, 0, 0, 0, 0x72, 0, 0} // nameAlg, attributes, policy
	for name, tc := range map[string]struct {
		kind tpm2.TPMAlgID
		rest []byte
		want wire.Public
	}{
		"ML-KEM storage": {wire.AlgMLKEM, []byte{0, 6, 0, 128, 0, 0x43, 0, 2, 0, 1, 9}, wire.Public{Set: 2, Unique: [][]byte{{9}}}},
		"ML-KEM":         {wire.AlgMLKEM, []byte{0, 0x10, 0, 3, 0, 0}, wire.Public{Set: 3, Unique: [][]byte{{}}}},
		"ML-DSA":         {wire.AlgMLDSA, []byte{0, 1, 1, 0, 1, 9}, wire.Public{Set: 1, ExternalMu: true, Unique: [][]byte{{9}}}},
		"HashML-DSA":     {wire.AlgHashMLDSA, []byte{0, 1, 0, 0x0b, 0, 1, 9}, wire.Public{Set: 1, Unique: [][]byte{{9}}}},
		"EdDSA":          {tpm2.TPMAlgECC, []byte{0, 0x10, 0, 0x60, 0, 0x40, 0, 0x10, 0, 1, 9, 0, 0}, wire.Public{Scheme: wire.AlgEdDSA, Curve: tpm2.TPMECCCurve25519, Unique: [][]byte{{9}, {}}}},
		"DHKEM":          {tpm2.TPMAlgECC, []byte{0, 0x10, 0, 0x19, 0, 0x0b, 0, 0x03, 0, 0x1f, 0, 0x0b, 0, 1, 9, 0, 1, 8}, wire.Public{Scheme: tpm2.TPMAlgECDH, Curve: tpm2.TPMECCNistP256, Unique: [][]byte{{9}, {8}}}},
	} {
		raw := slices.Concat(wire.U16(uint16(tc.kind)), head, tc.rest)
		p, ok := wire.ParsePublic(raw)
		assert.True(t, ok, name)
		assert.Equal(t, []any{tc.want.Set, tc.want.ExternalMu, tc.want.Scheme, tc.want.Curve, tc.want.Unique}, []any{p.Set, p.ExternalMu, p.Scheme, p.Curve, p.Unique}, name)
		for n := range raw {
			_, ok := wire.ParsePublic(raw[:n])
			assert.False(t, ok, "%s, %d bytes", name, n)
		}
	}
	for scheme, raw := range map[tpm2.TPMAlgID][]byte{
		wire.AlgMLDSA: {0, 0xa1, 0, 1, 9}, wire.AlgEdDSA: {0, 0x60, 0, 1, 9}, wire.AlgHashEdDSA: {0, 0x61, 0, 1, 9}, wire.AlgHashMLDSA: {0, 0xa2, 0, 0x0b, 0, 1, 9},
	} {
		c := &wire.Cursor{Rest: raw}
		s := c.Signature()
		assert.True(t, c.Done(), "%#x", scheme)
		assert.Equal(t, scheme, s.Scheme)
		assert.Equal(t, [][]byte{{9}}, s.Parts)
	}
	for tag, size := range map[byte]int{0x22: 9, 0x26: 9, 0x27: 11} { // TPM_ST_VERIFIED, _MESSAGE_VERIFIED, _DIGEST_VERIFIED
		ticket := append([]byte{0x80, tag, 0x40, 0, 0, 7}, make([]byte, size-6)...)
		ticket[size-2] = 1
		parts, ok := wire.LayoutOf(uint32(wire.CCVerifyDigestSignature)).Split(ticket)
		assert.True(t, ok, "%#x", tag)
		assert.Len(t, parts, 1)
	}
}

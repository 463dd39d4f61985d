package emulator

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// What the limits reckon with is what the largest areas have, to the byte.
func TestLargestAreas(t *testing.T) {
	t.Parallel()
	const digest = 64
	aes := wire.SymDef{Alg: wire.AlgAES, KeyBits: 256, Mode: wire.AlgCFB}
	signing := wire.Scheme{Alg: wire.AlgRSASSA, Hash: wire.AlgSHA512}
	rsa := wire.Public{AuthPolicy: make([]byte, digest), Unique: make([]byte, 3072/8),
		Parms: wire.PublicParms{Type: wire.AlgRSA, Sym: aes, Scheme: signing, KeyBits: 3072}}
	field := make([]byte, wire.MaxECCKey)
	ecc := wire.Public{AuthPolicy: make([]byte, digest), Point: wire.ECPoint{X: field, Y: field},
		Parms: wire.PublicParms{Type: wire.AlgECC, Sym: aes, Scheme: wire.Scheme{Alg: wire.AlgECDAA, Hash: wire.AlgSHA512},
			Curve: wire.CurveBNP638, KDF: wire.Scheme{Alg: wire.AlgKDF2, Hash: wire.AlgSHA512}}}
	for name, tc := range map[string]struct {
		public    wire.Public
		sensitive wire.Sensitive
		drop      []wire.AlgID
	}{
		"RSA": {rsa, wire.Sensitive{Type: wire.AlgRSA, Data: make([]byte, 3072/16)}, nil},
		"ECC": {ecc, wire.Sensitive{Type: wire.AlgKeyedHash, Data: make([]byte, wire.MaxSymData)},
			[]wire.AlgID{wire.AlgRSA, wire.AlgRSASSA, wire.AlgRSAES, wire.AlgRSAPSS, wire.AlgOAEP}},
	} {
		c := Config{Algorithms: DefaultAlgorithms()}
		for _, drop := range tc.drop {
			for i := 0; i < len(c.Algorithms); i++ {
				if c.Algorithms[i] == drop {
					c.Algorithms = append(c.Algorithms[:i], c.Algorithms[i+1:]...)
				}
			}
		}
		algs, err := c.withDefaults().check()
		require.NoError(t, err)
		w := wire.NewWriter(nil)
		w.Public(&tc.public)
		assert.Equal(t, publicSize(digest, algs), w.Len(), name)
		tc.sensitive.Auth, tc.sensitive.Seed = make([]byte, digest), make([]byte, digest)
		w = wire.NewWriter(nil)
		w.Sensitive(&tc.sensitive)
		assert.Equal(t, sensitiveSize(digest, algs), w.Len(), name)
	}
}

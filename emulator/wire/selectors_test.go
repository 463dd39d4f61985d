package wire_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A digest is as long as the largest one of the algorithms at most.
func TestLargestDigestBoundsDigests(t *testing.T) {
	t.Parallel()
	hash := func(alg wire.AlgID, size uint8) wire.Selector {
		return wire.Selector{Alg: alg, Roles: wire.RoleHash, DigestSize: size}
	}
	none := wire.NewSelectors(nil, nil)
	small := wire.NewSelectors([]wire.Selector{hash(wire.AlgSHA1, 20), hash(wire.AlgSHA256, 32)}, nil)
	for name, tc := range map[string]struct {
		algs *wire.Selectors
		size int
		want wire.RC
	}{
		"any":        {nil, 64, wire.RCSuccess},
		"any, large": {nil, 65, wire.RCSize},
		"no hash":    {none, 64, wire.RCSuccess},
		"fits":       {small, 32, wire.RCSuccess},
		"too large":  {small, 33, wire.RCSize},
	} {
		w := wire.NewWriter(nil)
		w.Sized(make([]byte, tc.size))
		r := wire.NewReader(w.Data(), tc.algs)
		got := r.Digest()
		assert.Equal(t, tc.want, r.RC(), name)
		if tc.want == wire.RCSuccess {
			assert.Len(t, got, tc.size, name)
		}
	}
}

func TestCurveNames(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "NIST_P256", wire.CurveNISTP256.String())
	assert.Equal(t, "BN_P638", wire.CurveBNP638.String())
	assert.Equal(t, "CURVE(0x7777)", wire.Curve(0x7777).String())
}

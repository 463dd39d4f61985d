package wire_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// u16s is a sequence of 16-bit values.
func u16s(list ...uint16) []byte {
	var b []byte
	for _, v := range list {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

const null = uint16(wire.AlgNull)

// parms are well-formed TPMT_PUBLIC_PARMS for the selectors of algs.
func parms() map[string][]byte {
	return map[string][]byte{
		"keyedhash null": u16s(8, null),
		"keyedhash hmac": u16s(8, 5, 0xB),
		"keyedhash xor":  u16s(8, 0xA, 0xB, 0x22),
		"symcipher":      u16s(0x25, 6, 128, 0x43),
		"rsa":            u16s(1, null, null, 2048, 0, 0),
		"rsa storage":    u16s(1, 6, 128, 0x43, null, 2048, 1, 1),
		"rsa ssa":        u16s(1, null, 0x14, 0xB, 2048, 0, 0),
		"rsa es":         u16s(1, null, 0x15, 2048, 0, 0),
		"ecc":            u16s(0x23, null, null, 3, null),
		"ecc dsa":        u16s(0x23, null, 0x18, 4, 3, 0x22, 0xB),
		"ecc daa":        u16s(0x23, null, 0x1A, 4, 7, 3, null),
	}
}

func decodeParms(b []byte) (wire.PublicParms, wire.Reader) {
	var p wire.PublicParms
	r := wire.NewReader(b, algs())
	r.PublicParms(&p)
	return p, r
}

func TestPublicParmsRoundTrip(t *testing.T) {
	t.Parallel()
	for name, b := range parms() {
		p, r := decodeParms(b)
		require.Equal(t, wire.RCSuccess, r.RC(), name)
		require.Zero(t, r.Len(), name)
		var w wire.Writer
		w.PublicParms(&p)
		assert.Equal(t, b, w.Data(), name)
		theirs, err := tpm2.Unmarshal[tpm2.TPMTPublicParms](b)
		require.NoError(t, err, name)
		assert.Equal(t, b, tpm2.Marshal(*theirs), name)
		for n := range b {
			_, r := decodeParms(b[:n])
			assert.Equal(t, wire.RCInsufficient, r.RC(), "%s cut to %d", name, n)
		}
	}
}

func TestPublicParmsErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		b    []byte
		want wire.RC
	}{
		{"type", u16s(0xB), wire.RCType},
		{"null type", u16s(null), wire.RCType},
		{"keyedhash scheme", u16s(8, 0x14), wire.RCValue},
		{"hmac hash", u16s(8, 5, 0xC), wire.RCHash},
		{"hmac null hash", u16s(8, 5, null), wire.RCHash},
		{"xor kdf", u16s(8, 0xA, 0xB, 0x20), wire.RCKDF},
		{"symcipher null", u16s(0x25, null), wire.RCSymmetric},
		{"symcipher cipher", u16s(0x25, 3), wire.RCSymmetric},
		{"symcipher bits", u16s(0x25, 6, 256), wire.RCValue},
		{"symcipher mode", u16s(0x25, 6, 128, 0x42), wire.RCMode},
		{"rsa symmetric", u16s(1, 3), wire.RCSymmetric},
		{"rsa scheme", u16s(1, null, 0x18), wire.RCValue},
		{"rsa scheme hash", u16s(1, null, 0x14, 0xD), wire.RCHash},
		{"rsa bits", u16s(1, null, null, 1024), wire.RCValue},
		{"ecc scheme", u16s(0x23, null, 0x14), wire.RCScheme},
		{"ecc scheme hash", u16s(0x23, null, 0x18, 0), wire.RCHash},
		{"ecc curve", u16s(0x23, null, null, 4), wire.RCCurve},
		{"ecc kdf", u16s(0x23, null, null, 3, 0x20), wire.RCKDF},
		{"ecc kdf hash", u16s(0x23, null, null, 3, 0x22, 0), wire.RCHash},
	} {
		_, r := decodeParms(tc.b)
		assert.Equal(t, tc.want, r.RC(), tc.name)
	}
}

func FuzzPublicParms(f *testing.F) {
	for _, b := range parms() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, r := decodeParms(b)
		if r.RC() != wire.RCSuccess {
			return
		}
		var w wire.Writer
		w.PublicParms(&p)
		require.True(t, bytes.Equal(b[:len(b)-r.Len()], w.Data()), "%x is %x", b, w.Data())
	})
}

func FuzzLists(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0xB, 3, 1, 2, 3})
	f.Add(append([]byte{0, 0, 0, 1, 0, 4}, make([]byte, 20)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := wire.NewReader(b, algs())
		var sel wire.PCRSelections
		r.PCRSelections(&sel)
		if r.RC() == wire.RCSuccess {
			var w wire.Writer
			w.PCRSelections(sel.Slice())
			require.True(t, bytes.Equal(b[:len(b)-r.Len()], w.Data()))
		}
		r = wire.NewReader(b, algs())
		var dig wire.DigestValues
		r.DigestValues(&dig)
		if r.RC() == wire.RCSuccess {
			var w wire.Writer
			w.DigestValues(dig.Slice())
			require.True(t, bytes.Equal(b[:len(b)-r.Len()], w.Data()))
		}
		r = wire.NewReader(b, nil)
		var a wire.AuthCommand
		r.AuthCommand(&a, 64)
		if r.RC() == wire.RCSuccess {
			var w wire.Writer
			w.AuthCommand(&a)
			require.True(t, bytes.Equal(b[:len(b)-r.Len()], w.Data()))
		}
	})
}

package wire_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// An independent implementation writes the same TPM2B_NV_PUBLIC, and it reads
// back.
func TestNVPublicRoundTrip(t *testing.T) {
	t.Parallel()
	want := wire.NVPublic{Index: 0x01C00002, NameAlg: wire.AlgSHA256, Policy: bytes.Repeat([]byte{1}, 32), Size: 1000,
		Attributes: wire.NVOwnerRead | wire.NVPolicyWrite | wire.NTCounter.Attributes() | wire.NVNoDA}
	other := tpm2.New2B(tpm2.TPMSNVPublic{NVIndex: 0x01C00002, NameAlg: tpm2.TPMAlgSHA256, DataSize: 1000,
		AuthPolicy: tpm2.TPM2BDigest{Buffer: want.Policy},
		Attributes: tpm2.TPMANV{OwnerRead: true, PolicyWrite: true, NT: tpm2.TPMNTCounter, NoDA: true}})
	var w wire.Writer
	w.NVPublic(&want)
	assert.Equal(t, tpm2.Marshal(other), w.Data())
	var area wire.Writer
	area.NVPublicArea(&want)
	assert.Equal(t, w.Data()[2:], area.Data())

	var got wire.NVPublic
	r := wire.NewReader(append(w.Data(), 9), algs())
	r.NVPublic(&got, 1000)
	require.Equal(t, wire.RCSuccess, r.RC())
	assert.Equal(t, want, got)
	assert.Equal(t, 1, r.Len())
	for n := range w.Len() {
		r := wire.NewReader(w.Data()[:n], algs())
		r.NVPublic(&got, 1000)
		assert.Equal(t, wire.RCInsufficient, r.RC(), "%d octets", n)
	}
}

// Of several things that are wrong the first one counts.
func TestNVPublicErrors(t *testing.T) {
	t.Parallel()
	good := wire.NVPublic{Index: 0x01000000, NameAlg: wire.AlgSHA256, Size: 8}
	for _, tc := range []struct {
		name   string
		change func(*wire.NVPublic)
		want   wire.RC
	}{
		{"handle", func(p *wire.NVPublic) { p.Index, p.NameAlg = 0x02000000, wire.AlgRSA }, wire.RCValue},
		{"hash", func(p *wire.NVPublic) { p.NameAlg, p.Attributes = wire.AlgNull, 1<<8 }, wire.RCHash},
		{"attributes", func(p *wire.NVPublic) { p.Attributes, p.Size = 1<<24, 9 }, wire.RCReservedBits},
		{"policy", func(p *wire.NVPublic) { p.Policy = make([]byte, 65) }, wire.RCSize},
		{"size", func(p *wire.NVPublic) { p.Size = 9 }, wire.RCSize},
	} {
		p := good
		tc.change(&p)
		var w wire.Writer
		w.NVPublic(&p)
		r := wire.NewReader(w.Data(), algs())
		r.NVPublic(&p, 8)
		assert.Equal(t, tc.want, r.RC(), tc.name)
	}
	for _, size := range []uint16{0, 13, 15, 0xFFFF} {
		var w wire.Writer
		w.NVPublic(&good)
		w.SetU16(0, size)
		r := wire.NewReader(append(w.Data(), 0, 0), algs())
		var p wire.NVPublic
		r.NVPublic(&p, 8)
		assert.Equal(t, wire.RCSize, r.RC(), size)
	}
}

func TestCommandCodes(t *testing.T) {
	t.Parallel()
	list := func(n uint32, codes ...uint32) []byte {
		b := binary.BigEndian.AppendUint32(nil, n)
		for _, c := range codes {
			b = binary.BigEndian.AppendUint32(b, c)
		}
		return b
	}
	r := wire.NewReader(list(2, 0x11F, 0xFFFFFFFF, 7), nil)
	codes := r.CommandCodes(2)
	assert.Equal(t, []wire.CC{0x11F, 0xFFFFFFFF}, slices.Collect(codes.All()))
	for c := range codes.All() {
		assert.EqualValues(t, 0x11F, c)
		break
	}
	assert.Equal(t, 4, r.Len())
	for _, tc := range []struct {
		b    []byte
		want wire.RC
	}{
		{list(0), wire.RCSuccess}, {list(3, 1, 2, 3), wire.RCSize}, {list(0xFFFFFFFF), wire.RCSize},
		{list(2, 1), wire.RCInsufficient}, {list(2, 1)[:3], wire.RCInsufficient},
	} {
		r := wire.NewReader(tc.b, nil)
		assert.Empty(t, slices.Collect(r.CommandCodes(2).All()))
		assert.Equal(t, tc.want, r.RC())
	}
}

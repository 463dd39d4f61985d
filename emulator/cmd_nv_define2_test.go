package emulator_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, nv2Packets) }

// indexArea is the TPMS_NV_PUBLIC of an ordinary index of 8 bytes.
var indexArea = bytes.Join([][]byte{et.U32(uint32(nvFirst)), et.U16(uint16(wire.AlgSHA256)), et.U32(uint32(nvUsable)), et.Sized(nil), et.U16(8)}, nil)

// define2 is TPM2_NV_DefineSpace2 by the owner.
func define2(auth []byte, kind wire.HT, area ...[]byte) []byte {
	return et.Command(wire.CCNVDefineSpace2, handles{wire.RHOwner}, et.NoAuth(), et.Sized(auth),
		et.Sized(append([]byte{byte(kind)}, bytes.Join(area, nil)...)))
}

var readPublic2 = et.Command(wire.CCNVReadPublic2, handles{nvFirst}, nil)

func nv2Packets() []packet {
	return []packet{
		{name: "NV_DefineSpace2", code: wire.CCNVDefineSpace2, bytes: define2(pw, wire.HTNVIndex, indexArea)},
		{name: "NV_ReadPublic2", code: wire.CCNVReadPublic2, bytes: readPublic2, before: [][]byte{defined(wire.NTOrdinary)}},
	}
}

// TPM2_NV_DefineSpace2 makes the same index as TPM2_NV_DefineSpace does, with the
// same Name, and both commands read it.
func TestNVDefineSpace2(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	succeed(t, tpm, define2(pw, wire.HTNVIndex, indexArea))
	public := sizedList(t, et.Parameters(tpm.Execute(0, et.Command(wire.CCNVReadPublic, handles{nvFirst}, nil)), false), 2)
	assert.Equal(t, indexArea, public[0])
	public2 := sizedList(t, et.Parameters(tpm.Execute(0, readPublic2), false), 2)
	assert.Equal(t, append([]byte{1}, indexArea...), public2[0])
	assert.Equal(t, append(et.U16(uint16(wire.AlgSHA256)), sha(indexArea)...), public2[1])
	assert.Equal(t, public[1], public2[1])
	succeed(t, tpm, nvWrite(nvFirst, nvFirst, pw, []byte("data"), 0))
	assert.Equal(t, wire.RCNVDefined, send(t, tpm, define2(pw, wire.HTNVIndex, indexArea)))
	assert.Equal(t, wire.RCNVDefined, send(t, tpm, define(wire.RHOwner, nvPublic{}, nil)))
}

func TestNVDefineSpace2Refuses(t *testing.T) {
	t.Parallel()
	index := func(h wire.Handle) []byte { return et.U32(uint32(h)) }
	rest := indexArea[10:] // behind the attributes
	hash, attributes := et.U16(uint16(wire.AlgSHA256)), et.U32(uint32(nvUsable))
	external := func(h wire.Handle, alg wire.AlgID, upper uint32, lower wire.NVAttributes) []byte {
		return define2(nil, wire.HTExternalNV, index(h), et.U16(uint16(alg)), et.U32(upper), et.U32(uint32(lower)), rest)
	}
	const externalFirst = wire.Handle(0x11000000)
	for name, tc := range map[string]struct {
		command []byte
		want    wire.RC
	}{
		"no type":                  {define2(nil, 0, indexArea), wire.RCSelector.Parameter(2)},
		"type that is none of NV":  {define2(nil, wire.HTPersistent, indexArea), wire.RCSelector.Parameter(2)},
		"handle of another type":   {define2(nil, wire.HTNVIndex, index(externalFirst), hash, attributes, rest), wire.RCValue.Parameter(2)},
		"hash":                     {define2(nil, wire.HTNVIndex, index(nvFirst), et.U16(uint16(wire.AlgNull)), attributes, rest), wire.RCHash.Parameter(2)},
		"reserved bits":            {define2(nil, wire.HTNVIndex, index(nvFirst), hash, et.U32(uint32(nvUsable|1<<8)), rest), wire.RCReservedBits.Parameter(2)},
		"trailing in the area":     {define2(nil, wire.HTNVIndex, indexArea, []byte{0}), wire.RCSize.Parameter(2)},
		"permanent":                {define2(nil, wire.HTPermanentNV, indexArea), wire.RCHandle.Parameter(2)},
		"permanent with its type":  {define2(nil, wire.HTPermanentNV, index(0x12000000), hash, attributes, rest), wire.RCValue.Parameter(2)},
		"external":                 {external(externalFirst, wire.AlgSHA256, 7, nvUsable), wire.RCHandle.Parameter(2)},
		"external without type":    {external(nvFirst, wire.AlgSHA256, 0, nvUsable), wire.RCValue.Parameter(2)},
		"external, hash":           {external(externalFirst, wire.AlgNull, 8, nvUsable), wire.RCHash.Parameter(2)},
		"external, reserved above": {external(externalFirst, wire.AlgSHA256, 8, nvUsable), wire.RCReservedBits.Parameter(2)},
		"external, reserved below": {external(externalFirst, wire.AlgSHA256, 0, nvUsable|1<<8), wire.RCReservedBits.Parameter(2)},
		"external, short":          {define2(nil, wire.HTExternalNV, indexArea[:10]), wire.RCValue.Parameter(2)},
		"authValue":                {define2(make([]byte, 33), wire.HTNVIndex, indexArea), wire.RCSuccess},
		"too long an authValue":    {define2(bytes.Repeat([]byte{1}, 33), wire.HTNVIndex, indexArea), wire.RCSize.Parameter(1)},
		"not for the owner":        {define2(nil, wire.HTNVIndex, index(nvFirst), hash, et.U32(uint32(nvUsable|wire.NVPlatformCreate)), rest), wire.RCAttributes.Handle(1)},
	} {
		assert.Equal(t, tc.want, send(t, et.New(t), tc.command), name)
	}
	tpm := et.New(t)
	require.Equal(t, wire.RCHandle.Handle(1), send(t, tpm, readPublic2), "not defined")
	for _, h := range []wire.Handle{externalFirst, 0x12000000} {
		assert.Equal(t, wire.RCValue.Handle(1), send(t, tpm, et.Command(wire.CCNVReadPublic2, handles{h}, nil)), "%#x", h)
	}
}

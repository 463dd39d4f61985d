package wire_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// eccPublic is a TPMT_PUBLIC of a P-256 key without policy, cipher, scheme and KDF.
var eccPublic = []byte{
	0x00, 0x23, 0x00, 0x0b, 0x00, 0x04, 0x00, 0x72, 0, 0, // ECC, SHA-256, attributes, policy
	0x00, 0x10, 0x00, 0x10, 0x00, 0x03, 0x00, 0x10, // NULL, NULL, P-256, NULL
	0x00, 0x01, 0xaa, 0x00, 0x02, 0xbb, 0xcc,
}

func TestParsePublic(t *testing.T) {
	t.Parallel()
	p, ok := wire.ParsePublic(eccPublic)
	assert.True(t, ok)
	assert.Equal(t, tpm2.TPMECCNistP256, p.Curve)
	assert.Equal(t, [][]byte{{0xaa}, {0xbb, 0xcc}}, p.Unique)
	point := p.Point()
	assert.Len(t, point, 65)
	assert.Equal(t, byte(0xaa), point[32], "coordinates are filled up in front")
	assert.Equal(t, wire.NameOf(tpm2.TPMAlgSHA256, eccPublic), p.Name())
	for n := range eccPublic {
		_, ok := wire.ParsePublic(eccPublic[:n])
		assert.False(t, ok, "%d bytes", n)
	}
	_, ok = wire.ParsePublic(append(eccPublic[:len(eccPublic):len(eccPublic)], 0))
	assert.False(t, ok, "a byte too many")
}

func TestCommandsAreTakenApart(t *testing.T) {
	t.Parallel()
	p := conformance.Packet{
		Code: uint32(tpm2.TPMCCPCRExtend), Handles: []uint32{16},
		Sessions: []conformance.Session{conformance.Password([]byte("auth"))}, Parameters: wire.U32(0),
	}
	raw := p.Bytes()
	command, ok := wire.ParseCommand(raw)
	assert.True(t, ok)
	assert.Equal(t, p.Handles, command.Handles)
	assert.Equal(t, p.Parameters, command.Parameters)
	assert.Equal(t, uint32(16), wire.HandleIn(raw, 0))
	assert.Equal(t, uint32(16), wire.HandleIn(raw, -1))
	assert.Zero(t, wire.HandleIn(raw, 1))
	sessions, ok := wire.Sessions(raw)
	assert.True(t, ok)
	assert.Equal(t, []byte("auth"), sessions[0].HMAC)
	raw[17]-- // authorizationSize
	_, ok = wire.Sessions(raw)
	assert.False(t, ok)
	leading, sound := wire.LeadingSessions(raw)
	assert.False(t, sound)
	assert.Empty(t, leading)
}

func FuzzStructures(f *testing.F) {
	f.Add(uint32(tpm2.TPMCCCreatePrimary), eccPublic)
	f.Add(uint32(tpm2.TPMCCQuote), []byte{0, 2, 0xff, 0x54, 0, 0x14, 0, 0x0b, 0, 1, 7})
	f.Add(uint32(tpm2.TPMCCGetCapability), []byte{0, 0, 0, 0, 1, 0, 0, 0, 1, 0x81, 0, 0, 1})
	f.Fuzz(func(t *testing.T, code uint32, b []byte) {
		if p, ok := wire.ParsePublic(b); ok {
			p.Name()
			p.Point()
			assert.LessOrEqual(t, p.UniqueAt, len(b))
		}
		wire.ParseAttest(b)
		wire.AuthOf(b)
		if parts, ok := wire.LayoutOf(code).Split(b); ok {
			n := 0
			for _, part := range parts {
				n += len(part)
			}
			assert.Equal(t, len(b), n, "fields are all of the parameters")
		}
		if page, err := wire.ParseCapability(b); err == nil {
			assert.LessOrEqual(t, len(page.Entries), len(b))
		}
		if _, ok := wire.ParseCommand(b); ok {
			sessions, _ := wire.LeadingSessions(b)
			assert.LessOrEqual(t, len(sessions), len(b))
			wire.HandleIn(b, -1)
		}
	})
}

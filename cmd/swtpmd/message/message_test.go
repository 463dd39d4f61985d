package message_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-tpm/tpm2"
	tpmtransport "github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/message"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// recorded is a TPM that keeps the commands and responses of go-tpm.
type recorded struct {
	tpmtransport.TPM
	command, response []byte
}

func (r *recorded) Send(command []byte) (response []byte, err error) {
	response, err = r.TPM.Send(command)
	r.command, r.response = bytes.Clone(command), bytes.Clone(response)
	return response, err
}

// What go-tpm sends to the emulator, taken apart.
func TestParse(t *testing.T) {
	t.Parallel()
	tpm := &recorded{TPM: emulatortest.New(t).Client()}

	_, err := tpm2.GetRandom{BytesRequested: 8}.Execute(tpm)
	require.NoError(t, err)
	c := message.ParseCommand(tpm.command)
	assert.Equal(t, message.Command{Code: wire.CCGetRandom, Parameters: []byte{0, 8}, Sound: true}, c)
	assert.Equal(t, "TPM2_GetRandom", c.Name())
	assert.Empty(t, c.All())
	p := message.ParseResponse(c.Code, tpm.response)
	assert.True(t, p.Sound)
	assert.Len(t, p.Parameters, 2+8)

	primary, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
	require.NoError(t, err)
	c = message.ParseCommand(tpm.command)
	assert.True(t, c.Sound)
	assert.Equal(t, []wire.Handle{wire.RHOwner}, c.Handles)
	assert.Equal(t, []message.Session{{Handle: wire.RSPW, Nonce: []byte{}, HMAC: []byte{}}}, c.Sessions)
	p = message.ParseResponse(c.Code, tpm.response)
	assert.True(t, p.Sound)
	assert.True(t, p.HasHandle)
	assert.EqualValues(t, primary.ObjectHandle, p.Handle)
	assert.Equal(t, tpm2.Marshal(primary.OutPublic), p.Parameters[:len(tpm2.Marshal(primary.OutPublic))])
	assert.Len(t, p.Sessions, 1)

	_, err = tpm2.FlushContext{FlushHandle: primary.ObjectHandle}.Execute(tpm)
	require.NoError(t, err)
	c = message.ParseCommand(tpm.command)
	flushed, ok := c.Flushes()
	assert.True(t, ok)
	assert.EqualValues(t, primary.ObjectHandle, flushed)
	assert.Equal(t, []wire.Handle{flushed}, c.All(), "it is among the parameters")

	_, err = tpm2.ReadPublic{ObjectHandle: primary.ObjectHandle}.Execute(tpm)
	require.Error(t, err)
	p = message.ParseResponse(wire.CCReadPublic, tpm.response)
	assert.Equal(t, message.Response{Code: p.Code, Sound: true}, p)
	assert.Equal(t, "TPM_RC_REFERENCE_H0", p.Code.Base().String())
}

// pcrExtend is TPM2_PCR_Extend of PCR 10 with one session.
const pcrExtend = "8002 0000002D 00000182 0000000A 0000000D 40000009 0002 AABB 01 0002 CCDD 00000001 000B 0102030405060708"

// A command or response that is cut off anywhere is not sound, and keeps what was whole.
func TestWhatIsCutOff(t *testing.T) {
	t.Parallel()
	whole := transporttest.Hex(t, pcrExtend)
	transport.SetSize(whole)
	c := message.ParseCommand(whole)
	require.True(t, c.Sound)
	require.Equal(t, []message.Session{{Handle: wire.RSPW, Nonce: []byte{0xAA, 0xBB}, Attributes: 1, HMAC: []byte{0xCC, 0xDD}}}, c.Sessions)
	const areas = transport.HeaderSize + 4 + 4 + 13
	for n := range areas {
		short := bytes.Clone(whole[:n])
		assert.False(t, message.ParseCommand(short).Sound, "%d octets, and another size field", n)
		if n >= transport.HeaderSize {
			transport.SetSize(short)
			c := message.ParseCommand(short)
			assert.False(t, c.Sound, "%d octets", n)
			assert.Equal(t, wire.CCPCRExtend, c.Code)
			assert.Equal(t, n >= transport.HeaderSize+4, len(c.Handles) == 1, "%d octets", n)
		}
	}

	response := transporttest.Hex(t, "8002 00000000 00000000 80000001 00000002 ABCD 0000 01 0000")
	transport.SetSize(response)
	p := message.ParseResponse(wire.CCCreatePrimary, response)
	require.Equal(t, message.Response{Handle: 0x80000001, HasHandle: true, Parameters: []byte{0xAB, 0xCD},
		Sessions: []message.Session{{Nonce: []byte{}, Attributes: 1, HMAC: []byte{}}}, Sound: true}, p)
	for n := transport.HeaderSize; n < transport.HeaderSize+10; n++ {
		short := bytes.Clone(response[:n])
		transport.SetSize(short)
		assert.False(t, message.ParseResponse(wire.CCCreatePrimary, short).Sound, "%d octets", n)
	}
}

// A fourth session is one too many (TPM 2.0 Library Part 1, section "Authorization Area").
func TestFourSessions(t *testing.T) {
	t.Parallel()
	for n, sound := range map[int]bool{3: true, 4: false} {
		area := bytes.Repeat(transporttest.Hex(t, "40000009 0000 00 0000"), n)
		body := binary.BigEndian.AppendUint32(transporttest.Hex(t, "0000000A"), uint32(len(area)))
		c := message.ParseCommand(transport.NewCommand(transport.TagSessions, uint32(wire.CCPCRExtend), append(body, area...)))
		assert.Equal(t, sound, c.Sound, "%d sessions", n)
	}
}

// An unknown code has a number for a name, and areas that nobody can tell apart.
func TestUnknownCode(t *testing.T) {
	t.Parallel()
	c := message.ParseCommand(transport.NewCommand(transport.TagNoSessions, 0x20001234, []byte{1, 2}))
	assert.False(t, c.Sound)
	assert.Empty(t, c.Parameters)
	assert.Contains(t, c.Name(), "20001234")
}

func TestHandleNames(t *testing.T) {
	t.Parallel()
	for handle, name := range map[wire.Handle]string{
		0x0000000A: "PCR10",
		0x01C00002: "NV:0x01c00002",
		0x02000001: "session:0x02000001",
		0x03000001: "session:0x03000001",
		0x40000001: "TPM_RH_OWNER",
		0x40000009: "TPM_RS_PW",
		0x40000110: "TPM_RH_ACT_0",
		0x4000011F: "TPM_RH_ACT_F",
		0x80000000: "object:0x80000000",
		0x81010001: "persistent:0x81010001",
		0x90000000: "0x90000000",
	} {
		assert.Equal(t, name, message.Handle(handle))
	}
}

// Whatever is in a capture is taken apart without reading past it, and what is sound is
// all there.
func FuzzParse(f *testing.F) {
	extend := transporttest.Hex(f, pcrExtend)
	transport.SetSize(extend)
	f.Add(extend, transporttest.Hex(f, "8001 0000000A 00000101"))
	f.Add(transporttest.Hex(f, "8001 0000000C 0000017B 0008"), transporttest.Hex(f, "8001 00000014 00000000 0008 0102030405060708"))
	f.Fuzz(func(t *testing.T, command, response []byte) {
		c := message.ParseCommand(command)
		n := transport.HeaderSize + 4*len(c.Handles)
		if len(c.Sessions) > 0 || c.Sound && binary.BigEndian.Uint16(command) == transport.TagSessions {
			n += 4
		}
		for _, s := range c.Sessions {
			n += 9 + len(s.Nonce) + len(s.HMAC)
		}
		if n += len(c.Parameters); c.Sound && n != len(command) {
			t.Errorf("%x: the areas have %d octets", command, n)
		}
		for _, h := range c.All() {
			if message.Handle(h) == "" {
				t.Errorf("%x has no name", uint32(h))
			}
		}
		p := message.ParseResponse(c.Code, response)
		n = transport.HeaderSize + len(p.Parameters)
		if p.HasHandle {
			n += 4
		}
		if p.Sound && p.Code == wire.RCSuccess && binary.BigEndian.Uint16(response) == transport.TagSessions {
			n += 4
		}
		for _, s := range p.Sessions {
			n += 5 + len(s.Nonce) + len(s.HMAC)
		}
		if p.Sound && n != len(response) {
			t.Errorf("%x: the areas have %d octets", response, n)
		}
	})
}

package transport_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/transport"
)

func TestHeader(t *testing.T) {
	startup := []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0}
	assert.Equal(t, startup, transport.NewCommand(transport.TagNoSessions, 0x144, []byte{0}, []byte{0}))
	h, ok := transport.ParseHeader(startup)
	assert.True(t, ok)
	assert.Equal(t, transport.Header{Tag: transport.TagNoSessions, Size: 12, Code: 0x144}, h)
	code, ok := transport.CommandCode(startup)
	assert.True(t, ok)
	assert.EqualValues(t, 0x144, code)

	response := transport.AppendResponse([]byte{7}, 0x101)
	assert.Equal(t, []byte{7, 0x80, 0x01, 0, 0, 0, 10, 0, 0, 1, 1}, response)
	assert.EqualValues(t, 0x101, transport.ResponseCode(response[1:]))

	_, ok = transport.ParseHeader(startup[:9])
	assert.False(t, ok)
	_, ok = transport.CommandCode(nil)
	assert.False(t, ok)
	assert.Equal(t, transport.RCFailure, transport.ResponseCode(startup[:9]))

	longer := append(startup, 1)
	transport.SetSize(longer)
	assert.EqualValues(t, 13, longer[5])
}

// The codes are those of TPM 2.0 Library Part 2, section "TPM_RC", rev 1.59.
func TestClassOf(t *testing.T) {
	for code, want := range map[uint32]transport.RCClass{
		0x000: transport.ClassSuccess,
		0x01E: transport.ClassTPM12,     // TPM_RC_BAD_TAG
		0x100: transport.ClassError,     // TPM_RC_INITIALIZE
		0x101: transport.ClassError,     // TPM_RC_FAILURE
		0x142: transport.ClassError,     // TPM_RC_COMMAND_SIZE
		0x907: transport.ClassWarning,   // TPM_RC_LOCALITY
		0x922: transport.ClassWarning,   // TPM_RC_RETRY
		0x08B: transport.ClassParameter, // TPM_RC_HANDLE
		0x18B: transport.ClassParameter, // of the first handle
		0x9A2: transport.ClassParameter, // TPM_RC_BAD_AUTH of the first session
		0x1C4: transport.ClassParameter, // TPM_RC_VALUE of the first parameter
		0x501: transport.ClassVendor,
	} {
		assert.Equal(t, want, transport.ClassOf(code), "%#x", code)
	}
	assert.EqualValues(t, 0x08B, transport.RCBase(0x18B))
	assert.EqualValues(t, 0x0A2, transport.RCBase(0x9A2))
	assert.EqualValues(t, 0x084, transport.RCBase(0x1C4))
	assert.EqualValues(t, 0x907, transport.RCBase(0x907))
}

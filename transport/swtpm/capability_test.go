package swtpm_test

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func capabilities(t *testing.T, r *rig) swtpm.Capability {
	t.Helper()
	reply := transporttest.Hex(t, r.dialControl().Ask("00000001"))
	require.Len(t, reply, 8)
	require.Zero(t, binary.BigEndian.Uint32(reply))
	return swtpm.Capability(binary.BigEndian.Uint32(reply[4:]))
}

// TestCapabilitiesFollowTheDevice: what a device cannot do is neither
// announced nor done.
func TestCapabilitiesFollowTheDevice(t *testing.T) {
	t.Parallel()
	plain := transporttest.Plain(func(context.Context, uint8, []byte) ([]byte, error) {
		return transport.AppendResponse(nil, transport.RCSuccess), nil
	})
	r := serve(t, plain, swtpm.Options{})
	const absent = swtpm.CapInit | swtpm.CapStop | swtpm.CapHashing | swtpm.CapCancelTPMCmd |
		swtpm.CapGetTPMEstablished | swtpm.CapResetTPMEstablished | swtpm.CapSetBufferSize
	assert.Zero(t, capabilities(t, r)&absent)
	control := r.dialControl()
	for _, request := range []string{
		"00000002 00000000", "00000004", "00000006", "00000007 00000002 AABB", "00000008",
		"00000009", "0000000B 03", "0000000E", "00000011 00000000",
	} {
		assert.Equal(t, "0000000a", control.Ask(request), request)
	}
	assert.Equal(t, rcSuccess, r.dialData().Ask(startup), "a TPM without a switch has power")
}

func TestHideCapabilities(t *testing.T) {
	t.Parallel()
	r := serve(t, &transporttest.TPM{}, swtpm.Options{HideCapabilities: swtpm.CapStop})
	assert.Zero(t, capabilities(t, r)&swtpm.CapStop)
	assert.Equal(t, "00000000", r.dialControl().Ask("0000000E"))
}

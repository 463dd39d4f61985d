package emulator_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/assert"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, channelPackets) }

func channelPackets() []packet {
	return []packet{
		{name: "PolicyTransportSPDM", code: wire.CCPolicyTransportSPDM, bytes: transportSPDM(nil, nil), before: [][]byte{startSession(wire.SEPolicy)}},
		{name: "SetAlgorithmSet", code: wire.CCSetAlgorithmSet, bytes: et.Command(wire.CCSetAlgorithmSet, handles{wire.RHPlatform}, et.NoAuth(), et.U32(7))},
	}
}

// transportSPDM is TPM2_PolicyTransportSPDM of the first session.
func transportSPDM(requester, tpm []byte) []byte {
	return et.Command(wire.CCPolicyTransportSPDM, handles{policySession}, nil, et.Sized(requester), et.Sized(tpm))
}

func TestPolicyTransportSPDM(t *testing.T) {
	t.Parallel()
	name := append(et.U16(uint16(wire.AlgSHA256)), make([]byte, 32)...)
	keys := sha256.Sum256(append(et.Sized(name), 0, 0))
	for _, tc := range []struct{ requester, hash []byte }{{nil, nil}, {name, keys[:]}} {
		for _, kind := range []wire.SE{wire.SEPolicy, wire.SETrial} {
			tpm := with(t, startSession(kind), transportSPDM(tc.requester, nil))
			want := sha256.Sum256(append(append(make([]byte, 32), et.U32(uint32(wire.CCPolicyTransportSPDM))...), tc.hash...))
			r := answer(t, tpm, et.Command(wire.CCPolicyGetDigest, handles{policySession}, nil))
			assert.Equal(t, want[:], r.Sized(64))
			assert.Equal(t, wire.RCValue, send(t, tpm, transportSPDM(nil, nil)), "once")
		}
	}
	for name, tc := range map[string]struct {
		requester, tpm []byte
		want           wire.RC
	}{
		"an octet":       {[]byte{0}, nil, wire.RCSize.Parameter(1)},
		"no hash":        {nil, append(et.U16(uint16(wire.AlgRSA)), name[2:]...), wire.RCHash.Parameter(2)},
		"cut":            {name[:33], nil, wire.RCSize.Parameter(1)},
		"another digest": {name, append(et.U16(uint16(wire.AlgSHA1)), name[2:]...), wire.RCSize.Parameter(2)},
		"too long":       {make([]byte, 67), nil, wire.RCSize.Parameter(1)},
	} {
		assert.Equal(t, tc.want, send(t, with(t, startSession(wire.SEPolicy)), transportSPDM(tc.requester, tc.tpm)), name)
	}
}

// There is no secure channel to satisfy the policy.
func TestNoSecureChannel(t *testing.T) {
	t.Parallel()
	policy := sha256.Sum256(append(make([]byte, 32), et.U32(uint32(wire.CCPolicyTransportSPDM))...))
	tpm := with(t, et.Command(wire.CCSetPrimaryPolicy, handles{wire.RHOwner}, et.NoAuth(), et.Sized(policy[:]), et.U16(uint16(wire.AlgSHA256))),
		startSession(wire.SEPolicy), transportSPDM(nil, nil))
	adjust := et.CommandWithSessions(wire.CCClockRateAdjust, handles{wire.RHOwner}, []wire.AuthCommand{{Session: policySession}}, et.U8(0))
	assert.Equal(t, wire.RCChannel.Session(1), send(t, tpm, adjust))
}

// The number that TPM2_SetAlgorithmSet is given is kept and means nothing.
func TestSetAlgorithmSet(t *testing.T) {
	t.Parallel()
	tpm := with(t, et.Command(wire.CCSetAlgorithmSet, handles{wire.RHPlatform}, et.NoAuth(), et.U32(0x01020304)))
	assert.EqualValues(t, 0x01020304, property(t, tpm, wire.PTAlgorithmSet))
	assert.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 0x01020304, property(t, tpm, wire.PTAlgorithmSet))
}

package emulator_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, policyPackets) }

// assertTrue is a policy command on the session with handle policySession.
func assertTrue(code wire.CC, params ...[]byte) []byte {
	return et.Command(code, handles{policySession}, nil, params...)
}

// sha is SHA-256 of the octets of parts.
func sha(parts ...[]byte) []byte {
	d := sha256.Sum256(bytes.Join(parts, nil))
	return d[:]
}

// policyOf is the policyDigest with SHA-256 of assertions, each of which is a
// command code and what follows it.
func policyOf(assertions ...[]byte) []byte {
	d := make([]byte, 32)
	for _, a := range assertions {
		d = sha(d, a)
	}
	return d
}

// onlyFor is the policy TPM2_PolicyCommandCode.
func onlyFor(code wire.CC) []byte {
	return policyOf(append(et.U32(uint32(wire.CCPolicyCommandCode)), et.U32(uint32(code))...))
}

// nullSHA256 is the policyDigest at the start.
var nullSHA256 = make([]byte, 32)

// signatureOfNothing is a TPMT_SIGNATURE that verifies with no key.
func signatureOfNothing() []byte {
	return bytes.Join([][]byte{et.U16(uint16(wire.AlgECDSA)), et.U16(uint16(wire.AlgSHA256)), et.Sized([]byte{1}), et.Sized([]byte{1})}, nil)
}

// nullTicket is a NULL Ticket.
func nullTicket(tag wire.ST) []byte {
	return bytes.Join([][]byte{et.U16(uint16(tag)), et.U32(uint32(wire.RHNull)), et.Sized(nil)}, nil)
}

// zeroName is a Name with SHA-256.
var zeroName = append(et.U16(uint16(wire.AlgSHA256)), make([]byte, 32)...)

// equal are operandB, offset and operation of a comparison.
func equal(operand []byte) []byte {
	return bytes.Join([][]byte{et.Sized(operand), et.U16(0), et.U16(uint16(wire.EOEq))}, nil)
}

func policyPackets() []packet {
	start := [][]byte{startSession(wire.SEPolicy)}
	trial := [][]byte{startSession(wire.SETrial)}
	digest, none := et.Sized(nullSHA256), et.Sized(nil)
	written := [][]byte{defined(0), nvWrite(nvFirst, nvFirst, nil, make([]byte, 8), 0), startSession(wire.SEPolicy)}
	approved := [][]byte{define(wire.RHOwner, nvPublic{size: 34}, nil),
		nvWrite(nvFirst, nvFirst, nil, append(et.U16(uint16(wire.AlgSHA256)), nullSHA256...), 0), startSession(wire.SEPolicy)}
	special := func(code wire.CC) []wire.AuthCommand {
		if code == wire.CCNVChangeAuth {
			return []wire.AuthCommand{{Session: policySession}}
		}
		return []wire.AuthCommand{{Session: policySession}, {Session: wire.RSPW}}
	}
	byPolicy := func(code wire.CC, p nvPublic, by wire.Handle) [][]byte {
		p.policy = onlyFor(code)
		return [][]byte{define(by, p, nil), startSession(wire.SEPolicy), assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(code)))}
	}
	index := handles{nvFirst, nvFirst, policySession}
	packets := []packet{
		{name: "PolicyOR", bytes: assertTrue(wire.CCPolicyOR, et.U32(2), digest, digest)},
		{name: "PolicyPCR", bytes: assertTrue(wire.CCPolicyPCR, none, et.Selection(wire.AlgSHA256, 0, 10))},
		{name: "PolicyLocality", bytes: assertTrue(wire.CCPolicyLocality, et.U8(3))},
		{name: "PolicyCommandCode", bytes: assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(wire.CCNVRead)))},
		{name: "PolicyPhysicalPresence", bytes: assertTrue(wire.CCPolicyPhysicalPresence)},
		{name: "PolicyAuthValue", bytes: assertTrue(wire.CCPolicyAuthValue)},
		{name: "PolicyPassword", bytes: assertTrue(wire.CCPolicyPassword)},
		{name: "PolicyNvWritten", bytes: assertTrue(wire.CCPolicyNvWritten, et.U8(1))},
		{name: "PolicyGetDigest", bytes: assertTrue(wire.CCPolicyGetDigest)},
		{name: "PolicyCpHash", bytes: assertTrue(wire.CCPolicyCpHash, digest)},
		{name: "PolicyNameHash", bytes: assertTrue(wire.CCPolicyNameHash, digest)},
		{name: "PolicyTemplate", bytes: assertTrue(wire.CCPolicyTemplate, digest)},
		{name: "PolicyParameters", bytes: assertTrue(wire.CCPolicyParameters, digest)},
		{name: "PolicyDuplicationSelect", bytes: assertTrue(wire.CCPolicyDuplicationSelect, et.Sized(zeroName), et.Sized(zeroName), et.U8(1))},
		{name: "PolicyCounterTimer", bytes: assertTrue(wire.CCPolicyCounterTimer, equal(make([]byte, 4)))},
		{name: "PolicyCapability", bytes: assertTrue(wire.CCPolicyCapability, equal(et.U32(0x100)), et.U32(uint32(wire.CapTPMProperties)), et.U32(0x100))},
		{name: "PolicyNV", bytes: et.Command(wire.CCPolicyNV, index, et.NoAuth(), equal(make([]byte, 8))), before: written},
		{name: "PolicyAuthorizeNV", bytes: et.Command(wire.CCPolicyAuthorizeNV, index, et.NoAuth()), before: approved},
		{name: "PolicySecret", bytes: et.Command(wire.CCPolicySecret, handles{wire.RHOwner, policySession}, et.NoAuth(), none, none, none, et.U32(0))},
		{name: "PolicySigned", bytes: et.Command(wire.CCPolicySigned, handles{object, policySession}, nil, none, none, none, et.U32(0), signatureOfNothing()),
			before: append(trial, loadExternal(hmacKey()))},
		{name: "PolicyAuthorize", bytes: assertTrue(wire.CCPolicyAuthorize, digest, none, et.Sized(zeroName), nullTicket(wire.STVerified)), before: trial},
		{name: "PolicyTicket"}, // TestPolicyTicket: only the TPM can make a ticket
		{name: "NV_ChangeAuth", bytes: et.CommandWithSessions(wire.CCNVChangeAuth, handles{nvFirst}, special(wire.CCNVChangeAuth), et.Sized(pw)),
			before: byPolicy(wire.CCNVChangeAuth, nvPublic{}, wire.RHOwner)},
		{name: "NV_UndefineSpaceSpecial", bytes: et.CommandWithSessions(wire.CCNVUndefineSpaceSpecial, handles{nvFirst, wire.RHPlatform}, special(wire.CCNVUndefineSpaceSpecial)),
			before: byPolicy(wire.CCNVUndefineSpaceSpecial, nvPublic{attributes: nvUsable | wire.NVPlatformCreate | wire.NVPolicyDelete}, wire.RHPlatform)},
	}
	codes := map[string]wire.CC{}
	for _, c := range emulator.Commands() {
		codes[c.Name] = c.Code
	}
	for i := range packets {
		p := &packets[i]
		p.code = codes[p.name]
		if p.before == nil {
			p.before = start
		}
	}
	return packets
}

// policyDigest is the policyDigest of the session with handle policySession.
func policyDigest(tb testing.TB, tpm *et.TPM) []byte {
	tb.Helper()
	rsp := tpm.Execute(0, assertTrue(wire.CCPolicyGetDigest))
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, false), nil)
	return r.Sized(wire.MaxDigest)
}

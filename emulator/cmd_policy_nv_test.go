package emulator_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// assertion is a command code and its arguments as policyOf takes them.
func assertion(code wire.CC, args ...byte) []byte { return append(et.U32(uint32(code)), args...) }

// An index can be used by policy as its attributes say, for reading and for
// writing.
func TestPolicyOfIndex(t *testing.T) {
	t.Parallel()
	write := byPolicy(wire.CCNVWrite, handles{nvFirst, nvFirst}, nil, et.Sized(make([]byte, 8)), et.U16(0))
	read := byPolicy(wire.CCNVRead, handles{nvFirst, nvFirst}, nil, et.U16(8), et.U16(0))
	const owner = wire.NVOwnerRead | wire.NVOwnerWrite
	for name, tc := range map[string]struct {
		attributes  wire.NVAttributes
		policy      []byte
		write, read wire.RC
	}{
		"both":      {owner | wire.NVPolicyWrite | wire.NVPolicyRead, nullSHA256, wire.RCSuccess, wire.RCSuccess},
		"write":     {owner | wire.NVPolicyWrite, nullSHA256, wire.RCSuccess, wire.RCAuthUnavailable.Session(1)},
		"read":      {owner | wire.NVPolicyRead, nullSHA256, wire.RCAuthUnavailable.Session(1), wire.RCSuccess},
		"no policy": {owner | wire.NVPolicyWrite | wire.NVPolicyRead, nil, wire.RCAuthUnavailable.Session(1), wire.RCAuthUnavailable.Session(1)},
		"other":     {owner | wire.NVPolicyWrite | wire.NVPolicyRead, hashA, wire.RCPolicyFail.Session(1), wire.RCPolicyFail.Session(1)},
	} {
		tpm := et.New(t)
		require.Equal(t, wire.RCSuccess, send(t, tpm, define(wire.RHOwner, nvPublic{attributes: tc.attributes, policy: tc.policy}, nil)))
		require.Equal(t, wire.RCSuccess, send(t, tpm, nvWrite(wire.RHOwner, nvFirst, nil, make([]byte, 8), 0)))
		require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEPolicy)))
		assert.Equal(t, tc.write, send(t, tpm, write), name)
		assert.Equal(t, tc.read, send(t, tpm, read), name)
	}
}

// TPM2_PolicyNvWritten lets an index be written once, and then read.
func TestPolicyOnWritten(t *testing.T) {
	t.Parallel()
	unwritten, written := policyOf(assertion(wire.CCPolicyNvWritten, 0)), policyOf(assertion(wire.CCPolicyNvWritten, 1))
	either := policyOf(append(et.U32(uint32(wire.CCPolicyOR)), append(unwritten, written...)...))
	p := &policyTest{TPM: et.New(t)}
	p.assert(t, define(wire.RHOwner, nvPublic{attributes: wire.NVPolicyWrite | wire.NVPolicyRead, policy: either}, nil), startSession(wire.SEPolicy))
	satisfy := func(octet uint8) {
		p.assert(t, assertTrue(wire.CCPolicyRestart), assertTrue(wire.CCPolicyNvWritten, et.U8(octet)),
			assertTrue(wire.CCPolicyOR, et.U32(2), et.Sized(unwritten), et.Sized(written)))
	}
	write := byPolicy(wire.CCNVWrite, handles{nvFirst, nvFirst}, nil, et.Sized(make([]byte, 8)), et.U16(0))
	read := byPolicy(wire.CCNVRead, handles{nvFirst, nvFirst}, nil, et.U16(8), et.U16(0))
	satisfy(1)
	assert.Equal(t, wire.RCPolicyFail.Session(1), send(t, p.TPM, write))
	satisfy(0)
	assert.Equal(t, wire.RCNVUninitialized, send(t, p.TPM, read))
	assert.Equal(t, wire.RCSuccess, send(t, p.TPM, write), "the failure has not used up the policy")
	satisfy(0)
	assert.Equal(t, wire.RCPolicyFail.Session(1), send(t, p.TPM, read))
	satisfy(1)
	assert.Equal(t, wire.RCSuccess, send(t, p.TPM, read))
}

// The ADMIN role of an index needs a policy that names the command, whatever the
// attributes say.
func TestPolicyOfIndexForAdmin(t *testing.T) {
	t.Parallel()
	change := func(a wire.AuthCommand) []byte {
		return et.CommandWithSessions(wire.CCNVChangeAuth, handles{nvFirst}, []wire.AuthCommand{a}, et.Sized(pw))
	}
	session := wire.AuthCommand{Session: policySession, Attributes: wire.SessionContinue}
	for name, tc := range map[string]struct {
		policy     []byte
		assertions [][]byte
		auth       wire.AuthCommand
		want       wire.RC
	}{
		"password":        {onlyFor(wire.CCNVChangeAuth), nil, wire.AuthCommand{Session: wire.RSPW}, wire.RCAuthType},
		"no policy":       {nil, nil, session, wire.RCAuthUnavailable.Session(1)},
		"any command":     {nullSHA256, nil, session, wire.RCPolicyFail.Session(1)},
		"another command": {onlyFor(wire.CCNVRead), steps(assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(wire.CCNVRead)))), session, wire.RCPolicyCC.Session(1)},
		"the command":     {onlyFor(wire.CCNVChangeAuth), steps(assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(wire.CCNVChangeAuth)))), session, wire.RCSuccess},
	} {
		p := &policyTest{TPM: et.New(t)}
		p.assert(t, define(wire.RHOwner, nvPublic{policy: tc.policy}, nil), startSession(wire.SEPolicy))
		p.assert(t, tc.assertions...)
		assert.Equal(t, tc.want, send(t, p.TPM, change(tc.auth)), name)
		want := wire.RCBadAuth.Session(1)
		if tc.want == wire.RCSuccess {
			want = wire.RCSuccess
		}
		assert.Equal(t, want, send(t, p.TPM, nvWrite(nvFirst, nvFirst, pw, []byte{1}, 0)), name)
	}
}

// The response to a command that changes an authValue has an HMAC with the new
// one, and to one that ends the entity an HMAC without.
func TestPolicyWithAuthValueOfIndex(t *testing.T) {
	t.Parallel()
	for code, after := range map[wire.CC]string{wire.CCNVChangeAuth: "new", wire.CCNVUndefineSpaceSpecial: ""} {
		p := &policyTest{TPM: et.New(t)}
		policy := sha(onlyFor(code), et.U32(uint32(wire.CCPolicyAuthValue)))
		p.assert(t, define(wire.RHPlatform, nvPublic{attributes: nvUsable | wire.NVPlatformCreate | wire.NVPolicyDelete, policy: policy}, []byte("old")))
		s := startClient(t, p.TPM, wire.SEPolicy, wire.RHNull, "")
		names, h := [][]byte{nvName(t, p.TPM, nvFirst)}, handles{nvFirst}
		var params [][]byte
		if code == wire.CCNVChangeAuth {
			params = steps(et.Sized([]byte("new\x00")))
		} else {
			names, h = append(names, name(wire.RHPlatform)), append(h, wire.RHPlatform)
		}
		command := func(authValue string) []byte {
			list := []wire.AuthCommand{s.use(authValue, wire.SessionContinue, code, names, params...)}
			if code == wire.CCNVUndefineSpaceSpecial {
				list = append(list, wire.AuthCommand{Session: wire.RSPW})
			}
			return et.CommandWithSessions(code, h, list, params...)
		}
		p.assert(t, assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(code))), assertTrue(wire.CCPolicyAuthValue))
		assert.Equal(t, wire.RCBadAuth.Session(1), send(t, p.TPM, command("wrong")))
		rsp := p.Execute(0, command("old"))
		if code == wire.CCNVUndefineSpaceSpecial {
			require.Equal(t, []byte{0, 0, 1, 0, 0}, rsp[len(rsp)-5:], "of the password")
			rsp = rsp[:len(rsp)-5]
		}
		s.answered(t, code, rsp, after)
	}
}

// pins gives count and limit of nvFirst as the owner reads them.
func pins(t *testing.T, tpm *et.TPM) (count, limit uint32) {
	t.Helper()
	b := contents(t, tpm, 8)
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
}

// TPM2_PolicySecret with a PIN index counts, also where it fails itself, until
// the limit is reached. That of PIN Pass gives no ticket.
func TestPolicySecretWithPIN(t *testing.T) {
	t.Parallel()
	secret := func(password string, nonce []byte) []byte {
		return et.Command(wire.CCPolicySecret, handles{nvFirst, policySession}, [][]byte{[]byte(password)}, et.Sized(nonce), noParam, noParam, et.U32(0xFFFFFFF0))
	}
	for nt, tc := range map[wire.NT]struct {
		right, wrong uint32 // the count after it, from 1
		ticket       bool
	}{
		wire.NTPinPass: {2, 1, false},
		wire.NTPinFail: {0, 2, true},
	} {
		p := &policyTest{TPM: et.New(t)}
		attributes := nt.Attributes() | wire.NVOwnerRead | wire.NVOwnerWrite | wire.NVAuthRead | wire.NVNoDA
		p.assert(t, define(wire.RHOwner, nvPublic{attributes: attributes}, pw), startSession(wire.SEPolicy))
		assert.Equal(t, wire.RCAuthUnavailable.Session(1), send(t, p.TPM, secret("pw", nil)), "not written yet")
		set := func(count, limit uint32) {
			p.assert(t, nvWrite(wire.RHOwner, nvFirst, nil, append(et.U32(count), et.U32(limit)...), 0))
		}
		is := func(count uint32, why string) {
			got, _ := pins(t, p.TPM)
			assert.Equal(t, count, got, "%v: %s", nt, why)
		}
		set(1, 3)
		rsp := p.Execute(0, secret("pw", nil))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp), nt)
		is(tc.right, "right")
		assert.Equal(t, tc.ticket, len(et.Parameters(rsp, false)) > 2+8, nt)
		set(1, 3)
		assert.Equal(t, wire.RCBadAuth.Session(1), send(t, p.TPM, secret("wrong", nil)), nt)
		is(tc.wrong, "wrong")
		set(1, 3)
		assert.Equal(t, wire.RCNonce.Parameter(1), send(t, p.TPM, secret("pw", make([]byte, 16))), nt)
		is(tc.right, "right, but the command fails")
		set(3, 3)
		assert.Equal(t, wire.RCAuthUnavailable.Session(1), send(t, p.TPM, secret("pw", nil)), nt)
		is(3, "at the limit")
	}
}

// A policy of a PIN index counts only if it asks for the authValue.
func TestPolicyOfPIN(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		assertions [][]byte
		password   []byte
		want       wire.RC
		count      uint32
	}{
		"without authValue": {nil, nil, wire.RCSuccess, 1},
		"password":          {steps(assertTrue(wire.CCPolicyPassword)), pw, wire.RCSuccess, 0},
		"wrong password":    {steps(assertTrue(wire.CCPolicyPassword)), []byte("x"), wire.RCBadAuth.Session(1), 2},
	} {
		p := &policyTest{TPM: et.New(t)}
		p.assert(t, startSession(wire.SEPolicy))
		p.assert(t, tc.assertions...)
		attributes := wire.NTPinFail.Attributes() | wire.NVOwnerRead | wire.NVOwnerWrite | wire.NVPolicyRead | wire.NVNoDA
		p.assert(t, define(wire.RHOwner, nvPublic{attributes: attributes, policy: policyDigest(t, p.TPM)}, pw),
			nvWrite(wire.RHOwner, nvFirst, nil, append(et.U32(1), et.U32(3)...), 0))
		assert.Equal(t, tc.want, send(t, p.TPM, byPolicy(wire.CCNVRead, handles{nvFirst, nvFirst}, tc.password, et.U16(8), et.U16(0))), name)
		count, limit := pins(t, p.TPM)
		assert.Equal(t, tc.count, count, name)
		assert.EqualValues(t, 3, limit, name)
	}
}

// TPM2_PolicySecret by policy asks for the authValue: without it nobody would
// have shown that they know a secret.
func TestPolicySecretByPolicy(t *testing.T) {
	t.Parallel()
	const other = policySession + 1
	secret := func(hmac []byte) []byte {
		return et.CommandWithSessions(wire.CCPolicySecret, handles{wire.RHOwner, policySession},
			[]wire.AuthCommand{{Session: other, HMAC: hmac, Attributes: wire.SessionContinue}}, noParam, noParam, noParam, et.U32(0))
	}
	on := func(h wire.Handle, code wire.CC) []byte { return et.Command(code, handles{h}, nil) }
	p := &policyTest{TPM: et.New(t)}
	p.assert(t, startSession(wire.SEPolicy), startSession(wire.SEPolicy), ownerPolicy(nullSHA256))
	assert.Equal(t, wire.RCMode.Session(1), send(t, p.TPM, secret(nil)))
	p.assert(t, ownerPolicy(policyOf(assertion(wire.CCPolicyAuthValue))), et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, et.NoAuth(), et.Sized(pw)),
		on(other, wire.CCPolicyPassword))
	assert.Equal(t, wire.RCBadAuth.Session(1), send(t, p.TPM, secret([]byte("x"))))
	assert.Equal(t, wire.RCSuccess, send(t, p.TPM, secret(pw)))
	assert.Equal(t, sha(sha(nullSHA256, et.U32(uint32(wire.CCPolicySecret)), name(wire.RHOwner))), policyDigest(t, p.TPM))
}

// One session can authorize TPM2_PolicySecret and be what it is asserted in, which
// its end as an authorization takes back.
func TestPolicySecretForItself(t *testing.T) {
	t.Parallel()
	p := owned(t, assertTrue(wire.CCPolicyPassword))
	command := byPolicy(wire.CCPolicySecret, handles{wire.RHOwner, policySession}, nil, noParam, noParam, noParam, et.U32(0))
	assert.Equal(t, wire.RCSuccess, send(t, p.TPM, command))
	assert.Equal(t, nullSHA256, policyDigest(t, p.TPM))
}

// A PCR of the group that can have a policy needs it once it has one.
func TestPolicyOfPCR(t *testing.T) {
	t.Parallel()
	p := &policyTest{TPM: et.New(t)}
	at := func(c []byte) wire.RC { return sendAt(t, p.TPM, 2, c) }
	digests := et.Digests(ha(wire.AlgSHA256, 1))
	policy := byPolicy(wire.CCPCRExtend, handles{20}, nil, digests)
	set := func(alg wire.AlgID, digest []byte) []byte {
		return et.Command(wire.CCPCRSetAuthPolicy, handles{wire.RHPlatform}, et.NoAuth(), et.Sized(digest), et.U16(uint16(alg)), et.U32(20))
	}
	p.assert(t, startSession(wire.SEPolicy))
	assert.Equal(t, wire.RCSuccess, at(extend(20, ha(wire.AlgSHA256, 1))))
	assert.Equal(t, wire.RCPolicyFail.Session(1), at(policy), "there is no policy")
	p.assert(t, set(wire.AlgSHA256, nullSHA256))
	assert.Equal(t, wire.RCAuthType, at(extend(20, ha(wire.AlgSHA256, 1))))
	assert.Equal(t, wire.RCSuccess, at(policy))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), at(byPolicy(wire.CCPCRExtend, handles{10}, nil, digests)), "of no group")
	p.assert(t, set(wire.AlgNull, nil))
	assert.Equal(t, wire.RCSuccess, at(extend(20, ha(wire.AlgSHA256, 1))))
}

// A PIN index at its limit gives no access by its authValue, also where a policy
// asks for it, and the largest count stays.
func TestPINByPolicyAtLimit(t *testing.T) {
	t.Parallel()
	for _, nt := range []wire.NT{wire.NTPinFail, wire.NTPinPass} {
		for count, available := range map[uint32]bool{2: true, 3: false, 0xFFFFFFFF: false} {
			p := &policyTest{TPM: et.New(t)}
			p.assert(t, startSession(wire.SEPolicy))
			p.assert(t, steps(assertTrue(wire.CCPolicyPassword))...)
			attributes := nt.Attributes() | wire.NVOwnerRead | wire.NVOwnerWrite | wire.NVPolicyRead | wire.NVNoDA
			p.assert(t, define(wire.RHOwner, nvPublic{attributes: attributes, policy: policyDigest(t, p.TPM)}, pw),
				nvWrite(wire.RHOwner, nvFirst, nil, append(et.U32(count), et.U32(3)...), 0))
			rc := send(t, p.TPM, byPolicy(wire.CCNVRead, handles{nvFirst, nvFirst}, pw, et.U16(8), et.U16(0)))
			if available {
				assert.Equal(t, wire.RCSuccess, rc, "%v %x", nt, count)
				continue
			}
			assert.Equal(t, wire.RCAuthUnavailable.Session(1), rc, "%v %x", nt, count)
			got, _ := pins(t, p.TPM)
			assert.Equal(t, count, got, "%v", nt)
		}
	}
}

package emulator_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// ownerPolicy is TPM2_SetPrimaryPolicy of the owner, with SHA-256.
func ownerPolicy(digest []byte) []byte { return setPolicy(wire.RHOwner, wire.AlgSHA256, digest) }

// byPolicy is a command with one policy session, which stays.
func byPolicy(code wire.CC, h handles, hmac []byte, params ...[]byte) []byte {
	return et.CommandWithSessions(code, h, []wire.AuthCommand{{Session: policySession, Attributes: wire.SessionContinue, HMAC: hmac}}, params...)
}

// adjust is TPM2_ClockRateAdjust, which changes nothing that these tests look at,
// authorized for the owner by the policy session.
func adjust() []byte {
	return byPolicy(wire.CCClockRateAdjust, handles{wire.RHOwner}, nil, et.U8(0))
}

// owned returns a TPM with a policy session in which the assertions were made. The
// owner's policy is the digest of that session.
func owned(t *testing.T, assertions ...[]byte) *policyTest {
	t.Helper()
	p := newPolicyTest(t, wire.AlgSHA256)
	p.start(t, wire.SEPolicy)
	p.assert(t, assertions...)
	require.Equal(t, wire.RCSuccess, send(t, p.TPM, ownerPolicy(policyDigest(t, p.TPM))))
	return p
}

// assert makes assertions.
func (p *policyTest) assert(t *testing.T, assertions ...[]byte) {
	t.Helper()
	for i, a := range assertions {
		require.Equal(t, wire.RCSuccess, send(t, p.TPM, a), "assertion %d", i)
	}
}

// What a policy session authorizes, and what not.
func TestPolicyAuthorizes(t *testing.T) {
	t.Parallel()
	const ok, fails = wire.RCSuccess, wire.RCPolicyFail + 0x900
	owner := et.U32(uint32(wire.RHOwner))
	code := et.U32(uint32(wire.CCClockRateAdjust))
	same := et.U8(0) // the parameter of adjust
	presence := func(t *testing.T, p *policyTest) { p.Presence.Assert(true) }
	extends := func(pcr wire.Handle) func(*testing.T, *policyTest) {
		return func(t *testing.T, p *policyTest) {
			require.Equal(t, wire.RCSuccess, send(t, p.TPM, extend(pcr, ha(wire.AlgSHA256, 1))))
		}
	}
	pcr := func(pcr int) []byte { return assertTrue(wire.CCPolicyPCR, noParam, et.Selection(wire.AlgSHA256, pcr)) }
	for name, tc := range map[string]struct {
		assertions [][]byte
		meanwhile  func(*testing.T, *policyTest)
		locality   uint8
		want       wire.RC
	}{
		"nothing":                    {nil, nil, 0, ok},
		"one more assertion":         {nil, func(t *testing.T, p *policyTest) { p.assert(t, assertTrue(wire.CCPolicyNvWritten, et.U8(1))) }, 0, fails},
		"restarted":                  {steps(assertTrue(wire.CCPolicyLocality, et.U8(1))), func(t *testing.T, p *policyTest) { p.assert(t, assertTrue(wire.CCPolicyRestart)) }, 0, fails},
		"command":                    {steps(assertTrue(wire.CCPolicyCommandCode, code)), nil, 0, ok},
		"other command":              {steps(assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(wire.CCClockSet)))), nil, 0, wire.RCPolicyCC.Session(1)},
		"locality":                   {steps(assertTrue(wire.CCPolicyLocality, et.U8(2))), nil, 1, ok},
		"other locality":             {steps(assertTrue(wire.CCPolicyLocality, et.U8(2))), nil, 0, wire.RCLocality},
		"both localities":            {steps(assertTrue(wire.CCPolicyLocality, et.U8(6)), assertTrue(wire.CCPolicyLocality, et.U8(3))), nil, 1, ok},
		"only one of the localities": {steps(assertTrue(wire.CCPolicyLocality, et.U8(6)), assertTrue(wire.CCPolicyLocality, et.U8(3))), nil, 2, wire.RCLocality},
		"extended locality":          {steps(assertTrue(wire.CCPolicyLocality, et.U8(40))), nil, 40, ok},
		"other extended locality":    {steps(assertTrue(wire.CCPolicyLocality, et.U8(40))), nil, 41, wire.RCLocality},
		"not extended":               {steps(assertTrue(wire.CCPolicyLocality, et.U8(40))), nil, 3, wire.RCLocality},
		"presence":                   {steps(assertTrue(wire.CCPolicyPhysicalPresence)), presence, 0, ok},
		"no presence":                {steps(assertTrue(wire.CCPolicyPhysicalPresence)), nil, 0, wire.RCPP.Session(1)},
		"PCR":                        {steps(pcr(10)), nil, 0, ok},
		"PCR changed":                {steps(pcr(10)), extends(10), 0, wire.RCPCRChanged},
		"another PCR changed":        {steps(pcr(10)), extends(11), 0, wire.RCPCRChanged},
		"PCR that does not count":    {steps(pcr(16)), extends(16), 0, ok},
		"written":                    {steps(assertTrue(wire.CCPolicyNvWritten, et.U8(1))), nil, 0, fails},
		"cpHash":                     {steps(assertTrue(wire.CCPolicyCpHash, et.Sized(sha(code, owner, same)))), nil, 0, ok},
		"other cpHash":               {steps(assertTrue(wire.CCPolicyCpHash, et.Sized(sha(code, owner, et.U8(1))))), nil, 0, fails},
		"nameHash":                   {steps(assertTrue(wire.CCPolicyNameHash, et.Sized(sha(owner)))), nil, 0, ok},
		"other nameHash":             {steps(assertTrue(wire.CCPolicyNameHash, et.Sized(sha(et.U32(uint32(wire.RHPlatform)))))), nil, 0, fails},
		"parameters":                 {steps(assertTrue(wire.CCPolicyParameters, et.Sized(sha(code, same)))), nil, 0, ok},
		"other parameters":           {steps(assertTrue(wire.CCPolicyParameters, et.Sized(sha(code, et.U8(1))))), nil, 0, fails},
		"template of another kind":   {steps(assertTrue(wire.CCPolicyTemplate, et.Sized(sha(same)))), nil, 0, fails},
		"duplication":                {steps(assertTrue(wire.CCPolicyDuplicationSelect, et.Sized(owner), noParam, et.U8(0))), nil, 0, wire.RCPolicyCC.Session(1)},
		"or":                         {steps(assertTrue(wire.CCPolicyOR, et.U32(2), paramA, et.Sized(nullSHA256))), nil, 0, ok},
		"secret":                     {steps(et.Command(wire.CCPolicySecret, handles{wire.RHEndorsement, policySession}, et.NoAuth(), noParam, noParam, noParam, et.U32(0))), nil, 0, ok},
		"secret for a cpHash":        {steps(et.Command(wire.CCPolicySecret, handles{wire.RHEndorsement, policySession}, et.NoAuth(), noParam, paramA, noParam, et.U32(0))), nil, 0, fails},
		"signature":                  {steps(signedBy(t, object, eccSigning(), nil, nil, nil, 0)), nil, 0, ok},
		"no authValue, though there is one": {nil, func(t *testing.T, p *policyTest) {
			require.Equal(t, wire.RCSuccess, send(t, p.TPM, et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, et.NoAuth(), et.Sized(pw))))
		}, 0, ok},
	} {
		p := owned(t, tc.assertions...)
		if tc.meanwhile != nil {
			tc.meanwhile(t, p)
		}
		assert.Equal(t, tc.want, sendAt(t, p.TPM, tc.locality, adjust()), name)
		if tc.want == ok {
			assert.Equal(t, nullSHA256, policyDigest(t, p.TPM), "%s: a policy has to be satisfied anew", name)
			again := wire.RCPolicyFail.Session(1)
			if tc.assertions == nil {
				again = ok
			}
			assert.Equal(t, again, sendAt(t, p.TPM, tc.locality, adjust()), name)
		}
	}
}

// PolicyCheck does not use what an earlier authorization has asserted.
func TestPolicyResetsWithUse(t *testing.T) {
	t.Parallel()
	p := owned(t)
	all := [][]byte{
		assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(wire.CCClockRateAdjust))),
		assertTrue(wire.CCPolicyLocality, et.U8(1)),
		assertTrue(wire.CCPolicyAuthValue),
		assertTrue(wire.CCPolicyPhysicalPresence),
		assertTrue(wire.CCPolicyNameHash, et.Sized(sha(et.U32(uint32(wire.RHOwner))))),
		assertTrue(wire.CCPolicyPCR, noParam, et.Selection(wire.AlgSHA256, 10)),
	}
	for name, reset := range map[string]func(){
		"use": func() {
			p.Presence.Assert(true)
			require.Equal(t, wire.RCSuccess, send(t, p.TPM, ownerPolicy(policyDigest(t, p.TPM))))
			require.Equal(t, wire.RCSuccess, send(t, p.TPM, adjust()))
			require.Equal(t, wire.RCSuccess, send(t, p.TPM, ownerPolicy(nullSHA256)))
			p.Presence.Assert(false)
		},
		"TPM2_PolicyRestart": func() { p.assert(t, assertTrue(wire.CCPolicyRestart)) },
	} {
		p.assert(t, all...)
		reset()
		require.Equal(t, wire.RCSuccess, send(t, p.TPM, extend(10, ha(wire.AlgSHA256, 1))))
		require.Equal(t, wire.RCSuccess, send(t, p.TPM, et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, et.NoAuth(), noParam)))
		set := byPolicy(wire.CCClockSet, handles{wire.RHOwner}, nil, et.U64(1<<40))
		assert.Equal(t, wire.RCSuccess, sendAt(t, p.TPM, 3, set), "another command at another locality, after %s", name)
		p.assert(t, all...) // none of which contradicts an earlier one
		p.assert(t, assertTrue(wire.CCPolicyRestart))
	}
}

// The authValue goes into the HMAC of a policy session or is its password, as the
// last assertion says; the response has an HMAC or none.
func TestPolicyWithAuthValue(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		assertions [][]byte
		password   bool
	}{
		"HMAC":                {steps(assertTrue(wire.CCPolicyAuthValue)), false},
		"password":            {steps(assertTrue(wire.CCPolicyPassword)), true},
		"HMAC after password": {steps(assertTrue(wire.CCPolicyPassword), assertTrue(wire.CCPolicyAuthValue)), false},
		"password after HMAC": {steps(assertTrue(wire.CCPolicyAuthValue), assertTrue(wire.CCPolicyPassword)), true},
	} {
		p := newPolicyTest(t, wire.AlgSHA256)
		rsp := p.Execute(0, startSession(wire.SEPolicy))
		r := wire.NewReader(et.Parameters(rsp, true), nil)
		nonceTPM := bytes.Clone(r.Sized(32))
		p.assert(t, tc.assertions...)
		require.Equal(t, wire.RCSuccess, send(t, p.TPM, ownerPolicy(policyDigest(t, p.TPM))))
		require.Equal(t, wire.RCSuccess, send(t, p.TPM, et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, et.NoAuth(), et.Sized(pw))))
		sum := hmac.New(sha256.New, pw)
		sum.Write(sha(et.U32(uint32(wire.CCClockRateAdjust)), et.U32(uint32(wire.RHOwner)), et.U8(0)))
		sum.Write(nonceTPM)
		sum.Write([]byte{1})
		right, wrong := append(pw, 0, 0), sum.Sum(nil)
		if !tc.password {
			right, wrong = wrong, right
		}
		command := func(auth []byte) []byte {
			return byPolicy(wire.CCClockRateAdjust, handles{wire.RHOwner}, auth, et.U8(0))
		}
		assert.Equal(t, wire.RCBadAuth.Session(1), send(t, p.TPM, command(wrong)), name)
		assert.Equal(t, wire.RCBadAuth.Session(1), send(t, p.TPM, command(nil)), name)
		rsp = p.Execute(0, command(right))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp), name)
		r = wire.NewReader(rsp[14:], nil)
		newer := r.Sized(32)
		assert.Len(t, newer, 16, name)
		assert.NotEqual(t, nonceTPM, newer, name)
		assert.EqualValues(t, wire.SessionContinue, r.U8(), name)
		got := r.Sized(32)
		if tc.password {
			assert.Empty(t, got, name)
			continue
		}
		sum = hmac.New(sha256.New, pw)
		sum.Write(sha(et.U32(0), et.U32(uint32(wire.CCClockRateAdjust))))
		sum.Write(newer)
		sum.Write([]byte{1})
		assert.Equal(t, sum.Sum(nil), got, name)
	}
}

// secretUntil is TPM2_PolicySecret with the endorsement hierarchy, which expires.
func secretUntil(nonceTPM []byte, seconds int32) []byte {
	return et.Command(wire.CCPolicySecret, handles{wire.RHEndorsement, policySession}, et.NoAuth(), et.Sized(nonceTPM), noParam, noParam, et.U32(uint32(seconds)))
}

// nonceOf starts a policy session and gives its nonceTPM.
func nonceOf(t *testing.T, tpm *et.TPM) []byte {
	t.Helper()
	rsp := tpm.Execute(0, startSession(wire.SEPolicy))
	require.Equal(t, policySession, et.ResponseHandle(rsp))
	r := wire.NewReader(et.Parameters(rsp, true), nil)
	return bytes.Clone(r.Sized(32))
}

// An authorization expires at a Time, or so long after its session started, and
// of several the first counts. The sign of the expiration does not matter.
func TestPolicyExpires(t *testing.T) {
	t.Parallel()
	const start, most = 2500 * time.Millisecond, 0x80000000 * time.Second // Time when the session starts
	// used is what makes of a nonceTPM the one of a session that has authorized.
	used := func(t *testing.T, p *policyTest, _ []byte) []byte {
		p.assert(t, ownerPolicy(nullSHA256))
		p.advance(2 * time.Second)
		r := wire.NewReader(p.Execute(0, adjust())[14:], nil)
		return bytes.Clone(r.Sized(32))
	}
	// restarted is a session that would have expired soon.
	restarted := func(t *testing.T, p *policyTest, nonce []byte) []byte {
		p.assert(t, secretUntil(nonce, 3))
		p.advance(2 * time.Second)
		p.assert(t, assertTrue(wire.CCPolicyRestart))
		return nonce
	}
	later := func(_ *testing.T, p *policyTest, nonce []byte) []byte {
		p.advance(3 * time.Second)
		return nonce
	}
	noNonce := func(*testing.T, *policyTest, []byte) []byte { return nil }
	same := func(_ *testing.T, _ *policyTest, nonce []byte) []byte { return nonce }
	for name, tc := range map[string]struct {
		before  func(*testing.T, *policyTest, []byte) []byte // gives the nonceTPM of the assertions
		seconds []int32
		last    time.Duration // Time at which the session authorizes for the last time
	}{
		"from the start":              {same, []int32{10}, start + 10*time.Second},
		"from the start, with ticket": {same, []int32{-10}, start + 10*time.Second},
		"from the start, later":       {later, []int32{10}, start + 10*time.Second},
		"from the start, restarted":   {restarted, []int32{10}, start + 10*time.Second},
		"from the last use":           {used, []int32{10}, start + 12*time.Second},
		"at a Time":                   {noNonce, []int32{10}, 10*time.Second + 500*time.Millisecond},
		"at a Time, with ticket":      {noNonce, []int32{-10}, 10*time.Second + 500*time.Millisecond},
		"the first of two":            {same, []int32{10, 5}, start + 5*time.Second},
		"the first of two, in order":  {same, []int32{5, 10}, start + 5*time.Second},
		"one of two that does expire": {same, []int32{5, 0}, start + 5*time.Second},
		"the largest number":          {same, []int32{0x7FFFFFFF}, start + most - time.Second},
		"the smallest number":         {same, []int32{-0x80000000}, start + most},
	} {
		prepare := func(at time.Duration) (*policyTest, []byte) {
			p := &policyTest{TPM: et.New(t)}
			p.advance(start)
			nonce := tc.before(t, p, nonceOf(t, p.TPM))
			for _, s := range tc.seconds {
				p.assert(t, secretUntil(nonce, s))
			}
			p.assert(t, ownerPolicy(policyDigest(t, p.TPM)))
			p.advance(at - p.now)
			return p, nonce
		}
		p, nonce := prepare(tc.last + time.Millisecond)
		assert.Equal(t, wire.RCExpired.Session(1), send(t, p.TPM, adjust()), name)
		if len(nonce) != 0 && len(tc.seconds) == 1 {
			assert.Equal(t, wire.RCExpired.Parameter(4), send(t, p.TPM, secretUntil(nonce, tc.seconds[0])), name)
		}
		p, _ = prepare(tc.last)
		p.Store.SetWritable(state.ErrUnavailable)
		assert.Equal(t, wire.RCNVUnavailable, send(t, p.TPM, adjust()), "%s: Time stands still", name)
		p.Store.SetWritable(nil)
		assert.Equal(t, wire.RCSuccess, send(t, p.TPM, adjust()), name)
	}
}

// A session that was saved before Time began anew can make no authorization that
// expires, and has none.
func TestPolicyTimeEpoch(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	tpm.Clock.Advance(time.Second)
	nonce := nonceOf(t, tpm)
	p := &policyTest{TPM: tpm}
	p.assert(t, secretUntil(nonce, 100))
	require.Equal(t, wire.RCSuccess, send(t, tpm, ownerPolicy(policyDigest(t, tpm))))
	rsp := tpm.Execute(0, et.Command(wire.CCContextSave, handles{policySession}, nil))
	saved := bytes.Clone(et.Parameters(rsp, false))
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUState))
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCContextLoad, nil, nil, saved)))
	assert.Equal(t, wire.RCExpired.Session(1), send(t, tpm, adjust()))
	assert.Equal(t, wire.RCExpired.Parameter(4), send(t, tpm, secretUntil(nonce, 100)))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, secretUntil(nonce, 0)), "what does not expire is no matter of Time")
}

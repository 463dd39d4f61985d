package emulator_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// resetBy is TPM2_PCR_Reset of PCR 23, which has no protection of its own, with a
// use of a session.
func resetBy(a wire.AuthCommand) []byte {
	return et.CommandWithSessions(wire.CCPCRReset, handles{23}, []wire.AuthCommand{a})
}

// A session that is bound to what is protected against dictionary attacks is a
// means to guess it, whatever the session authorizes: a wrong HMAC counts, and
// in lockout not even a right one helps.
func TestDictionaryAttackWithBoundSession(t *testing.T) {
	t.Parallel()
	uses := map[string]func(s *clientSession, authValue string) []byte{
		"authorizes what is not protected": func(s *clientSession, authValue string) []byte {
			return resetBy(s.use(authValue, wire.SessionContinue, wire.CCPCRReset, [][]byte{name(23)}))
		},
		"audits": func(s *clientSession, authValue string) []byte {
			return et.CommandWithSessions(wire.CCReadClock, nil, []wire.AuthCommand{
				s.use(authValue, wire.SessionContinue|wire.SessionAudit, wire.CCReadClock, nil)})
		},
	}
	for what, use := range uses {
		tpm := withProtected(t)
		s := startClient(t, tpm, wire.SEHMAC, nvFirst, string(pw))
		succeed(t, tpm, use(s, ""))
		s = startClient(t, tpm, wire.SEHMAC, nvFirst, string(pw))
		for n := range uint32(3) {
			assert.Equal(t, wire.RCAuthFail.Session(1), send(t, tpm, use(s, "wrong")), what)
			assert.Equal(t, n+1, property(t, tpm, wire.PTLockoutCounter), what)
		}
		assert.Equal(t, wire.RCLockout, send(t, tpm, use(s, "wrong")), what)
		assert.Equal(t, wire.RCLockout, send(t, tpm, use(s, "")), what)
		assert.EqualValues(t, 3, property(t, tpm, wire.PTLockoutCounter), what)
		unbound := startClient(t, tpm, wire.SEHMAC, wire.RHNull, "")
		assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, use(unbound, "wrong")), "%s: of one that is not bound", what)
		succeed(t, tpm, use(unbound, ""))
	}
}

// A session bound to lockoutAuth disables that with one wrong HMAC.
func TestLockoutWithBoundSession(t *testing.T) {
	t.Parallel()
	tpm := withProtected(t)
	succeed(t, tpm, et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHLockout}, et.NoAuth(), et.Sized([]byte("lockout"))))
	s := startClient(t, tpm, wire.SEHMAC, wire.RHLockout, "lockout")
	use := func(authValue string) []byte {
		return resetBy(s.use(authValue, wire.SessionContinue, wire.CCPCRReset, [][]byte{name(23)}))
	}
	assert.Equal(t, wire.RCAuthFail.Session(1), send(t, tpm, use("wrong")))
	assert.Zero(t, property(t, tpm, wire.PTLockoutCounter), "that is of the others")
	assert.Equal(t, wire.RCLockout, send(t, tpm, use("")))
	assert.Equal(t, wire.RCLockout, send(t, tpm, daReset([]byte("lockout"))))
	assert.Equal(t, wire.RCSuccess, try(t, tpm, pw), "the others are not locked out")
}

// A failure that tells of both, what the session is bound to and what it should
// authorize, is one try.
func TestBoundSessionForProtected(t *testing.T) {
	t.Parallel()
	tpm := withProtected(t)
	second := nvFirst + 1
	succeed(t, tpm, define(wire.RHOwner, nvPublic{index: second, attributes: nvUsable &^ wire.NVNoDA}, []byte("second")),
		nvWrite(wire.RHOwner, second, nil, make([]byte, 8), 0))
	s := startClient(t, tpm, wire.SEHMAC, nvFirst, string(pw))
	params := [][]byte{et.U16(8), et.U16(0)}
	read := func(index wire.Handle, authValue string) []byte {
		id := nvName(t, tpm, index)
		return et.CommandWithSessions(wire.CCNVRead, handles{index, index},
			[]wire.AuthCommand{s.use(authValue, wire.SessionContinue, wire.CCNVRead, [][]byte{id, id}, params...)}, params...)
	}
	assert.Equal(t, wire.RCAuthFail.Session(1), send(t, tpm, read(second, "wrong")))
	assert.EqualValues(t, 1, property(t, tpm, wire.PTLockoutCounter))
	s.answered(t, wire.CCNVRead, tpm.Execute(0, read(second, "second")), "second")
	s.answered(t, wire.CCNVRead, tpm.Execute(0, read(nvFirst, "")), "")
	assert.Equal(t, wire.RCAuthFail.Session(1), send(t, tpm, read(nvFirst, string(pw))), "of what it is bound to the key has no authValue")
}

// A session is bound to an entity with the authValue and the Name that it had.
// After a change of either it is an ordinary one.
func TestBondBreaks(t *testing.T) {
	t.Parallel()
	for what, breaks := range map[string]func(*testing.T, *et.TPM){
		"other authValue": func(t *testing.T, tpm *et.TPM) {
			succeed(t, tpm, startSession(wire.SEPolicy), et.Command(wire.CCPolicyCommandCode, handles{policySession + 1}, nil, et.U32(uint32(wire.CCNVChangeAuth))),
				et.CommandWithSessions(wire.CCNVChangeAuth, handles{nvFirst}, []wire.AuthCommand{{Session: policySession + 1}}, et.Sized([]byte("new"))))
		},
		"other Name": func(t *testing.T, tpm *et.TPM) { succeed(t, tpm, nvWrite(wire.RHOwner, nvFirst, nil, []byte{1}, 0)) },
	} {
		tpm := et.New(t)
		succeed(t, tpm, define(wire.RHOwner, nvPublic{policy: onlyFor(wire.CCNVChangeAuth)}, pw))
		s := startClient(t, tpm, wire.SEHMAC, nvFirst, string(pw))
		breaks(t, tpm)
		authValue := string(pw)
		if what == "other authValue" {
			authValue = "new"
		}
		params := [][]byte{et.Sized([]byte{1}), et.U16(0)}
		id := nvName(t, tpm, nvFirst)
		write := func(authValue string) []byte {
			return et.CommandWithSessions(wire.CCNVWrite, handles{nvFirst, nvFirst},
				[]wire.AuthCommand{s.use(authValue, wire.SessionContinue, wire.CCNVWrite, [][]byte{id, id}, params...)}, params...)
		}
		assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, write("")), what)
		s.answered(t, wire.CCNVWrite, tpm.Execute(0, write(authValue)), authValue)
	}
}

// A policy session is not bound to the entity it was started with, and its
// policy needs no authValue in lockout. But it too is a means to guess.
func TestDictionaryAttackWithPolicySession(t *testing.T) {
	t.Parallel()
	tpm := withProtected(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{index: nvFirst + 1, attributes: wire.NVPolicyRead | wire.NVOwnerWrite, policy: nullSHA256}, pw),
		nvWrite(wire.RHOwner, nvFirst+1, nil, make([]byte, 8), 0))
	params := [][]byte{et.U16(8), et.U16(0)}
	id := nvName(t, tpm, nvFirst+1)
	read := func(s *clientSession, authValue string) []byte {
		return et.CommandWithSessions(wire.CCNVRead, handles{nvFirst + 1, nvFirst + 1},
			[]wire.AuthCommand{s.use(authValue, wire.SessionContinue, wire.CCNVRead, [][]byte{id, id}, params...)}, params...)
	}
	bound := startClient(t, tpm, wire.SEPolicy, nvFirst, string(pw))
	s := startClient(t, tpm, wire.SEPolicy, wire.RHNull, "")
	assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, read(s, "wrong")), "no authValue is asked for")
	for range 3 {
		assert.Equal(t, wire.RCAuthFail.Session(1), send(t, tpm, read(bound, "wrong")))
	}
	assert.Equal(t, wire.RCLockout, send(t, tpm, read(bound, "")))
	s.answered(t, wire.CCNVRead, tpm.Execute(0, read(s, "")), "")
	succeed(t, tpm, et.Command(wire.CCPolicyAuthValue, handles{s.handle}, nil))
	assert.Equal(t, wire.RCLockout, send(t, tpm, read(s, string(pw))), "the authValue is asked for")
}

// A policy session that does not ask for lockoutAuth tells nothing of it, though
// it may tell of what it was started with.
func TestPolicySessionForLockout(t *testing.T) {
	t.Parallel()
	tpm := withProtected(t)
	succeed(t, tpm, setPolicy(wire.RHLockout, wire.AlgSHA256, nullSHA256))
	s := startClient(t, tpm, wire.SEPolicy, nvFirst, string(pw))
	use := s.use("wrong", wire.SessionContinue, wire.CCDictionaryAttackLockReset, [][]byte{name(wire.RHLockout)})
	command := et.CommandWithSessions(wire.CCDictionaryAttackLockReset, handles{wire.RHLockout}, []wire.AuthCommand{use})
	assert.Equal(t, wire.RCAuthFail.Session(1), send(t, tpm, command))
	assert.EqualValues(t, 1, property(t, tpm, wire.PTLockoutCounter))
	succeed(t, tpm, daReset(nil))
}

// A failure withdraws the mark of an orderly shutdown, which would take it back.
func TestFailureAfterShutdown(t *testing.T) {
	t.Parallel()
	tpm := withProtected(t)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	assert.Equal(t, wire.RCAuthFail.Session(1), send(t, tpm, daReset([]byte("wrong"))))
	assert.Equal(t, wire.RCValue.Parameter(1), tpm.Restart(wire.SUState))
}

// The nonces of sessions that encrypt are in the HMAC of the first session alone.
func TestTwoAuthorizationsAndDecryption(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	h := loadSequence(t, tpm, wire.AlgNull)
	first := startClient(t, tpm, wire.SEHMAC, wire.RHNull, "")
	second := startClient(t, tpm, wire.SEHMAC, wire.RHNull, "")
	rsp := tpm.Execute(0, et.Command(wire.CCStartAuthSession, handles{wire.RHNull, wire.RHNull}, nil, et.Sized(make([]byte, 16)),
		noParam, et.U8(uint8(wire.SEHMAC)), et.U16(uint16(wire.AlgXOR)), et.U16(uint16(wire.AlgSHA256)), et.U16(uint16(wire.AlgSHA256))))
	r := wire.NewReader(et.Parameters(rsp, true), nil)
	third := &clientSession{handle: et.ResponseHandle(rsp), nonceTPM: bytes.Clone(r.Sized(32)), nonceCaller: make([]byte, 16)}
	const code, a = wire.CCEventSequenceComplete, wire.SessionContinue
	names := [][]byte{name(16), nil} // a sequence object has no Name
	command := func(ofFirst, ofSecond []byte) []byte {
		with := func(s *clientSession, authValue string, nonce []byte) wire.AuthCommand {
			of := *s
			of.nonceTPM = append(bytes.Clone(s.nonceTPM), nonce...)
			return of.use(authValue, a, code, names, noParam)
		}
		return et.CommandWithSessions(code, handles{16, h}, []wire.AuthCommand{
			with(first, "", ofFirst), with(second, string(pw), ofSecond), third.use("", a|wire.SessionDecrypt, code, names, noParam)}, noParam)
	}
	nonce := third.nonceTPM
	assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, command(nil, nil)))
	assert.Equal(t, wire.RCBadAuth.Session(2), send(t, tpm, command(nonce, nonce)))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, command(nonce, nil)))
}

// A command may have a session that authorizes, one that decrypts and one that
// encrypts, and any of them may audit: go-tpm and the TPM agree on which nonces
// are in which HMAC, and on what is encrypted.
func TestThreeSessions(t *testing.T) {
	t.Parallel()
	key := hmacKey().withAuth(string(pw))
	data := []byte("data that are encrypted on the way")
	want := hmac.New(sha256.New, key.sensitive.Data)
	want.Write(data)
	in, out, both := tpm2.AESEncryption(128, tpm2.EncryptIn), tpm2.AESEncryption(256, tpm2.EncryptOut), tpm2.AESEncryption(128, tpm2.EncryptInOut)
	auth, audit := tpm2.Auth(pw), tpm2.Audit()
	for what, options := range map[string][][]tpm2.AuthOption{
		"decrypt and encrypt":       {{auth}, {in}, {out}},
		"encrypt and decrypt":       {{auth}, {out}, {in}},
		"both in one, and audit":    {{auth}, {both}, {audit}},
		"encrypt with audit":        {{auth}, {in}, {out, audit}},
		"decrypt with audit":        {{auth}, {out}, {in, audit}},
		"the first decrypts":        {{auth, in}, {out}, {audit}},
		"the first encrypts":        {{auth, out}, {in, audit}},
		"the first does everything": {{auth, both, tpm2.AuditExclusive()}},
		"the first audits":          {{auth, audit}, {in}, {out}},
		"one that audits":           {{auth}, {audit}},
	} {
		tpm := et.New(t)
		succeed(t, tpm, loadExternal(key))
		var sessions []tpm2.Session
		for _, o := range options {
			s, _, err := tpm2.HMACSession(tpm.Client(), tpm2.TPMAlgSHA256, 16, o...)
			require.NoError(t, err, what)
			sessions = append(sessions, s)
		}
		for range 3 { // the nonces roll
			rsp, err := tpm2.Hmac{
				Handle:  tpm2.AuthHandle{Handle: tpm2.TPMHandle(object), Name: tpm2.TPM2BName{Buffer: key.name()}, Auth: sessions[0]},
				Buffer:  tpm2.TPM2BMaxBuffer{Buffer: data},
				HashAlg: tpm2.TPMAlgNull,
			}.Execute(tpm.Client(), sessions[1:]...)
			require.NoError(t, err, what)
			assert.Equal(t, want.Sum(nil), rsp.OutHMAC.Buffer, what)
		}
	}
}

// An empty parameter can be encrypted, also where no other follows.
func TestEmptyParameterIsDecrypted(t *testing.T) {
	t.Parallel()
	for _, option := range []tpm2.AuthOption{tpm2.AESEncryption(128, tpm2.EncryptIn), tpm2.AESEncryption(256, tpm2.EncryptIn)} {
		_, err := tpm2.HierarchyChangeAuth{
			AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.HMAC(tpm2.TPMAlgSHA256, 16, option)},
		}.Execute(et.New(t).Client())
		assert.NoError(t, err)
	}
}

// A sequence object ends with its completion, but its authValue is in the HMAC of
// the response and in the key that encrypts it.
func TestSequenceCompleteWithSession(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	want := sha256.Sum256([]byte("abc"))
	h := loadSequence(t, tpm, wire.AlgSHA256)
	rsp, err := tpm2.SequenceComplete{
		SequenceHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(h), Auth: tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth(pw), tpm2.AESEncryption(128, tpm2.EncryptInOut))},
		Buffer:         tpm2.TPM2BMaxBuffer{Buffer: []byte("abc")},
		Hierarchy:      tpm2.TPMRHOwner,
	}.Execute(tpm.Client())
	require.NoError(t, err)
	assert.Equal(t, want[:], rsp.Result.Buffer)
	assert.Equal(t, wire.RCReferenceH0, send(t, tpm, complete(h, nil, wire.RHNull)), "it is gone")
	assert.EqualValues(t, 3, property(t, tpm, wire.PTHRTransientAvail))
}

// What fails leaves the nonces as they are, so that the session can be used
// again, and ends no session.
func TestSessionsOutliveFailures(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	s := startClient(t, tpm, wire.SEHMAC, wire.RHNull, "")
	reset := func(pcr wire.Handle, authValue string) []byte {
		return et.CommandWithSessions(wire.CCPCRReset, handles{pcr}, []wire.AuthCommand{s.use(authValue, 0, wire.CCPCRReset, [][]byte{name(pcr)})})
	}
	assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, reset(23, "wrong")))
	assert.Equal(t, wire.RCLocality, send(t, tpm, reset(17, "")), "authorized, but the command fails")
	s.answered(t, wire.CCPCRReset, tpm.Execute(0, reset(23, "")), "")
	assert.Equal(t, wire.RCReferenceS0, send(t, tpm, reset(23, "")), "without continueSession it has ended")
}

// An HMAC is of this use of the session: of its nonces, of the attributes and of
// the whole command.
func TestHMACIsOfTheUse(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(a *wire.AuthCommand, params [][]byte){
		"attributes": func(a *wire.AuthCommand, _ [][]byte) { a.Attributes = 0 },
		"nonce":      func(a *wire.AuthCommand, _ [][]byte) { a.Nonce = make([]byte, 17) },
		"parameters": func(_ *wire.AuthCommand, params [][]byte) { params[0] = et.U8(1) },
		"HMAC":       func(a *wire.AuthCommand, _ [][]byte) { a.HMAC[31] ^= 1 },
		"cut short":  func(a *wire.AuthCommand, _ [][]byte) { a.HMAC = a.HMAC[:31] },
		"no HMAC":    func(a *wire.AuthCommand, _ [][]byte) { a.HMAC = nil },
		"nothing":    func(*wire.AuthCommand, [][]byte) {},
	} {
		tpm := et.New(t)
		succeed(t, tpm, et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, et.NoAuth(), et.Sized(pw)))
		s := startClient(t, tpm, wire.SEHMAC, wire.RHNull, "")
		params := [][]byte{et.U8(0)}
		a := s.use(string(pw), wire.SessionContinue, wire.CCClockRateAdjust, [][]byte{name(wire.RHOwner)}, params...)
		spoil(&a, params)
		command := et.CommandWithSessions(wire.CCClockRateAdjust, handles{wire.RHOwner}, []wire.AuthCommand{a}, params...)
		want := wire.RCBadAuth.Session(1)
		if what == "nothing" {
			want = wire.RCSuccess
		}
		assert.Equal(t, want, send(t, tpm, command), what)
		if want == wire.RCSuccess {
			assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, command), "a second time")
		}
	}
}

// The TPM takes the authValue into account that an entity has when its command
// begins, and answers with that which it has when the command ends.
func TestHMACWithChangingAuthValue(t *testing.T) {
	t.Parallel()
	for what, tc := range map[string]struct {
		handle wire.Handle
		code   wire.CC
		params [][]byte
		after  string
	}{
		"TPM2_HierarchyChangeAuth": {wire.RHOwner, wire.CCHierarchyChangeAuth, steps(et.Sized([]byte("new\x00"))), "new"},
		"TPM2_Clear":               {wire.RHLockout, wire.CCClear, nil, ""},
		"TPM2_ChangePPS":           {wire.RHPlatform, wire.CCChangePPS, nil, "old"},
		"TPM2_HierarchyControl":    {wire.RHOwner, wire.CCHierarchyControl, steps(et.U32(uint32(wire.RHOwner)), et.U8(0)), "old"},
	} {
		tpm := et.New(t)
		succeed(t, tpm, et.Command(wire.CCHierarchyChangeAuth, handles{tc.handle}, et.NoAuth(), et.Sized([]byte("old"))))
		s := startClient(t, tpm, wire.SEHMAC, wire.RHNull, "")
		a := s.use("old", wire.SessionContinue, tc.code, [][]byte{name(tc.handle)}, tc.params...)
		rsp := tpm.Execute(0, et.CommandWithSessions(tc.code, handles{tc.handle}, []wire.AuthCommand{a}, tc.params...))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp), what)
		s.answered(t, tc.code, rsp, tc.after)
	}
}

// What qualifies audit is of no use without it.
func TestAuditAttributes(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	reset := func(a wire.SessionAttributes) []byte {
		s := startClient(t, tpm, wire.SEHMAC, wire.RHNull, "")
		use := s.use("", a, wire.CCPCRReset, [][]byte{name(23)})
		return tpm.Execute(0, et.CommandWithSessions(wire.CCPCRReset, handles{23}, []wire.AuthCommand{use}))
	}
	for _, a := range []wire.SessionAttributes{wire.SessionAuditReset, wire.SessionAuditExclusive} {
		assert.Equal(t, wire.RCAttributes.Session(1), et.ResponseCode(reset(a)))
	}
	rsp := reset(wire.SessionAudit | wire.SessionAuditReset)
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
	const hmac = 2 + 32
	assert.Equal(t, wire.SessionAudit|wire.SessionAuditExclusive, wire.SessionAttributes(rsp[len(rsp)-hmac-1]), "auditReset is for commands")
}

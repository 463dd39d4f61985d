package emulator_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, sessionPackets) }

// Handles of the first session.
const (
	hmacSession   = wire.HMACFirst
	policySession = wire.PolicyFirst
)

// startSession is TPM2_StartAuthSession, neither bound nor salted, with SHA-256.
func startSession(kind wire.SE) []byte { return startSessionWith(kind, wire.RHNull, wire.AlgSHA256) }

func startSessionWith(kind wire.SE, bind wire.Handle, alg wire.AlgID) []byte {
	return et.Command(wire.CCStartAuthSession, handles{wire.RHNull, bind}, nil, et.Sized(make([]byte, 16)),
		et.Sized(nil), et.U8(uint8(kind)), et.U16(uint16(wire.AlgNull)), et.U16(uint16(alg)))
}

func sessionPackets() []packet {
	return []packet{
		{name: "StartAuthSession", code: wire.CCStartAuthSession, bytes: startSession(wire.SEHMAC)},
		{name: "PolicyRestart", code: wire.CCPolicyRestart, bytes: et.Command(wire.CCPolicyRestart, handles{policySession}, nil), before: [][]byte{startSession(wire.SEPolicy)}},
	}
}

// The kinds of all handles are looked at before any is looked for, and a vendor's
// authorization is of the right kind.
func TestVendorAuthorizations(t *testing.T) {
	t.Parallel()
	secret := func(auth, session wire.Handle) []byte {
		return et.Command(wire.CCPolicySecret, handles{auth, session}, et.NoAuth(), et.Sized(nil), et.Sized(nil), et.Sized(nil), et.U32(0))
	}
	for _, h := range []wire.Handle{wire.RHAuth00, wire.RHAuthFF} {
		assert.Equal(t, wire.RCValue.Handle(2), send(t, et.New(t), secret(h, hmacSession)))
		assert.Equal(t, wire.RCValue.Handle(1), send(t, et.New(t), secret(h, policySession)))
	}
	assert.Equal(t, wire.RCValue.Handle(1), send(t, et.New(t), secret(wire.RHAuth00-1, hmacSession)))
	assert.Equal(t, wire.RCValue.Handle(1), send(t, et.New(t), secret(wire.RHAuthFF+1, hmacSession)))
}

func TestStartAuthSessionRefuses(t *testing.T) {
	t.Parallel()
	start := func(key, bind wire.Handle, params ...[]byte) []byte {
		return et.Command(wire.CCStartAuthSession, handles{key, bind}, nil, params...)
	}
	nonce, none := et.Sized(make([]byte, 16)), et.Sized(nil)
	null, hash := et.U16(uint16(wire.AlgNull)), et.U16(uint16(wire.AlgSHA1))
	aes := append(et.U16(uint16(wire.AlgAES)), et.U16(128)...)
	for name, tc := range map[string]struct {
		command []byte
		want    wire.RC
	}{
		"short nonce":        {start(wire.RHNull, wire.RHNull, et.Sized(make([]byte, 15)), none, et.U8(0), null, hash), wire.RCSize.Parameter(1)},
		"long nonce":         {start(wire.RHNull, wire.RHNull, et.Sized(make([]byte, 21)), none, et.U8(0), null, hash), wire.RCSize.Parameter(1)},
		"salt without key":   {start(wire.RHNull, wire.RHNull, nonce, et.Sized([]byte{1}), et.U8(0), null, hash), wire.RCValue.Parameter(2)},
		"kind":               {start(wire.RHNull, wire.RHNull, nonce, none, et.U8(2), null, hash), wire.RCValue.Parameter(3)},
		"symmetric":          {start(wire.RHNull, wire.RHNull, nonce, none, et.U8(0), et.U16(uint16(wire.AlgRSA)), hash), wire.RCSymmetric.Parameter(4)},
		"mode":               {start(wire.RHNull, wire.RHNull, nonce, none, et.U8(0), append(aes, et.U16(uint16(wire.AlgCBC))...), hash), wire.RCMode.Parameter(4)},
		"no hash":            {start(wire.RHNull, wire.RHNull, nonce, none, et.U8(0), null, null), wire.RCHash.Parameter(5)},
		"key is not loaded":  {start(wire.TransientFirst, wire.RHNull, nonce, none, et.U8(0), null, hash), wire.RCReferenceH0},
		"key is no object":   {start(wire.RHOwner, wire.RHNull, nonce, none, et.U8(0), null, hash), wire.RCValue.Handle(1)},
		"bind is a vendor's": {start(wire.RHNull, wire.RHAuth00, nonce, none, et.U8(0), null, hash), wire.RCValue.Handle(2)},
		"bind is absent":     {start(wire.RHNull, nvFirst, nonce, none, et.U8(0), null, hash), wire.RCHandle.Handle(2)},
		"trailing":           {start(wire.RHNull, wire.RHNull, nonce, none, et.U8(0), null, hash, et.U8(0)), wire.RCSize},
	} {
		assert.Equal(t, tc.want, send(t, et.New(t), tc.command), name)
	}
	tpm := et.New(t)
	assert.Equal(t, wire.RCKey.Handle(1), send(t, tpm, start(loadSequence(t, tpm, wire.AlgSHA256), wire.RHNull, nonce, none, et.U8(0), null, hash)), "a sequence is no key")
}

// Three sessions can be loaded, and a flushed one makes room.
func TestSessionSlots(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for i := range wire.Handle(3) {
		rsp := tpm.Execute(0, startSession(wire.SEHMAC))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
		assert.Equal(t, hmacSession+i, et.ResponseHandle(rsp))
	}
	assert.Equal(t, wire.RCSessionMemory, send(t, tpm, startSession(wire.SEPolicy)))
	assert.EqualValues(t, 0, property(t, tpm, wire.PTHRLoadedAvail))
	assert.EqualValues(t, 61, property(t, tpm, wire.PTHRActiveAvail))
	flush := func(h wire.Handle) wire.RC {
		return send(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(h))))
	}
	assert.Equal(t, wire.RCSuccess, flush(hmacSession+1))
	assert.Equal(t, wire.RCHandle.Parameter(1), flush(hmacSession+1))
	rsp := tpm.Execute(0, startSession(wire.SETrial))
	assert.Equal(t, policySession+1, et.ResponseHandle(rsp), "the lowest index that is free")
	assert.Equal(t, wire.RCHandle.Handle(1), send(t, tpm, et.Command(wire.CCPolicyRestart, handles{policySession}, nil)), "an HMAC session")
	assert.Equal(t, wire.RCReferenceH0, send(t, tpm, et.Command(wire.CCPolicyRestart, handles{policySession + 5}, nil)))
	list := et.Parameters(tpm.Execute(0, getCapability(wire.CapHandles, uint32(wire.HMACFirst), 10)), false)
	assert.Equal(t, []byte{0, 0, 0, 0, 1, 0, 0, 0, 3, 2, 0, 0, 0, 3, 0, 0, 1, 2, 0, 0, 2}, list)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 0, property(t, tpm, wire.PTHRLoaded))
}

// resets resets PCR 23 with go-tpm's own sessions.
func resets(tpm *et.TPM, auth tpm2.Session) error {
	_, err := tpm2.PCRReset{PCRHandle: tpm2.AuthHandle{Handle: 23, Auth: auth}}.Execute(tpm.Client())
	return err
}

// go-tpm, which knows nothing of this module, agrees on HMACs in both
// directions, nonces that roll, and sessions that end.
func TestHMACSessionWithClient(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	sess, closer, err := tpm2.HMACSession(tpm.Client(), tpm2.TPMAlgSHA256, 16)
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, resets(tpm, sess))
	}
	require.NoError(t, closer())
	require.NoError(t, resets(tpm, tpm2.HMAC(tpm2.TPMAlgSHA384, 32)), "a session for one command")
	assert.EqualValues(t, 0, property(t, tpm, wire.PTHRLoaded), "is gone after it")
	assert.ErrorIs(t, resets(tpm, tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte("wrong")))), tpm2.TPMRCBadAuth)
}

// The authValue of a hierarchy is in the key of the HMAC, bound or not, and the
// response to a command that changes it is signed with the new one.
func TestHMACSessionAuthorizes(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	change := func(auth tpm2.Session, to string) error {
		_, err := tpm2.HierarchyChangeAuth{
			AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: auth},
			NewAuth:    tpm2.TPM2BAuth{Buffer: []byte(to)},
		}.Execute(tpm.Client())
		return err
	}
	require.NoError(t, change(tpm2.PasswordAuth(nil), "one"))
	assert.ErrorIs(t, change(tpm2.HMAC(tpm2.TPMAlgSHA256, 16), "two"), tpm2.TPMRCBadAuth)
	aes := tpm2.AESEncryption(128, tpm2.EncryptIn)
	require.NoError(t, change(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte("one")), aes), "one"))
	require.NoError(t, change(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Bound(tpm2.TPMRHOwner, tpm2.TPM2BName{Buffer: et.U32(uint32(wire.RHOwner))}, []byte("one")), tpm2.Auth([]byte("one")), aes), "one"))
}

// What a session encrypts is what the TPM answers without.
func TestParameterEncryption(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]tpm2.AuthOption{
		"AES-128": tpm2.AESEncryption(128, tpm2.EncryptOut),
		"AES-256": tpm2.AESEncryption(256, tpm2.EncryptOut),
	} {
		tpm, twin := et.New(t, et.WithSeed(1)), et.New(t, et.WithSeed(1))
		rsp, err := tpm2.GetRandom{BytesRequested: 16}.Execute(tpm.Client(), tpm2.HMAC(tpm2.TPMAlgSHA256, 16, option))
		require.NoError(t, err, name)
		send(t, twin, startSession(wire.SEHMAC)) // which draws as much
		plain, err := tpm2.GetRandom{BytesRequested: 16}.Execute(twin.Client())
		require.NoError(t, err)
		assert.Equal(t, plain.RandomBytes, rsp.RandomBytes, name)
	}
}

// What the session area can have wrong with it besides its HMAC.
func TestSessionAreaRefuses(t *testing.T) {
	t.Parallel()
	auth := func(list ...wire.AuthCommand) []wire.AuthCommand { return list }
	reset := func(sessions []wire.AuthCommand) []byte {
		return et.CommandWithSessions(wire.CCPCRReset, handles{23}, sessions)
	}
	random := func(sessions []wire.AuthCommand) []byte {
		return et.CommandWithSessions(wire.CCGetRandom, nil, sessions, et.U16(1))
	}
	password := wire.AuthCommand{Session: wire.RSPW}
	hmac := func(a wire.SessionAttributes) wire.AuthCommand {
		return wire.AuthCommand{Session: hmacSession, Attributes: a | wire.SessionContinue}
	}
	policy := func(a wire.SessionAttributes) wire.AuthCommand {
		return wire.AuthCommand{Session: policySession + 1, Attributes: a | wire.SessionContinue}
	}
	trial := wire.AuthCommand{Session: policySession + 2}
	for name, tc := range map[string]struct {
		command []byte
		want    wire.RC
	}{
		"not loaded":                {reset(auth(wire.AuthCommand{Session: hmacSession + 7})), wire.RCReferenceS0},
		"second not loaded":         {reset(auth(password, wire.AuthCommand{Session: hmacSession + 7})), wire.RCReferenceS0 + 1},
		"other kind":                {reset(auth(wire.AuthCommand{Session: policySession})), wire.RCHandle.Session(1)},
		"twice":                     {reset(auth(hmac(0), hmac(wire.SessionAudit))), wire.RCHandle.Session(2)},
		"four":                      {reset(auth(password, hmac(wire.SessionAudit), policy(0), password)), wire.RCSize.Session(4)},
		"decrypt without parameter": {reset(auth(hmac(wire.SessionDecrypt))), wire.RCAttributes.Session(1)},
		"encrypt without parameter": {reset(auth(hmac(wire.SessionEncrypt))), wire.RCAttributes.Session(1)},
		"encrypt without algorithm": {random(auth(hmac(wire.SessionEncrypt))), wire.RCSymmetric.Session(1)},
		"audit by policy":           {random(auth(policy(wire.SessionAudit))), wire.RCAttributes.Session(1)},
		"of no use":                 {random(auth(hmac(0))), wire.RCAttributes.Session(1)},
		"password of no use":        {random(auth(password)), wire.RCHandle.Session(1)},
		"trial":                     {reset(auth(trial)), wire.RCAttributes.Session(1)},
		"policy without a policy":   {reset(auth(policy(0))), wire.RCAuthUnavailable.Session(1)},
		"no session at all":         {et.Command(wire.CCPCRReset, handles{23}, nil), wire.RCAuthMissing},
	} {
		tpm := et.New(t)
		for _, kind := range []wire.SE{wire.SEHMAC, wire.SEPolicy, wire.SETrial} {
			require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(kind)))
		}
		assert.Equal(t, tc.want, send(t, tpm, tc.command), name)
	}
}

// A policy of nothing but zeros is the digest of a session that has asserted
// nothing.
func TestPolicySessionAuthorizes(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCSetPrimaryPolicy, handles{wire.RHOwner}, et.NoAuth(),
		et.Sized(make([]byte, 32)), et.U16(uint16(wire.AlgSHA256)))))
	adjust := func(a wire.SessionAttributes) wire.RC {
		return send(t, tpm, et.CommandWithSessions(wire.CCClockRateAdjust, handles{wire.RHOwner},
			[]wire.AuthCommand{{Session: policySession, Attributes: a}}, et.U8(0)))
	}
	require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEPolicy)))
	assert.Equal(t, wire.RCSuccess, adjust(wire.SessionContinue))
	assert.Equal(t, wire.RCSuccess, adjust(0))
	assert.Equal(t, wire.RCReferenceS0, adjust(0), "it has ended")
	require.Equal(t, wire.RCSuccess, send(t, tpm, startSessionWith(wire.SEPolicy, wire.RHNull, wire.AlgSHA1)))
	assert.Equal(t, wire.RCPolicyFail.Session(1), adjust(0), "of another hash")
}

// An audit session becomes exclusive, and stops being so when a command comes
// that it does not audit.
func TestAuditSession(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	sess, closer, err := tpm2.HMACSession(tpm.Client(), tpm2.TPMAlgSHA256, 16, tpm2.AuditExclusive())
	require.NoError(t, err)
	read := func(s ...tpm2.Session) error {
		_, err := tpm2.ReadClock{}.Execute(tpm.Client(), s...)
		return err
	}
	require.NoError(t, read(sess))
	require.NoError(t, read(sess))
	require.NoError(t, read())
	assert.ErrorIs(t, read(sess), tpm2.TPMRCExclusive)
	require.NoError(t, closer())
}

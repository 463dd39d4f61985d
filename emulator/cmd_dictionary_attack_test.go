package emulator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// withProtected is a TPM with a written index, whose authValue is pw, under
// dictionary attack protection.
func withProtected(t *testing.T) *et.TPM {
	t.Helper()
	tpm := et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: nvUsable &^ wire.NVNoDA}, pw), nvWrite(wire.RHOwner, nvFirst, nil, make([]byte, 8), 0))
	return tpm
}

func try(t *testing.T, tpm *et.TPM, password []byte) wire.RC {
	t.Helper()
	return send(t, tpm, nvRead(nvFirst, nvFirst, password, 8, 0))
}

func daParameters(password []byte, maxTries, recovery, lockoutRecovery uint32) []byte {
	return et.Command(wire.CCDictionaryAttackParameters, handles{wire.RHLockout}, [][]byte{password},
		et.U32(maxTries), et.U32(recovery), et.U32(lockoutRecovery))
}

func daReset(password []byte) []byte {
	return et.Command(wire.CCDictionaryAttackLockReset, handles{wire.RHLockout}, [][]byte{password})
}

func inLockout(t *testing.T, tpm *et.TPM) bool {
	t.Helper()
	return wire.PermanentAttributes(property(t, tpm, wire.PTPermanent))&wire.PermanentInLockout != 0
}

func TestDictionaryAttackLockout(t *testing.T) {
	t.Parallel()
	tpm := withProtected(t)
	for n := range uint32(3) {
		assert.False(t, inLockout(t, tpm))
		assert.Equal(t, wire.RCAuthFail.Session(1), try(t, tpm, nil))
		assert.Equal(t, n+1, property(t, tpm, wire.PTLockoutCounter))
	}
	assert.True(t, inLockout(t, tpm))
	assert.Equal(t, wire.RCLockout, try(t, tpm, pw))
	assert.Equal(t, wire.RCLockout, try(t, tpm, nil))
	assert.EqualValues(t, 3, property(t, tpm, wire.PTLockoutCounter))
	contents(t, tpm, 8) // the owner is not locked out

	succeed(t, tpm, daReset(nil))
	assert.Zero(t, property(t, tpm, wire.PTLockoutCounter))
	assert.Equal(t, wire.RCSuccess, try(t, tpm, pw))
	assert.Equal(t, wire.RCAuthFail.Session(1), try(t, tpm, nil))
	assert.Equal(t, wire.RCSuccess, try(t, tpm, pw))
	assert.EqualValues(t, 1, property(t, tpm, wire.PTLockoutCounter), "success forgives nothing")
}

func TestDictionaryAttackSelfHealing(t *testing.T) {
	t.Parallel()
	tpm := withProtected(t)
	succeed(t, tpm, daParameters(nil, 2, 100, 1000))
	tries := func() uint32 { return property(t, tpm, wire.PTLockoutCounter) }
	tpm.Clock.Advance(time.Hour)
	require.Equal(t, wire.RCAuthFail.Session(1), try(t, tpm, nil))
	tpm.Clock.Advance(60 * time.Second)
	require.Equal(t, wire.RCAuthFail.Session(1), try(t, tpm, nil))
	tpm.Clock.Advance(99 * time.Second)
	assert.Equal(t, wire.RCLockout, try(t, tpm, pw), "the last failure starts the time")
	tpm.Clock.Advance(time.Second)
	assert.EqualValues(t, 1, tries())
	assert.Equal(t, wire.RCSuccess, try(t, tpm, pw))
	tpm.Clock.Advance(100 * time.Second)
	assert.Zero(t, tries())
	require.Equal(t, wire.RCAuthFail.Session(1), try(t, tpm, nil))
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 1, tries(), "over power cycles too")
}

// A power cut after use of what is protected counts as a failed try: once, and
// not with a shutdown, nor without such a use.
func TestDictionaryAttackPowerCut(t *testing.T) {
	t.Parallel()
	tries := func(tpm *et.TPM) uint32 { return property(t, tpm, wire.PTLockoutCounter) }
	tpm := withProtected(t)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Zero(t, tries(tpm))
	commits := tpm.Store.Commits()
	require.Equal(t, wire.RCSuccess, try(t, tpm, pw))
	assert.Equal(t, commits+1, tpm.Store.Commits(), "the first use is recorded")
	require.Equal(t, wire.RCSuccess, try(t, tpm, pw))
	assert.Equal(t, commits+1, tpm.Store.Commits())
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 1, tries(tpm))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 1, tries(tpm))

	require.Equal(t, wire.RCSuccess, try(t, tpm, pw))
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 1, tries(tpm))

	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	require.Equal(t, wire.RCSuccess, try(t, tpm, pw))
	require.NoError(t, tpm.Init())
	assert.Equal(t, wire.RCValue.Parameter(1), tpm.Startup(0, wire.SUState), "the use undoes the shutdown")
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	assert.EqualValues(t, 2, tries(tpm))

	require.Equal(t, wire.RCSuccess, try(t, tpm, pw))
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	require.Equal(t, wire.RCSuccess, try(t, tpm, pw))
	require.NoError(t, tpm.Init())
	assert.Equal(t, wire.RCValue.Parameter(1), tpm.Startup(0, wire.SUState), "also if there was one before it")
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	assert.EqualValues(t, 3, tries(tpm))

	succeed(t, tpm, daParameters(nil, 2, 1000, 1000), daReset(nil))
	for want := range uint32(3) {
		assert.Equal(t, min(want, 2), tries(tpm), "never above the limit")
		try(t, tpm, pw)
		require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	}
	succeed(t, tpm, daParameters(nil, 2, 0, 1000), daReset(nil))
	try(t, tpm, pw)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Zero(t, tries(tpm), "nor with the protection off")
}

func TestDictionaryAttackParameters(t *testing.T) {
	t.Parallel()
	tpm := withProtected(t)
	require.Equal(t, wire.RCAuthFail.Session(1), try(t, tpm, nil))
	succeed(t, tpm, daParameters(nil, 10, 20, 30))
	for pt, want := range map[wire.PT]uint32{wire.PTLockoutCounter: 1, wire.PTMaxAuthFail: 10, wire.PTLockoutInterval: 20, wire.PTLockoutRecovery: 30} {
		assert.Equal(t, want, property(t, tpm, pt))
	}
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 10, property(t, tpm, wire.PTMaxAuthFail))

	succeed(t, tpm, daParameters(nil, 0, 20, 30))
	assert.True(t, inLockout(t, tpm), "no tries: always locked out")
	assert.Equal(t, wire.RCLockout, try(t, tpm, pw))
	succeed(t, tpm, daParameters(nil, 1, 0, 30))
	for range 5 {
		assert.Equal(t, wire.RCAuthFail.Session(1), try(t, tpm, nil), "no recovery time: no protection")
	}
	assert.Equal(t, wire.RCSuccess, try(t, tpm, pw))

	assert.Equal(t, wire.RCValue.Handle(1), send(t, tpm, et.Command(wire.CCDictionaryAttackLockReset, handles{wire.RHOwner}, et.NoAuth())))
	assert.Equal(t, wire.RCAuthFail.Session(1), send(t, tpm, daReset(pw)))
	assert.Equal(t, wire.RCLockout, send(t, tpm, daReset(nil)))
	assert.Equal(t, wire.RCLockout, send(t, tpm, daParameters(nil, 1, 1, 1)))
	tpm.Clock.Advance(30 * time.Second)
	succeed(t, tpm, daReset(nil))
}

// Without NV a first use cannot be recorded, and a failure waits.
func TestDictionaryAttackWithoutNV(t *testing.T) {
	t.Parallel()
	tpm := withProtected(t)
	tpm.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCNVUnavailable, try(t, tpm, pw))
	tpm.Store.SetWritable(nil)
	require.Equal(t, wire.RCSuccess, try(t, tpm, pw))
	tpm.Store.SetWritable(state.ErrUnavailable)
	require.Equal(t, wire.RCSuccess, try(t, tpm, pw))
	require.Equal(t, wire.RCAuthFail.Session(1), try(t, tpm, nil))
	assert.Equal(t, wire.RCNVUnavailable, try(t, tpm, pw))
	assert.Equal(t, wire.RCNVUnavailable, try(t, tpm, nil))
	tpm.Store.SetWritable(nil)
	commits := tpm.Store.Commits()
	assert.EqualValues(t, 1, property(t, tpm, wire.PTLockoutCounter))
	assert.Equal(t, commits+1, tpm.Store.Commits(), "now it is written")
	assert.Equal(t, wire.RCSuccess, try(t, tpm, pw))

	// With the protection off nothing is counted, though nothing heals either.
	succeed(t, tpm, daParameters(nil, 1, 0, 30), daReset(nil))
	tpm.Store.SetWritable(state.ErrUnavailable)
	for range 3 {
		assert.Equal(t, wire.RCAuthFail.Session(1), try(t, tpm, nil))
	}
}

// A try that is forgiven after a shutdown is one, and not all at the next start.
func TestSelfHealingAfterShutdown(t *testing.T) {
	t.Parallel()
	tpm := withProtected(t)
	succeed(t, tpm, daParameters(nil, 10, 1000, 1000))
	for range 5 {
		require.Equal(t, wire.RCAuthFail.Session(1), try(t, tpm, []byte("wrong")))
	}
	tpm.Clock.Advance(500 * time.Second)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
	tpm.Clock.Advance(600 * time.Second)
	require.EqualValues(t, 4, property(t, tpm, wire.PTLockoutCounter))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 4, property(t, tpm, wire.PTLockoutCounter))
	tpm.Clock.Advance(899 * time.Second)
	assert.EqualValues(t, 4, property(t, tpm, wire.PTLockoutCounter), "100 s of the next 1,000 have passed before")
	tpm.Clock.Advance(time.Second)
	assert.EqualValues(t, 3, property(t, tpm, wire.PTLockoutCounter))
}

// A shutdown in a session that is bound to something protected is not undone by
// its own use of it.
func TestShutdownInProtectedSession(t *testing.T) {
	t.Parallel()
	tpm := withProtected(t)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	s := startClient(t, tpm, wire.SEHMAC, nvFirst, string(pw))
	state := et.U16(uint16(wire.SUState))
	use := s.use("", wire.SessionAudit|wire.SessionContinue, wire.CCShutdown, nil, state)
	succeed(t, tpm, et.CommandWithSessions(wire.CCShutdown, nil, []wire.AuthCommand{use}, state))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUState))
}

package emulator_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func changeAuth(h wire.Handle, password, value []byte) []byte {
	return et.Command(wire.CCHierarchyChangeAuth, handles{h}, [][]byte{password}, et.Sized(value))
}

func TestHierarchyChangeAuth(t *testing.T) {
	t.Parallel()
	bits := map[wire.Handle]wire.PermanentAttributes{
		wire.RHOwner: wire.PermanentOwnerAuthSet, wire.RHEndorsement: wire.PermanentEndorsementAuthSet,
		wire.RHLockout: wire.PermanentLockoutAuthSet, wire.RHPlatform: 0,
	}
	for h, bit := range bits {
		tpm := et.New(t)
		long := bytes.Repeat([]byte{1}, 64)
		assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, changeAuth(h, nil, append(long, 1))))
		require.Equal(t, wire.RCSuccess, send(t, tpm, changeAuth(h, nil, append(long[:62:62], 0, 0))))
		assert.Equal(t, uint32(wire.PermanentTPMGeneratedEPS|bit), property(t, tpm, wire.PTPermanent))
		require.Equal(t, wire.RCSuccess, send(t, tpm, changeAuth(h, long[:62], long)), "zeros at the end do not count")
		require.Equal(t, wire.RCSuccess, send(t, tpm, changeAuth(h, long, []byte("abc"))))
		want := wire.RCBadAuth.Session(1)
		if h == wire.RHLockout {
			want = wire.RCAuthFail.Session(1)
		}
		assert.Equal(t, want, send(t, tpm, changeAuth(h, []byte("abd"), nil)), h)
	}
}

func TestAuthPersistence(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for _, h := range []wire.Handle{wire.RHOwner, wire.RHEndorsement, wire.RHLockout, wire.RHPlatform} {
		require.Equal(t, wire.RCSuccess, send(t, tpm, changeAuth(h, nil, pw)))
	}
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	for _, h := range []wire.Handle{wire.RHOwner, wire.RHEndorsement, wire.RHLockout} {
		assert.Equal(t, wire.RCSuccess, send(t, tpm, changeAuth(h, pw, nil)), h)
	}
	assert.Equal(t, wire.RCSuccess, send(t, tpm, changeAuth(wire.RHPlatform, nil, nil)), "platformAuth does not survive a TPM Reset")
}

func TestHierarchyControl(t *testing.T) {
	t.Parallel()
	control := func(auth, enable wire.Handle, state uint8) []byte {
		return et.Command(wire.CCHierarchyControl, handles{auth}, et.NoAuth(), et.U32(uint32(enable)), et.U8(state))
	}
	const ok = wire.RCSuccess
	for _, tc := range []struct {
		name         string
		before       []byte
		auth, enable wire.Handle
		state        uint8
		want         wire.RC
		flags        uint32 // of TPMA_STARTUP_CLEAR afterwards
	}{
		{"owner off by owner", nil, wire.RHOwner, wire.RHOwner, 0, ok, 0xD},
		{"owner off by platform", nil, wire.RHPlatform, wire.RHOwner, 0, ok, 0xD},
		{"owner off by endorsement", nil, wire.RHEndorsement, wire.RHOwner, 0, wire.RCAuthType, 0xF},
		{"owner on by platform", control(wire.RHOwner, wire.RHOwner, 0), wire.RHPlatform, wire.RHOwner, 1, ok, 0xF},
		{"owner on by owner", control(wire.RHOwner, wire.RHOwner, 0), wire.RHOwner, wire.RHOwner, 1, wire.RCHierarchy.Handle(1), 0xD},
		{"owner on while on", nil, wire.RHOwner, wire.RHOwner, 1, ok, 0xF},
		{"endorsement off by endorsement", nil, wire.RHEndorsement, wire.RHEndorsement, 0, ok, 0xB},
		{"endorsement off by owner", nil, wire.RHOwner, wire.RHEndorsement, 0, wire.RCAuthType, 0xF},
		{"platform NV off", nil, wire.RHPlatform, wire.RHPlatformNV, 0, ok, 0x7},
		{"platform NV off by owner", nil, wire.RHOwner, wire.RHPlatformNV, 0, wire.RCAuthType, 0xF},
		{"platform off", nil, wire.RHPlatform, wire.RHPlatform, 0, ok, 0xE},
		{"platform off by owner", nil, wire.RHOwner, wire.RHPlatform, 0, wire.RCAuthType, 0xF},
		{"platform on", control(wire.RHPlatform, wire.RHPlatform, 0), wire.RHPlatform, wire.RHPlatform, 1, wire.RCHierarchy.Handle(1), 0xE},
		{"no hierarchy", nil, wire.RHPlatform, wire.RHNull, 0, wire.RCValue.Parameter(1), 0xF},
		{"lockout", nil, wire.RHPlatform, wire.RHLockout, 0, wire.RCValue.Parameter(1), 0xF},
		{"neither yes nor no", nil, wire.RHPlatform, wire.RHOwner, 2, wire.RCValue.Parameter(2), 0xF},
	} {
		tpm := et.New(t)
		if tc.before != nil {
			require.Equal(t, ok, send(t, tpm, tc.before), tc.name)
		}
		assert.Equal(t, tc.want, send(t, tpm, control(tc.auth, tc.enable, tc.state)), tc.name)
		assert.Equal(t, tc.flags, property(t, tpm, wire.PTStartupClear)&0xF, tc.name)
		require.Equal(t, ok, tpm.Restart(wire.SUClear))
		assert.EqualValues(t, 0xF, property(t, tpm, wire.PTStartupClear)&0xF, "%s: a TPM Reset enables all", tc.name)
	}
}

func TestDisabledHierarchyIsNotThere(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for _, h := range []wire.Handle{wire.RHOwner, wire.RHEndorsement, wire.RHPlatform} {
		require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCHierarchyControl, handles{h}, et.NoAuth(), et.U32(uint32(h)), et.U8(0))))
		assert.Equal(t, wire.RCHierarchy.Handle(1), send(t, tpm, changeAuth(h, nil, nil)), h)
		assert.Equal(t, wire.RCHierarchy.Handle(1), send(t, tpm, et.Command(wire.CCHierarchyChangeAuth, handles{h}, nil)), "before authorisation")
	}
	assert.Equal(t, wire.RCSuccess, send(t, tpm, changeAuth(wire.RHLockout, nil, nil)))
}

// A failed lockoutAuth switches it off for lockoutRecovery seconds of powered
// time; failures of other hierarchies have no consequences.
func TestLockoutAuth(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	try := func(password []byte) wire.RC { return send(t, tpm, changeAuth(wire.RHLockout, password, nil)) }
	for range 10 {
		require.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, changeAuth(wire.RHOwner, pw, nil)))
	}
	require.Equal(t, wire.RCSuccess, try(nil))
	commits := tpm.Store.Commits()
	require.Equal(t, wire.RCAuthFail.Session(1), try(pw))
	assert.Equal(t, commits+1, tpm.Store.Commits(), "the failure is recorded")
	assert.Equal(t, wire.RCLockout, try(nil))
	tpm.Clock.Advance(999 * time.Second)
	assert.Equal(t, wire.RCLockout, try(nil))
	tpm.Clock.Advance(time.Second)
	assert.Equal(t, wire.RCSuccess, try(nil))

	// The time counts on over an orderly shutdown, and anew after any other.
	for orderly, left := range map[bool]time.Duration{true: 400 * time.Second, false: 1000 * time.Second} {
		require.Equal(t, wire.RCAuthFail.Session(1), try(pw))
		tpm.Clock.Advance(600 * time.Second)
		if orderly {
			require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
		}
		tpm.Clock.Advance(time.Hour)
		require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
		tpm.Clock.Advance(left - time.Second)
		assert.Equal(t, wire.RCLockout, try(nil), orderly)
		tpm.Clock.Advance(time.Second)
		assert.Equal(t, wire.RCSuccess, try(nil), orderly)
	}
}

package emulator_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
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
		assert.Equal(t, wire.RCHierarchy.Handle(1), send(t, tpm, et.Command(wire.CCHierarchyChangeAuth, handles{h}, nil)), "before authorization")
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

func setPolicy(h wire.Handle, alg wire.AlgID, digest []byte) []byte {
	return et.Command(wire.CCSetPrimaryPolicy, handles{h}, et.NoAuth(), et.Sized(digest), et.U16(uint16(alg)))
}

// policies are what TPM2_GetCapability reports of the permanent handles, by
// handle; those without a policy are not in it.
func policies(t *testing.T, tpm *et.TPM) map[wire.Handle]string {
	t.Helper()
	r := wire.NewReader(et.Parameters(tpm.Execute(0, getCapability(wire.CapAuthPolicies, uint32(wire.RHOwner), 100)), false), nil)
	r.Bytes(5)
	got := map[wire.Handle]string{}
	for range r.U32() {
		h, alg := wire.Handle(r.U32()), wire.AlgID(r.U16())
		if alg != wire.AlgNull {
			got[h] = string(r.Bytes(map[wire.AlgID]int{wire.AlgSHA1: 20, wire.AlgSHA256: 32}[alg]))
		}
	}
	require.Equal(t, wire.RCSuccess, r.RC())
	require.Zero(t, r.Len())
	return got
}

func TestSetPrimaryPolicy(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	digest := bytes.Repeat([]byte{7}, 32)
	want := map[wire.Handle]string{}
	for _, h := range []wire.Handle{wire.RHOwner, wire.RHEndorsement, wire.RHLockout, wire.RHPlatform} {
		assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, setPolicy(h, wire.AlgSHA1, digest)))
		assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, setPolicy(h, wire.AlgNull, digest)))
		assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, setPolicy(h, wire.AlgSHA256, nil)))
		assert.Equal(t, want, policies(t, tpm))
		succeed(t, tpm, setPolicy(h, wire.AlgSHA256, digest))
		want[h] = string(digest)
		assert.Equal(t, want, policies(t, tpm))
	}
	assert.Equal(t, wire.RCHash.Parameter(2), send(t, tpm, setPolicy(wire.RHOwner, wire.AlgRSA, nil)))
	assert.Equal(t, wire.RCValue.Handle(1), send(t, tpm, setPolicy(wire.RHNull, wire.AlgNull, nil)))
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUState))
	assert.Equal(t, want, policies(t, tpm))
	succeed(t, tpm, setPolicy(wire.RHOwner, wire.AlgNull, nil))
	delete(want, wire.RHOwner)
	assert.Equal(t, want, policies(t, tpm))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	delete(want, wire.RHPlatform)
	assert.Equal(t, want, policies(t, tpm), "that of the platform is gone with a TPM Reset")
}

// TPM2_Clear by both who may, and all that it sets back.
func TestClear(t *testing.T) {
	t.Parallel()
	clearBy := func(h wire.Handle, password []byte) []byte {
		return et.Command(wire.CCClear, handles{h}, [][]byte{password})
	}
	for _, by := range []wire.Handle{wire.RHLockout, wire.RHPlatform} {
		tpm := et.New(t)
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
		require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
		digest := bytes.Repeat([]byte{7}, 32)
		platformIndex := nvPublic{index: nvFirst + 1, attributes: nvUsable | wire.NVPlatformCreate}
		succeed(t, tpm, define(wire.RHOwner, nvPublic{}, nil), define(wire.RHPlatform, platformIndex, nil),
			setPolicy(wire.RHOwner, wire.AlgSHA256, digest), setPolicy(wire.RHEndorsement, wire.AlgSHA256, digest),
			setPolicy(wire.RHLockout, wire.AlgSHA256, digest), setPolicy(wire.RHPlatform, wire.AlgSHA256, digest),
			daParameters(nil, 9, 8, 7),
			et.Command(wire.CCPCRSetAuthValue, handles{20}, et.NoAuth(), et.Sized(pw)),
			et.Command(wire.CCClockSet, handles{wire.RHOwner}, et.NoAuth(), et.U64(1<<40)),
			changeAuth(wire.RHOwner, nil, pw), changeAuth(wire.RHEndorsement, nil, pw), changeAuth(wire.RHLockout, nil, pw), changeAuth(wire.RHPlatform, nil, pw),
			et.Command(wire.CCHierarchyControl, handles{wire.RHPlatform}, [][]byte{pw}, et.U32(uint32(wire.RHOwner)), et.U8(0)),
			et.Command(wire.CCHierarchyControl, handles{wire.RHPlatform}, [][]byte{pw}, et.U32(uint32(wire.RHEndorsement)), et.U8(0)))
		counter := updateCounter(t, tpm)
		assert.Equal(t, wire.RCValue.Handle(1), send(t, tpm, clearBy(wire.RHOwner, pw)))
		succeed(t, tpm, clearBy(by, pw))
		assert.Equal(t, counter+1, updateCounter(t, tpm))
		assert.Equal(t, uint32(wire.PermanentTPMGeneratedEPS), property(t, tpm, wire.PTPermanent))
		assert.EqualValues(t, 0xF, property(t, tpm, wire.PTStartupClear)&0xF)
		assert.Equal(t, map[wire.Handle]string{wire.RHPlatform: string(digest)}, policies(t, tpm))
		for pt, want := range map[wire.PT]uint32{wire.PTHRNVIndex: 1, wire.PTMaxAuthFail: 3, wire.PTLockoutInterval: 1000, wire.PTLockoutRecovery: 1000} {
			assert.Equal(t, want, property(t, tpm, pt), "0x%X", uint32(pt))
		}
		time := et.Parameters(tpm.Execute(0, et.Command(wire.CCReadClock, nil, nil)), false)
		assert.Equal(t, append(make([]byte, 8+8+4+4), 1), time, "time, clock, resetCount, restartCount, safe")
		succeed(t, tpm, changeAuth(wire.RHOwner, nil, nil), changeAuth(wire.RHEndorsement, nil, nil), changeAuth(wire.RHLockout, nil, nil))
		assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, changeAuth(wire.RHPlatform, nil, nil)), "platformAuth stays")
		assert.Equal(t, wire.RCSuccess, sendAt(t, tpm, 2, et.Command(wire.CCPCRReset, handles{20}, et.NoAuth())), "the PCRs have no authValue")
	}
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	safe := func() byte { return et.Parameters(tpm.Execute(0, et.Command(wire.CCReadClock, nil, nil)), false)[24] }
	assert.Zero(t, safe(), "after a power cut")
	succeed(t, tpm, clearBy(wire.RHPlatform, nil))
	assert.EqualValues(t, 1, safe())
}

func TestClearControl(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	control := func(h wire.Handle, disable byte) wire.RC {
		return send(t, tpm, et.Command(wire.CCClearControl, handles{h}, et.NoAuth(), et.U8(disable)))
	}
	clearTPM := et.Command(wire.CCClear, handles{wire.RHPlatform}, et.NoAuth())
	disabled := func() bool {
		return wire.PermanentAttributes(property(t, tpm, wire.PTPermanent))&wire.PermanentDisableClear != 0
	}
	assert.Equal(t, wire.RCAuthFail, control(wire.RHLockout, 0))
	assert.Equal(t, wire.RCValue.Parameter(1), control(wire.RHLockout, 2))
	assert.False(t, disabled())
	assert.Equal(t, wire.RCSuccess, control(wire.RHLockout, 1))
	assert.True(t, disabled())
	assert.Equal(t, wire.RCDisabled, send(t, tpm, clearTPM))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.True(t, disabled())
	assert.Equal(t, wire.RCAuthFail, control(wire.RHLockout, 0))
	assert.Equal(t, wire.RCSuccess, control(wire.RHPlatform, 0))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, clearTPM))
	assert.Equal(t, wire.RCSuccess, control(wire.RHPlatform, 1))
	assert.True(t, disabled())
}

// After a change of a seed a shutdown does not count any more.
func TestSeedChangeUndoesShutdown(t *testing.T) {
	t.Parallel()
	for _, p := range packets() {
		switch p.code {
		case wire.CCClear, wire.CCChangePPS, wire.CCChangeEPS:
			tpm := p.fresh(t)
			require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
			succeed(t, tpm, p.bytes)
			require.NoError(t, tpm.Init())
			assert.Equal(t, wire.RCValue.Parameter(1), tpm.Startup(0, wire.SUState), p.name)
		}
	}
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	succeed(t, tpm, setPolicy(wire.RHOwner, wire.AlgNull, nil))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUState), "the owner's policy is not part of what it saved")
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	succeed(t, tpm, setPolicy(wire.RHPlatform, wire.AlgNull, nil))
	require.NoError(t, tpm.Init())
	assert.Equal(t, wire.RCValue.Parameter(1), tpm.Startup(0, wire.SUState))
}

func TestHierarchiesWithoutNV(t *testing.T) {
	t.Parallel()
	for _, p := range packets() {
		switch p.code {
		case wire.CCClear, wire.CCClearControl, wire.CCChangePPS, wire.CCChangeEPS, wire.CCSetPrimaryPolicy, wire.CCPPCommands:
			tpm := p.fresh(t)
			tpm.Store.SetWritable(state.ErrRateLimited)
			assert.Equal(t, wire.RCNVRate, send(t, tpm, p.bytes), p.name)
			tpm.Store.SetWritable(nil)
			assert.Equal(t, wire.RCSuccess, send(t, tpm, p.bytes), p.name)
		}
	}
}

// What TPM2_PP_Commands puts on the list needs physical presence, for the
// platform alone.
func TestPPCommands(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	listed := func() []byte {
		entries, more := list(t, tpm, wire.CapPPCommands, 0, 1000, 4)
		assert.False(t, more)
		var low []byte
		for _, e := range entries {
			low = append(low, e[3])
		}
		return low
	}
	assert.Equal(t, []byte{0x2D}, listed())
	assert.Equal(t, wire.RCPP.Session(1), send(t, tpm, ppCommands(nil, nil)))
	tpm.Presence.Assert(true)
	set := []wire.CC{wire.CCClear, wire.CCSetPrimaryPolicy, wire.CCChangeEPS, wire.CCPCRExtend, wire.CCFieldUpgradeStart, 0, 0xFFFFFFFF}
	succeed(t, tpm, ppCommands(set, []wire.CC{wire.CCChangeEPS, wire.CCPPCommands, 1}))
	assert.Equal(t, []byte{0x26, 0x2D, 0x2E}, listed())
	tpm.Presence.Assert(false)
	assert.Equal(t, wire.RCPP.Session(1), send(t, tpm, setPolicy(wire.RHPlatform, wire.AlgNull, nil)))
	succeed(t, tpm, setPolicy(wire.RHOwner, wire.AlgNull, nil))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, []byte{0x26, 0x2D, 0x2E}, listed())
	tpm.Presence.Assert(true)
	succeed(t, tpm, setPolicy(wire.RHPlatform, wire.AlgNull, nil), ppCommands(nil, set))
	assert.Equal(t, []byte{0x2D}, listed())

	many := make([]wire.CC, 255)
	assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, ppCommands(many, nil)))
	assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, ppCommands(nil, many)))
	succeed(t, tpm, ppCommands(many[:254], many[:254]))
}

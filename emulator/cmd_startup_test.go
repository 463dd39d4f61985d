package emulator_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// clockInfo is the answer to TPM2_ReadClock.
func clockInfo(tb testing.TB, tpm *et.TPM) wire.TimeInfo {
	tb.Helper()
	rsp := tpm.Execute(0, et.Command(wire.CCReadClock, nil, nil))
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, false), nil)
	return wire.TimeInfo{Time: r.U64(), Clock: wire.ClockInfo{Clock: r.U64(), ResetCount: r.U32(), RestartCount: r.U32(), Safe: r.YesNo()}}
}

func TestStartupParameter(t *testing.T) {
	t.Parallel()
	for _, kind := range []wire.SU{2, 0x100, 0xFFFF} {
		tpm := et.New(t, et.WithoutStartup())
		assert.Equal(t, wire.RCValue.Parameter(1), tpm.Startup(0, kind))
		require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
		assert.Equal(t, wire.RCValue.Parameter(1), tpm.Shutdown(kind))
	}
	tpm := et.New(t, et.WithoutStartup())
	for n, want := range map[int]wire.RC{10: wire.RCInsufficient.Parameter(1), 11: wire.RCInsufficient.Parameter(1), 13: wire.RCSize} {
		c := append(et.Command(wire.CCStartup, nil, nil, et.U16(0)), 0)
		assert.Equal(t, want, send(t, tpm, resize(c[:n])), n)
	}
}

// Only localities 0 and 3 start the TPM, and PCR 0 tells which.
func TestStartupLocality(t *testing.T) {
	t.Parallel()
	for _, locality := range []uint8{0, 1, 2, 3, 4, 32, 255} {
		tpm := et.New(t, et.WithoutStartup())
		rc := tpm.Startup(locality, wire.SUClear)
		if locality != 0 && locality != 3 {
			assert.Equal(t, wire.RCLocality, rc, locality)
			continue
		}
		require.Equal(t, wire.RCSuccess, rc)
		for alg, n := range map[wire.AlgID]int{wire.AlgSHA1: 20, wire.AlgSHA256: 32, wire.AlgSHA384: 48, wire.AlgSHA512: 64} {
			want := make([]byte, n)
			want[n-1] = locality
			assert.Equal(t, want, readPCR(t, tpm, alg, 0))
		}
	}
}

// cycle is one row of the matrix of TPM Reset, Restart and Resume.
type cycle struct {
	shutdown, startup wire.SU
	none              bool // no shutdown at all
	kind              string
}

var cycles = []cycle{
	{shutdown: wire.SUClear, startup: wire.SUClear, kind: "reset"},
	{shutdown: wire.SUClear, startup: wire.SUState, kind: "refused"},
	{shutdown: wire.SUState, startup: wire.SUClear, kind: "restart"},
	{shutdown: wire.SUState, startup: wire.SUState, kind: "resume"},
	{none: true, startup: wire.SUClear, kind: "reset"},
	{none: true, startup: wire.SUState, kind: "refused"},
}

func TestStartupMatrix(t *testing.T) {
	t.Parallel()
	for _, c := range cycles {
		t.Run(fmt.Sprintf("shutdown %v %d startup %d", !c.none, c.shutdown, c.startup), func(t *testing.T) {
			t.Parallel()
			testCycle(t, c)
		})
	}
}

func testCycle(t *testing.T, c cycle) {
	tpm := et.New(t)
	for _, cmd := range [][]byte{
		extend(3, ha(wire.AlgSHA256, 1)), extend(16, ha(wire.AlgSHA256, 1)),
		et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHPlatform}, et.NoAuth(), et.Sized([]byte("x"))),
		et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, et.NoAuth(), et.Sized([]byte("o"))),
		et.Command(wire.CCHierarchyControl, handles{wire.RHPlatform}, [][]byte{[]byte("x")}, et.U32(uint32(wire.RHEndorsement)), et.U8(0)),
		et.Command(wire.CCPCRSetAuthValue, handles{20}, et.NoAuth(), et.Sized([]byte("p"))),
	} {
		require.Equal(t, wire.RCSuccess, send(t, tpm, cmd))
	}
	loadSequence(t, tpm, wire.AlgSHA1)
	before, counter := clockInfo(t, tpm).Clock, updateCounter(t, tpm)
	pcr3 := readPCR(t, tpm, wire.AlgSHA256, 3)
	if !c.none {
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(c.shutdown))
	}
	tpm.Clock.Advance(time.Hour) // without power or with, the TPM cannot tell
	rc := tpm.Restart(c.startup)
	if c.kind == "refused" {
		require.Equal(t, wire.RCValue.Parameter(1), rc)
		require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear), "a refused TPM2_Startup(STATE) leaves the way to CLEAR")
		c.kind = "reset"
	} else {
		require.Equal(t, wire.RCSuccess, rc)
	}
	after := clockInfo(t, tpm).Clock
	platform, pcrAuth, enabled, pcr := []byte(nil), []byte(nil), uint32(0xF), make([]byte, 32)
	switch c.kind {
	case "reset":
		assert.Equal(t, before.ResetCount+1, after.ResetCount)
		assert.Zero(t, after.RestartCount)
		assert.EqualValues(t, 20, updateCounter(t, tpm), "one for every PCR that counts")
	case "restart":
		assert.Equal(t, before.ResetCount, after.ResetCount)
		assert.Equal(t, before.RestartCount+1, after.RestartCount)
		assert.Equal(t, counter+20, updateCounter(t, tpm))
	case "resume":
		assert.Equal(t, before.ResetCount, after.ResetCount)
		assert.Equal(t, before.RestartCount+1, after.RestartCount)
		assert.Equal(t, counter+4, updateCounter(t, tpm), "17 to 20 are made anew")
		platform, pcrAuth, enabled, pcr = []byte("x"), []byte("p"), 0xB, pcr3
	}
	assert.Equal(t, pcr, readPCR(t, tpm, wire.AlgSHA256, 3))
	assert.Equal(t, make([]byte, 32), readPCR(t, tpm, wire.AlgSHA256, 16), "never saved")
	assert.Equal(t, bytes.Repeat([]byte{0xFF}, 32), readPCR(t, tpm, wire.AlgSHA256, 17))
	orderly := uint32(0)
	if !c.none {
		orderly = uint32(wire.StartupClearOrderly)
	}
	assert.Equal(t, orderly|enabled, property(t, tpm, wire.PTStartupClear))
	assert.Equal(t, !c.none, after.Safe)
	assert.EqualValues(t, 3, property(t, tpm, wire.PTHRTransientAvail), "objects are gone")
	for h, auth := range map[wire.Handle][]byte{wire.RHPlatform: platform, wire.RHOwner: []byte("o")} {
		assert.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCHierarchyChangeAuth, handles{h}, [][]byte{auth}, et.Sized(nil))), h)
	}
	assert.Equal(t, wire.RCSuccess, sendAt(t, tpm, 2, et.Command(wire.CCPCRExtend, handles{20}, [][]byte{pcrAuth}, et.Digests())))
}

// A Resume needs the locality and the H-CRTM of the cycle before.
func TestResumeConditions(t *testing.T) {
	t.Parallel()
	hcrtm := func(tpm *et.TPM) {
		require.NoError(t, tpm.HashStart())
		require.NoError(t, tpm.HashData([]byte("firmware")))
		require.NoError(t, tpm.HashEnd())
	}
	for _, tc := range []struct {
		first, second       uint8
		firstCRTM, nextCRTM bool
		want                wire.RC
	}{
		{0, 0, false, false, wire.RCSuccess},
		{3, 3, false, false, wire.RCSuccess},
		{0, 3, false, false, wire.RCLocality},
		{3, 0, false, false, wire.RCLocality},
		{0, 0, true, true, wire.RCSuccess},
		{0, 0, true, false, wire.RCValue.Parameter(1)},
		{0, 0, false, true, wire.RCValue.Parameter(1)},
		{3, 0, true, true, wire.RCSuccess}, // with an H-CRTM the locality does not count
		{0, 3, true, true, wire.RCSuccess},
	} {
		tpm := et.New(t, et.WithoutStartup())
		if tc.firstCRTM {
			hcrtm(tpm)
		}
		require.Equal(t, wire.RCSuccess, tpm.Startup(tc.first, wire.SUClear))
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
		require.NoError(t, tpm.Init())
		if tc.nextCRTM {
			hcrtm(tpm)
		}
		assert.Equal(t, tc.want, tpm.Startup(tc.second, wire.SUState), "%+v", tc)
	}
}

// The commands that change what TPM2_Shutdown(STATE) has saved withdraw it;
// the others do not.
func TestShutdownIsWithdrawn(t *testing.T) {
	t.Parallel()
	change := func(h wire.Handle) []byte {
		return et.Command(wire.CCHierarchyChangeAuth, handles{h}, et.NoAuth(), et.Sized(nil))
	}
	for _, tc := range []struct {
		name      string
		locality  uint8
		c         []byte
		withdrawn bool
	}{
		{"nothing", 0, nil, false},
		{"PCR that is saved", 0, extend(3, ha(wire.AlgSHA1, 1)), true},
		{"no digest", 0, extend(3), true},
		{"PCR that is not saved", 0, extend(16, ha(wire.AlgSHA1, 1)), false},
		{"wrong password", 0, et.Command(wire.CCPCRExtend, handles{3}, [][]byte{pw}, et.Digests()), false},
		{"wrong lockout password", 0, changeAuth(wire.RHLockout, pw, nil), true},
		{"event", 0, et.Command(wire.CCPCREvent, handles{3}, et.NoAuth(), et.Sized(nil)), true},
		{"event for none", 0, et.Command(wire.CCPCREvent, handles{wire.RHNull}, et.NoAuth(), et.Sized(nil)), false},
		{"reset", 0, et.Command(wire.CCPCRReset, handles{16}, et.NoAuth()), false},
		{"platform auth", 0, change(wire.RHPlatform), true},
		{"owner auth", 0, change(wire.RHOwner), false},
		{"hierarchy off", 0, et.Command(wire.CCHierarchyControl, handles{wire.RHPlatform}, et.NoAuth(), et.U32(uint32(wire.RHOwner)), et.U8(0)), true},
		{"hierarchy as it is", 0, et.Command(wire.CCHierarchyControl, handles{wire.RHPlatform}, et.NoAuth(), et.U32(uint32(wire.RHOwner)), et.U8(1)), false},
		{"PCR auth", 0, et.Command(wire.CCPCRSetAuthValue, handles{20}, et.NoAuth(), et.Sized(nil)), true},
		{"random", 0, et.Command(wire.CCGetRandom, nil, nil, et.U16(8)), false},
		{"clock", 0, et.Command(wire.CCClockSet, handles{wire.RHOwner}, et.NoAuth(), et.U64(1<<40)), false},
	} {
		tpm := et.New(t)
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
		if tc.c != nil {
			sendAt(t, tpm, tc.locality, tc.c)
		}
		want := wire.RCSuccess
		if tc.withdrawn {
			want = wire.RCValue.Parameter(1)
		}
		assert.Equal(t, want, tpm.Restart(wire.SUState), tc.name)
	}
}

// The Store decides whether commands that need it run.
func TestNVUnavailable(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]wire.RC{state.ErrUnavailable: wire.RCNVUnavailable, state.ErrRateLimited: wire.RCNVRate} {
		tpm := et.New(t, et.WithoutStartup())
		tpm.Store.SetWritable(err)
		assert.Equal(t, want, tpm.Startup(0, wire.SUClear))
		tpm.Store.SetWritable(nil)
		require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
		commits := tpm.Store.Commits()
		tpm.Store.SetWritable(err)
		for _, tc := range []struct {
			name string
			c    []byte
			want wire.RC
		}{
			{"Shutdown", et.Command(wire.CCShutdown, nil, nil, et.U16(0)), want},
			{"owner auth", et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, et.NoAuth(), et.Sized(nil)), want},
			{"platform auth", et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHPlatform}, et.NoAuth(), et.Sized(nil)), want},
			{"lockout auth", et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHLockout}, et.NoAuth(), et.Sized(nil)), want},
			{"hierarchy off", et.Command(wire.CCHierarchyControl, handles{wire.RHPlatform}, et.NoAuth(), et.U32(uint32(wire.RHOwner)), et.U8(0)), want},
			{"hierarchy as it is", et.Command(wire.CCHierarchyControl, handles{wire.RHPlatform}, et.NoAuth(), et.U32(uint32(wire.RHOwner)), et.U8(1)), wire.RCSuccess},
			{"ClockSet", et.Command(wire.CCClockSet, handles{wire.RHOwner}, et.NoAuth(), et.U64(1<<40)), want},
			{"PCR_Allocate", et.Command(wire.CCPCRAllocate, handles{wire.RHPlatform}, et.NoAuth(), et.U32(0)), want},
			{"PCR_SetAuthPolicy", et.Command(wire.CCPCRSetAuthPolicy, handles{wire.RHPlatform}, et.NoAuth(), et.Sized(nil), et.U16(0x10), et.U32(20)), want},
			{"PCR_SetAuthValue", et.Command(wire.CCPCRSetAuthValue, handles{20}, et.NoAuth(), et.Sized(nil)), want},
			{"PCR that is saved", extend(3), want},
			{"event for one that is saved", et.Command(wire.CCPCREvent, handles{3}, et.NoAuth(), et.Sized(nil)), want},
			{"PCR that is not", extend(16), wire.RCSuccess},
			{"GetRandom", et.Command(wire.CCGetRandom, nil, nil, et.U16(8)), wire.RCSuccess},
		} {
			assert.Equal(t, tc.want, send(t, tpm, tc.c), tc.name)
		}
		tpm.Clock.Advance(time.Hour)
		info := clockInfo(t, tpm)
		assert.Zero(t, info.Time, "time stands still")
		assert.False(t, info.Clock.Safe)
		assert.Equal(t, commits, tpm.Store.Commits(), "nothing is written")
		tpm.Store.SetWritable(nil)
		assert.EqualValues(t, time.Hour.Milliseconds(), clockInfo(t, tpm).Time)
	}
	// Without a shutdown to withdraw, nothing is written and NV is not needed.
	tpm := et.New(t)
	tpm.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCSuccess, send(t, tpm, extend(3)))
}

// One commit per command that changed persistent state, none for others.
func TestCommits(t *testing.T) {
	t.Parallel()
	store := &et.Store{}
	tpm := et.New(t, et.WithStore(store), et.WithoutStartup())
	assert.Equal(t, 1, store.Commits(), "the TPM that Init has made")
	for _, tc := range []struct {
		name string
		c    []byte
		want int
	}{
		{"Startup", et.Command(wire.CCStartup, nil, nil, et.U16(0)), 1},
		{"PCR_Extend", extend(3, ha(wire.AlgSHA1, 1)), 0},
		{"PCR_Read", et.Command(wire.CCPCRRead, nil, nil, et.Selection(wire.AlgSHA1, 3)), 0},
		{"owner auth", et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, et.NoAuth(), et.Sized(nil)), 1},
		{"platform auth", et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHPlatform}, et.NoAuth(), et.Sized(nil)), 0},
		{"Shutdown", et.Command(wire.CCShutdown, nil, nil, et.U16(1)), 1},
		{"withdraws the shutdown", extend(3, ha(wire.AlgSHA1, 1)), 1},
		{"has nothing to withdraw", extend(3, ha(wire.AlgSHA1, 1)), 0},
		{"Shutdown again", et.Command(wire.CCShutdown, nil, nil, et.U16(1)), 1},
		{"withdraws and changes", et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHPlatform}, et.NoAuth(), et.Sized(nil)), 1},
		{"an error", et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, [][]byte{pw}, et.Sized(nil)), 0},
	} {
		before := store.Commits()
		send(t, tpm, tc.c)
		assert.Equal(t, tc.want, store.Commits()-before, tc.name)
	}
}

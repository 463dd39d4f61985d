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

func clockSet(v uint64) []byte {
	return et.Command(wire.CCClockSet, handles{wire.RHOwner}, et.NoAuth(), et.U64(v))
}

func rateAdjust(steps int8) []byte {
	return et.Command(wire.CCClockRateAdjust, handles{wire.RHPlatform}, et.NoAuth(), et.U8(uint8(steps)))
}

// Clock is written every 4096 ms, and Time starts again with power.
func TestClockUpdate(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	assert.Equal(t, wire.TimeInfo{Clock: wire.ClockInfo{ResetCount: 1, Safe: true}}, clockInfo(t, tpm))
	commits := tpm.Store.Commits()
	tpm.Clock.Advance(4095*time.Millisecond + 999*time.Microsecond)
	assert.EqualValues(t, 4095, clockInfo(t, tpm).Clock.Clock)
	assert.Equal(t, commits, tpm.Store.Commits())
	tpm.Clock.Advance(time.Microsecond)
	assert.EqualValues(t, 4096, clockInfo(t, tpm).Clock.Clock, "parts of a millisecond add up")
	assert.Equal(t, commits+1, tpm.Store.Commits())
	tpm.Clock.Advance(100 * time.Second)
	clockInfo(t, tpm)
	assert.Equal(t, commits+2, tpm.Store.Commits(), "one commit however long it was")
}

// After a stop without shutdown Clock may be less than what was reported
// before: it is not safe until the next update.
func TestClockAfterPowerLoss(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	tpm.Clock.Advance(5 * time.Second)
	assert.EqualValues(t, 5000, clockInfo(t, tpm).Clock.Clock)
	tpm.Clock.Advance(2 * time.Second)
	assert.EqualValues(t, 7000, clockInfo(t, tpm).Clock.Clock)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	info := clockInfo(t, tpm)
	assert.Equal(t, wire.TimeInfo{Clock: wire.ClockInfo{Clock: 5000, ResetCount: 2}}, info, "as last written")
	tpm.Clock.Advance(3191 * time.Millisecond)
	assert.False(t, clockInfo(t, tpm).Clock.Safe)
	tpm.Clock.Advance(time.Millisecond)
	assert.True(t, clockInfo(t, tpm).Clock.Safe, "8192 is a new interval")
	assert.EqualValues(t, 3192, clockInfo(t, tpm).Time)

	tpm.Clock.Advance(time.Second)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
	require.NoError(t, tpm.PowerOff())
	tpm.Clock.Advance(time.Hour)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	info = clockInfo(t, tpm)
	assert.EqualValues(t, 9192, info.Clock.Clock, "nothing is lost in an orderly shutdown")
	assert.True(t, info.Clock.Safe)
}

// Time counts from _TPM_Init, not from TPM2_Startup.
func TestTimeBeforeStartup(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithoutStartup())
	tpm.Clock.Advance(1500 * time.Millisecond)
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	info := clockInfo(t, tpm)
	assert.EqualValues(t, 1500, info.Time)
	assert.EqualValues(t, 1500, info.Clock.Clock)
}

func TestClockGoingBackIsIgnored(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	tpm.Clock.Advance(time.Second)
	clockInfo(t, tpm)
	tpm.Clock.Advance(-500 * time.Millisecond)
	assert.EqualValues(t, 1000, clockInfo(t, tpm).Clock.Clock)
}

func TestClockSet(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	tpm.Clock.Advance(time.Second)
	for _, tc := range []struct {
		v    uint64
		want wire.RC
	}{
		{999, wire.RCValue.Parameter(1)},
		{1000, wire.RCSuccess},
		{0xFFFF000000000001, wire.RCValue.Parameter(1)},
		{1 << 40, wire.RCSuccess},
		{1<<40 - 1, wire.RCValue.Parameter(1)},
	} {
		assert.Equal(t, tc.want, send(t, tpm, clockSet(tc.v)), tc.v)
	}
	info := clockInfo(t, tpm)
	assert.EqualValues(t, 1<<40, info.Clock.Clock)
	assert.EqualValues(t, 1000, info.Time, "Time is not set")
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 1<<40, clockInfo(t, tpm).Clock.Clock, "it is written at once")
	assert.Equal(t, wire.RCSuccess, send(t, tpm, clockSet(0xFFFF000000000000)))
}

func TestClockRateAdjust(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		steps []int8
		want  uint64 // milliseconds after 1000 s
	}{
		{nil, 1_000_000},
		{[]int8{0}, 1_000_000},
		{[]int8{1}, 1_000_100}, {[]int8{2}, 1_001_000}, {[]int8{3}, 1_010_000},
		{[]int8{-1}, 999_900}, {[]int8{-2}, 999_000}, {[]int8{-3}, 990_000},
		{[]int8{3, -3, 1}, 1_000_100},
	} {
		tpm := et.New(t)
		for _, s := range tc.steps {
			require.Equal(t, wire.RCSuccess, send(t, tpm, rateAdjust(s)))
		}
		tpm.Clock.Advance(1000 * time.Second)
		info := clockInfo(t, tpm)
		assert.Equal(t, tc.want, info.Time, tc.steps)
		assert.Equal(t, tc.want, info.Clock.Clock, tc.steps)
	}
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, rateAdjust(3)))
	for range 1000 {
		tpm.Clock.Advance(9 * time.Microsecond)
		clockInfo(t, tpm)
	}
	assert.EqualValues(t, 9, clockInfo(t, tpm).Time)
	tpm.Clock.Advance(time.Millisecond - 90*time.Microsecond)
	assert.EqualValues(t, 10, clockInfo(t, tpm).Time, "many short commands count like a long one")
	tpm = et.New(t)
	for _, bad := range []int8{4, -4, 127, -128} {
		assert.Equal(t, wire.RCValue.Parameter(1), send(t, tpm, rateAdjust(bad)), bad)
	}
	for range 100 {
		require.Equal(t, wire.RCSuccess, send(t, tpm, rateAdjust(3)))
	}
	tpm.Clock.Advance(1000 * time.Second)
	assert.EqualValues(t, 1_150_000, clockInfo(t, tpm).Time, "at most 15 %")
}

// Clock that is safe is never less than one that was reported before.
func TestClockAfterShutdown(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	tpm.Clock.Advance(5 * time.Second)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
	tpm.Clock.Advance(2 * time.Second)
	before := clockInfo(t, tpm).Clock
	require.EqualValues(t, 7000, before.Clock)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	after := clockInfo(t, tpm).Clock
	assert.True(t, after.Safe, "the shutdown holds")
	assert.GreaterOrEqual(t, after.Clock, before.Clock)

	// Reported while NV is not there, when it has gone on before that.
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
	tpm.Clock.Advance(2 * time.Second)
	succeed(t, tpm, et.Command(wire.CCGetRandom, nil, nil, et.U16(1)))
	tpm.Store.SetWritable(state.ErrUnavailable)
	before = clockInfo(t, tpm).Clock
	assert.False(t, before.Safe)
	tpm.Store.SetWritable(nil)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	after = clockInfo(t, tpm).Clock
	assert.GreaterOrEqual(t, after.Clock, before.Clock)
}

// Clock asks the Store once in a tenth of a second, and at each command where it matters.
func TestClockTrustsTheStore(t *testing.T) {
	t.Parallel()
	random := et.Command(wire.CCGetRandom, nil, nil, et.U16(1))
	for name, c := range map[string]struct {
		before func(tpm *et.TPM)
		wait   time.Duration
		asks   bool
	}{
		"soon":             {wait: 99 * time.Millisecond},
		"later":            {wait: 100 * time.Millisecond, asks: true},
		"after a shutdown": {before: func(tpm *et.TPM) { require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState)) }, wait: time.Millisecond, asks: true},
		"before an update": {before: func(tpm *et.TPM) { tpm.Clock.Advance(2950 * time.Millisecond) }, wait: 99 * time.Millisecond, asks: true},
		"after a refusal":  {before: func(tpm *et.TPM) { tpm.Store.SetWritable(state.ErrUnavailable) }, wait: time.Millisecond, asks: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tpm := et.New(t)
			if c.before != nil {
				c.before(tpm)
			}
			tpm.Clock.Advance(time.Second) // one question, whatever was before
			succeed(t, tpm, random)
			asked := tpm.Store.Asked()
			tpm.Clock.Advance(c.wait)
			succeed(t, tpm, random)
			assert.Equal(t, c.asks, tpm.Store.Asked() > asked)
			assert.LessOrEqual(t, tpm.Store.Asked(), asked+1, "once in a command")
		})
	}
}

// While NV cannot be written Clock is not safe, and stands still when the Store has said so.
func TestClockWhileTheStoreRefuses(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	tpm.Clock.Advance(time.Second)
	require.EqualValues(t, 1000, clockInfo(t, tpm).Clock.Clock)
	tpm.Store.SetWritable(state.ErrUnavailable)
	for _, advanced := range []struct {
		by   time.Duration
		want uint64
	}{{50 * time.Millisecond, 1050}, {50 * time.Millisecond, 1050}, {time.Second, 1050}} {
		tpm.Clock.Advance(advanced.by)
		now := clockInfo(t, tpm).Clock
		assert.Equal(t, advanced.want, now.Clock)
		assert.False(t, now.Safe)
	}
}

// After a shutdown NV has the Clock that the next start goes on from, so Clock stands still
// as soon as NV cannot be written.
func TestClockAfterShutdownWhileTheStoreRefuses(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	tpm.Clock.Advance(time.Second)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	before := clockInfo(t, tpm).Clock
	tpm.Store.SetWritable(state.ErrUnavailable)
	tpm.Clock.Advance(50 * time.Millisecond)
	assert.Equal(t, before.Clock, clockInfo(t, tpm).Clock.Clock)
}

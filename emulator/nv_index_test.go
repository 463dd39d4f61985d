package emulator_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Who may do what, by the attributes.
func TestNVAuthorization(t *testing.T) {
	t.Parallel()
	const other = nvFirst + 1
	for _, tc := range []struct {
		attribute wire.NVAttributes
		by        wire.Handle
		read      bool // the attribute is for reading
		without   wire.RC
	}{
		{wire.NVOwnerRead, wire.RHOwner, true, wire.RCNVAuthorization},
		{wire.NVPPRead, wire.RHPlatform, true, wire.RCNVAuthorization},
		{wire.NVAuthRead, nvFirst, true, wire.RCAuthUnavailable.Session(1)},
		{wire.NVOwnerWrite, wire.RHOwner, false, wire.RCNVAuthorization},
		{wire.NVPPWrite, wire.RHPlatform, false, wire.RCNVAuthorization},
		{wire.NVAuthWrite, nvFirst, false, wire.RCAuthUnavailable.Session(1)},
	} {
		for _, has := range []bool{true, false} {
			// Another way to read and write is always there.
			a := wire.NVPolicyRead | wire.NVPolicyWrite | wire.NVWriteStClear | wire.NVReadStClear
			want := tc.without
			if has {
				a, want = a|tc.attribute, wire.RCSuccess
			}
			tpm := et.New(t)
			succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: a}, nil), define(wire.RHOwner, nvPublic{index: other}, nil))
			on := func(code wire.CC, params ...[]byte) wire.RC {
				return send(t, tpm, et.Command(code, handles{tc.by, nvFirst}, et.NoAuth(), params...))
			}
			foreign := func(code wire.CC, params ...[]byte) wire.RC {
				return send(t, tpm, et.Command(code, handles{other, nvFirst}, et.NoAuth(), params...))
			}
			if tc.read {
				if has {
					want = wire.RCNVUninitialized
				}
				assert.Equal(t, want, on(wire.CCNVRead, et.U16(1), et.U16(0)), tc)
				if has {
					want = wire.RCSuccess
				}
				assert.Equal(t, want, on(wire.CCNVReadLock), tc)
			} else {
				assert.Equal(t, want, on(wire.CCNVWrite, et.Sized([]byte{1}), et.U16(0)), tc)
				assert.Equal(t, want, on(wire.CCNVWriteLock), tc)
			}
			if !has {
				assert.Equal(t, wire.RCNVAuthorization, foreign(wire.CCNVRead, et.U16(1), et.U16(0)))
				assert.Equal(t, wire.RCNVAuthorization, foreign(wire.CCNVReadLock))
				assert.Equal(t, wire.RCNVAuthorization, foreign(wire.CCNVWrite, et.Sized([]byte{1}), et.U16(0)))
				assert.Equal(t, wire.RCNVAuthorization, foreign(wire.CCNVWriteLock))
			}
		}
	}
}

func TestNVPassword(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{}, append(bytes.Clone(pw), 0, 0)))
	assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte{1}, 0)))
	succeed(t, tpm, nvWrite(nvFirst, nvFirst, pw, []byte{1}, 0), nvRead(nvFirst, nvFirst, pw, 8, 0))
	assert.Equal(t, append([]byte{1}, bytes.Repeat([]byte{0xFF}, 7)...), contents(t, tpm, 8), "what the first write leaves out is as if erased")
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	succeed(t, tpm, nvRead(nvFirst, nvFirst, pw, 8, 0))
}

// No value of a counter comes twice, whatever is undefined in between.
func TestNVCounterFirstValue(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	increment := nvDo(wire.CCNVIncrement, nvFirst)
	undefine := et.Command(wire.CCNVUndefineSpace, handles{wire.RHOwner, nvFirst}, et.NoAuth())
	succeed(t, tpm, defined(wire.NTCounter), increment, increment, increment)
	assert.EqualValues(t, 3, counter(t, tpm))
	succeed(t, tpm, undefine, defined(wire.NTCounter))
	assert.Equal(t, wire.RCNVUninitialized, send(t, tpm, nvRead(nvFirst, nvFirst, nil, 8, 0)))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	succeed(t, tpm, increment)
	assert.EqualValues(t, 4, counter(t, tpm))
	succeed(t, tpm, undefine, defined(wire.NTCounter), undefine, defined(wire.NTCounter), increment)
	assert.EqualValues(t, 5, counter(t, tpm), "a counter that was never written leaves nothing behind")

	// The highest of all counts, not the last one.
	const other = nvFirst + 1
	tpm = et.New(t)
	succeed(t, tpm, defined(wire.NTCounter), define(wire.RHOwner, nvPublic{index: other, attributes: usable(wire.NTCounter)}, nil),
		increment, increment, nvDo(wire.CCNVIncrement, other), undefine,
		et.Command(wire.CCNVUndefineSpace, handles{wire.RHOwner, other}, et.NoAuth()), defined(wire.NTCounter), increment)
	assert.EqualValues(t, 3, counter(t, tpm))

	// A power cut does not make a value of what was never written.
	tpm = et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(wire.NTCounter) | wire.NVOrderly}, nil))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	succeed(t, tpm, undefine, defined(wire.NTCounter), increment)
	assert.EqualValues(t, 1, counter(t, tpm))
}

// What TPMA_NV_CLEAR_STCLEAR has made unwritten comes back in no way.
func TestNVClearStClear(t *testing.T) {
	t.Parallel()
	fives := bytes.Repeat([]byte{0x55}, 8)
	erased := []byte{0xFF, 0xFF, 0xFF, 1, 0xFF, 0xFF, 0xFF, 0xFF}
	extended := sha256.Sum256(append(make([]byte, 32), 'x'))
	for nt, tc := range map[wire.NT]struct {
		first, second, want []byte
	}{
		wire.NTOrdinary: {nvWrite(wire.RHOwner, nvFirst, nil, fives, 0), nvWrite(wire.RHOwner, nvFirst, nil, []byte{1}, 3), erased},
		wire.NTBits:     {nvDo(wire.CCNVSetBits, nvFirst, et.U64(6)), nvDo(wire.CCNVSetBits, nvFirst, et.U64(1)), et.U64(1)},
		wire.NTExtend:   {nvDo(wire.CCNVExtend, nvFirst, et.Sized([]byte("y"))), nvDo(wire.CCNVExtend, nvFirst, et.Sized([]byte("x"))), extended[:]},
		wire.NTPinPass:  {nvWrite(wire.RHOwner, nvFirst, nil, et.U64(9), 0), nvWrite(wire.RHOwner, nvFirst, nil, et.U64(7), 0), et.U64(7)},
	} {
		p := nvPublic{attributes: usable(nt) | wire.NVClearStClear, size: len(tc.want)}
		tpm := et.New(t)
		succeed(t, tpm, define(wire.RHOwner, p, nil), tc.first)
		require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
		want := wire.RCNVUninitialized
		if nt == wire.NTPinPass {
			want = wire.RCAuthUnavailable.Session(1)
		}
		assert.Equal(t, want, send(t, tpm, nvRead(nvFirst, nvFirst, nil, 8, 0)), nt)
		succeed(t, tpm, tc.second)
		assert.Equal(t, tc.want, contents(t, tpm, uint16(len(tc.want))), nt)
	}
}

// An orderly counter may skip values when power is lost, but repeats none.
func TestNVOrderlyCounter(t *testing.T) {
	t.Parallel()
	for _, increments := range []int{1, 5, 255, 256, 300} {
		for name, tc := range map[string]struct {
			shutdown bool
			kind     wire.SU
			want     uint64
		}{
			"shutdown": {true, wire.SUClear, uint64(increments)},
			"state":    {true, wire.SUState, uint64(increments)},
			"power":    {false, wire.SUClear, uint64(increments) | 0xFF},
		} {
			tpm := et.New(t, et.Unchecked())
			succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(wire.NTCounter) | wire.NVOrderly}, nil))
			for range increments {
				succeed(t, tpm, nvDo(wire.CCNVIncrement, nvFirst))
			}
			if tc.shutdown {
				require.Equal(t, wire.RCSuccess, tpm.Shutdown(tc.kind))
			}
			require.Equal(t, wire.RCSuccess, tpm.Restart(tc.kind))
			assert.Equal(t, tc.want, counter(t, tpm), "%s after %d", name, increments)
		}
	}
	tpm := et.New(t)
	succeed(t, tpm, defined(wire.NTCounter), nvDo(wire.CCNVIncrement, nvFirst))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 1, counter(t, tpm), "only orderly counters skip")
}

// Only the first value and every 256th one of an orderly counter is written.
func TestNVOrderlyCommits(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.Unchecked())
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(wire.NTCounter) | wire.NVOrderly}, nil))
	before := tpm.Store.Commits()
	for range 600 {
		succeed(t, tpm, nvDo(wire.CCNVIncrement, nvFirst))
	}
	assert.Equal(t, 3, tpm.Store.Commits()-before)

	tpm = et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: nvUsable | wire.NVOrderly}, nil))
	before = tpm.Store.Commits()
	succeed(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte("abc"), 0))
	assert.Equal(t, before, tpm.Store.Commits())
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	before = tpm.Store.Commits()
	succeed(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte("abd"), 0))
	assert.Equal(t, before+1, tpm.Store.Commits(), "the shutdown is undone")
	require.NoError(t, tpm.Init())
	assert.Equal(t, wire.RCValue.Parameter(1), tpm.Startup(0, wire.SUState))
}

// What a power cycle leaves of the states of an index.
func TestNVStartup(t *testing.T) {
	t.Parallel()
	const w, wl, rl = wire.NVWritten, wire.NVWriteLocked, wire.NVReadLocked
	const orderly, stClear, wdef = wire.NVOrderly, wire.NVClearStClear, wire.NVWriteDefine
	for _, tc := range []struct {
		name                  string
		attributes            wire.NVAttributes
		write                 bool
		reset, restart, after wire.NVAttributes // of WRITTEN and the locks, after Reset, Restart, Resume
	}{
		{"ordinary", 0, true, w, w, w | wl | rl},
		{"ordinary, not written", 0, false, 0, 0, wl | rl},
		{"WRITEDEFINE", wdef, true, w | wl, w | wl, w | wl | rl},
		{"WRITEDEFINE, not written", wdef, false, 0, 0, wl | rl},
		{"CLEAR_STCLEAR", stClear, true, 0, 0, w | wl | rl},
		{"orderly", orderly, true, 0, w, w | wl | rl},
		{"orderly WRITEDEFINE", orderly | wdef, true, 0, w | wl, w | wl | rl},
		{"orderly CLEAR_STCLEAR", orderly | stClear, true, 0, 0, w | wl | rl},
		{"counter", wire.NTCounter.Attributes(), true, w, w, w | wl | rl},
		{"orderly counter", wire.NTCounter.Attributes() | orderly, true, w, w, w | wl | rl},
		{"orderly bits", wire.NTBits.Attributes() | orderly, true, 0, w, w | wl | rl},
	} {
		for _, cycle := range []struct {
			name              string
			shutdown, startup wire.SU
			want              wire.NVAttributes
		}{
			{"Reset", wire.SUClear, wire.SUClear, tc.reset},
			{"Restart", wire.SUState, wire.SUClear, tc.restart},
			{"Resume", wire.SUState, wire.SUState, tc.after},
		} {
			tpm := et.New(t)
			succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: nvUsable | wire.NVWriteStClear | wire.NVReadStClear | tc.attributes}, nil))
			if tc.write {
				switch tc.attributes.Type() {
				case wire.NTCounter:
					succeed(t, tpm, nvDo(wire.CCNVIncrement, nvFirst))
				case wire.NTBits:
					succeed(t, tpm, nvDo(wire.CCNVSetBits, nvFirst, et.U64(1)))
				default:
					succeed(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte{1}, 0))
				}
			}
			succeed(t, tpm, nvDo(wire.CCNVWriteLock, nvFirst), nvDo(wire.CCNVReadLock, nvFirst))
			require.Equal(t, wire.RCSuccess, tpm.Shutdown(cycle.shutdown))
			require.Equal(t, wire.RCSuccess, tpm.Restart(cycle.startup))
			assert.Equal(t, cycle.want, attributes(t, tpm)&(w|wl|rl), "%s, TPM %s", tc.name, cycle.name)
		}
	}
}

// A PIN fail index counts failures up to its limit; success forgives them.
func TestNVPinFail(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	set := func(count, limit uint32) []byte {
		return nvWrite(wire.RHOwner, nvFirst, nil, append(et.U32(count), et.U32(limit)...), 0)
	}
	try := func(password []byte) wire.RC { return send(t, tpm, nvRead(nvFirst, nvFirst, password, 8, 0)) }
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(wire.NTPinFail) &^ wire.NVAuthRead}, pw))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), try(pw), "before the first write")
	succeed(t, tpm, set(0, 3))
	assert.Equal(t, wire.RCBadAuth.Session(1), try(nil))
	assert.Equal(t, wire.RCBadAuth.Session(1), try([]byte("pW")))
	assert.Equal(t, append(et.U32(2), et.U32(3)...), contents(t, tpm, 8))
	assert.Equal(t, wire.RCSuccess, try(pw))
	assert.Equal(t, append(et.U32(0), et.U32(3)...), contents(t, tpm, 8))
	for range 3 {
		assert.Equal(t, wire.RCBadAuth.Session(1), try(nil))
	}
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), try(pw), "not even the right one, and for ever")
	succeed(t, tpm, set(2, 3))
	assert.Equal(t, wire.RCSuccess, try(pw))
	assert.Zero(t, property(t, tpm, wire.PTLockoutCounter))
	succeed(t, tpm, set(0, 0))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), try(pw))
}

// A PIN pass index counts successes, also of commands that fail behind them.
func TestNVPinPass(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(wire.NTPinPass)}, pw))
	try := func(password []byte) wire.RC { return send(t, tpm, nvRead(nvFirst, nvFirst, password, 8, 0)) }
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), try(pw))
	succeed(t, tpm, nvWrite(wire.RHOwner, nvFirst, nil, append(et.U32(0), et.U32(3)...), 0))
	assert.Equal(t, wire.RCSuccess, try(pw))
	assert.Equal(t, wire.RCBadAuth.Session(1), try(nil))
	assert.Equal(t, append(et.U32(1), et.U32(3)...), contents(t, tpm, 8), "neither a failure nor the owner counts")
	assert.Equal(t, wire.RCNVRange, send(t, tpm, nvRead(nvFirst, nvFirst, pw, 9, 0)))
	assert.Equal(t, append(et.U32(2), et.U32(3)...), contents(t, tpm, 8))
	assert.Equal(t, wire.RCSuccess, try(pw))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), try(pw))
	assert.Equal(t, append(et.U32(3), et.U32(3)...), contents(t, tpm, 8))
}

// What cannot be counted is not tried.
func TestNVPinWithoutNV(t *testing.T) {
	t.Parallel()
	for _, nt := range []wire.NT{wire.NTPinFail, wire.NTPinPass} {
		tpm := et.New(t)
		succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(nt)}, pw),
			nvWrite(wire.RHOwner, nvFirst, nil, append(et.U32(0), et.U32(3)...), 0))
		tpm.Store.SetWritable(state.ErrRateLimited)
		assert.Equal(t, wire.RCNVRate, send(t, tpm, nvRead(nvFirst, nvFirst, pw, 8, 0)))
		assert.Equal(t, wire.RCNVRate, send(t, tpm, nvRead(nvFirst, nvFirst, nil, 8, 0)))
		assert.Equal(t, append(et.U32(0), et.U32(3)...), contents(t, tpm, 8))
	}
}

// NV has an end, and what is undefined is free again.
func TestNVSpace(t *testing.T) {
	t.Parallel()
	limits := emulator.DefaultLimits()
	limits.NVMemory, limits.NVOrderlyMemory, limits.Persistent = 1000, 60, 0
	tpm := et.New(t, et.WithConfig(emulator.Config{Limits: limits}))
	def := func(n wire.Handle, size int, a wire.NVAttributes) wire.RC {
		return send(t, tpm, define(wire.RHOwner, nvPublic{index: nvFirst + n, size: size, attributes: nvUsable | a}, nil))
	}
	avail := func() uint32 { return property(t, tpm, wire.PTNVCountersAvail) }
	assert.EqualValues(t, 3, avail(), "60 bytes hold three orderly counters")
	assert.Equal(t, wire.RCNVSpace, def(0, 849, 0))
	assert.Equal(t, wire.RCNVSpace, def(0, 49, wire.NVOrderly))
	assert.Equal(t, wire.RCSuccess, def(0, 848, 0))
	assert.Zero(t, avail())
	assert.Equal(t, wire.RCNVSpace, def(1, -1, 0))
	succeed(t, tpm, et.Command(wire.CCNVUndefineSpace, handles{wire.RHOwner, nvFirst}, et.NoAuth()))
	assert.Equal(t, wire.RCSuccess, def(0, 48, wire.NVOrderly))
	assert.Zero(t, avail())
	assert.Equal(t, wire.RCSuccess, def(1, 8, wire.NTCounter.Attributes()))
	assert.EqualValues(t, 1, property(t, tpm, wire.PTNVCounters))
	assert.Equal(t, wire.RCNVSpace, def(2, 8, wire.NTCounter.Attributes()|wire.NVOrderly))
}

func TestNVHandles(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	assert.EqualValues(t, 25, property(t, tpm, wire.PTNVCountersAvail))
	for _, n := range []wire.Handle{5, 1, 3, 0xBFFFFF} {
		succeed(t, tpm, define(wire.RHOwner, nvPublic{index: nvFirst + n}, nil))
	}
	got := func(from wire.Handle, count uint32) (hs []wire.Handle, more bool) {
		entries, more := list(t, tpm, wire.CapHandles, uint32(from), count, 4)
		for _, e := range entries {
			hs = append(hs, wire.Handle(binary.BigEndian.Uint32(e))-nvFirst)
		}
		return hs, more
	}
	hs, more := got(wire.NVIndexFirst, 100)
	assert.Equal(t, []wire.Handle{1, 3, 5, 0xBFFFFF}, hs)
	assert.False(t, more)
	hs, more = got(nvFirst+2, 2)
	assert.Equal(t, []wire.Handle{3, 5}, hs)
	assert.True(t, more)
	assert.EqualValues(t, 4, property(t, tpm, wire.PTHRNVIndex))
}

// A lock of an orderly index is lost with the power like its data, but not over
// a shutdown that came before it, and not if it is to be there for ever.
func TestNVOrderlyLocks(t *testing.T) {
	t.Parallel()
	const locks = wire.NVWriteLocked | wire.NVReadLocked
	tpm := et.New(t)
	writeLock, readLock := nvDo(wire.CCNVWriteLock, nvFirst), nvDo(wire.CCNVReadLock, nvFirst)
	a := usable(wire.NTCounter) | wire.NVOrderly
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: a}, nil), nvDo(wire.CCNVIncrement, nvFirst))
	commits := tpm.Store.Commits()
	succeed(t, tpm, writeLock)
	assert.Equal(t, commits, tpm.Store.Commits())
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	tpm.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCNVUnavailable, send(t, tpm, readLock))
	tpm.Store.SetWritable(nil)
	succeed(t, tpm, writeLock, readLock)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUState), "the shutdown still counts")
	assert.Equal(t, locks, attributes(t, tpm)&locks)

	tpm = et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: a | wire.NVWriteDefine}, nil), nvDo(wire.CCNVIncrement, nvFirst), writeLock)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, wire.NVWriteLocked, attributes(t, tpm)&locks)
}

// What the first write leaves out: NV of an ordinary index is as if erased, RAM
// and what has a meaning of its own are zero.
func TestNVNotWritten(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		attributes wire.NVAttributes
		want       byte
	}{{0, 0xFF}, {wire.NVClearStClear, 0xFF}, {wire.NVOrderly, 0}, {wire.NVOrderly | wire.NVClearStClear, 0}, {wire.NTPinPass.Attributes(), 0}} {
		tpm := et.New(t)
		p := nvPublic{attributes: wire.NVOwnerRead | wire.NVOwnerWrite | tc.attributes, size: 8}
		succeed(t, tpm, define(wire.RHOwner, p, nil), nvWrite(wire.RHOwner, nvFirst, nil, []byte{0, 0, 0, 5}, 4))
		rsp := tpm.Execute(0, nvRead(wire.RHOwner, nvFirst, nil, 4, 0))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
		assert.Equal(t, bytes.Repeat([]byte{tc.want}, 4), et.Parameters(rsp, false)[2:6], "%x", tc.attributes)
	}
}

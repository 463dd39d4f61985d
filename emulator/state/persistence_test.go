package state_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// resident is a TPM that lives in a directory.
type resident struct {
	*emulator.TPM
	t     *testing.T
	dir   string
	clock *et.Clock
	store *state.Directory
}

// residentIn starts a process, so to speak: everything but the directory is new.
// The TPM has no power.
func residentIn(t *testing.T, dir string) *resident {
	t.Helper()
	r := &resident{t: t, dir: dir, clock: &et.Clock{}, store: open(t, dir, state.DirectoryOptions{})}
	var err error
	r.TPM, err = emulator.New(emulator.Platform{Clock: r.clock, Entropy: et.NewEntropy(1), Store: r.store},
		emulator.Config{CheckErrors: true})
	require.NoError(t, err)
	return r
}

// interruptions are what the memory of a TPM does not survive.
var interruptions = map[string]func(r *resident) *resident{
	"reset": func(r *resident) *resident { return r },
	"power off": func(r *resident) *resident {
		require.NoError(r.t, r.PowerOff())
		return r
	},
	"process": func(r *resident) *resident {
		require.NoError(r.t, r.store.Close())
		return residentIn(r.t, r.dir)
	},
}

func (r *resident) start(kind wire.SU) wire.RC {
	r.t.Helper()
	require.NoError(r.t, r.Init())
	return r.send(wire.CCStartup, nil, nil, et.U16(uint16(kind)))
}

func (r *resident) shutdown(kind wire.SU) wire.RC {
	r.t.Helper()
	return r.send(wire.CCShutdown, nil, nil, et.U16(uint16(kind)))
}

// send sends a command with one handle, authorized with a password, or with
// none of both, and gives the response code.
func (r *resident) send(code wire.CC, handle *wire.Handle, auth []byte, params ...[]byte) wire.RC {
	r.t.Helper()
	command := et.Command(code, nil, nil, params...)
	if handle != nil {
		command = et.Command(code, []wire.Handle{*handle}, [][]byte{auth}, params...)
	}
	rsp, err := r.Send(context.Background(), 0, command)
	require.NoError(r.t, err)
	return et.ResponseCode(rsp)
}

// on is a handle for send.
func on(h wire.Handle) *wire.Handle { return &h }

func (r *resident) clockInfo() tpm2.TPMSClockInfo {
	r.t.Helper()
	rsp, err := tpm2.ReadClock{}.Execute(et.Client{TPM: r.TPM})
	require.NoError(r.t, err)
	return rsp.CurrentTime.ClockInfo
}

// pcr is the value of a PCR, nil if it is not allocated.
func (r *resident) pcr(alg wire.AlgID, pcr int) []byte {
	r.t.Helper()
	rsp, err := r.Send(context.Background(), 0, et.Command(wire.CCPCRRead, nil, nil, et.Selection(alg, pcr)))
	require.NoError(r.t, err)
	p := et.Parameters(rsp, false)
	require.NotEmpty(r.t, p)
	const digests = 4 + 10 // update counter and selection
	if p[digests+3] == 0 {
		return nil
	}
	return p[digests+4+2:]
}

func (r *resident) extend(pcr wire.Handle, octet byte) {
	r.t.Helper()
	ha := wire.HA{Hash: wire.AlgSHA256, Digest: bytes.Repeat([]byte{octet}, 32)}
	require.Equal(r.t, wire.RCSuccess, r.send(wire.CCPCRExtend, &pcr, nil, et.Digests(ha)))
}

// forEachInterruption runs a test on a TPM in a new directory.
func forEachInterruption(t *testing.T, test func(t *testing.T, r *resident, interrupt func(r *resident) *resident)) {
	for name, interrupt := range interruptions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, residentIn(t, t.TempDir()), interrupt)
		})
	}
}

// What only commands change is there at once and for good, with or without
// shutdown.
func TestPersistentStateSurvives(t *testing.T) {
	t.Parallel()
	forEachInterruption(t, func(t *testing.T, r *resident, interrupt func(r *resident) *resident) {
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear))
		secret := []byte("owner")
		require.Equal(t, wire.RCSuccess, r.send(wire.CCHierarchyChangeAuth, on(wire.RHOwner), nil, et.Sized(secret)))
		require.Equal(t, wire.RCSuccess, r.send(wire.CCClockSet, on(wire.RHOwner), secret, et.U64(1<<40)))
		require.Equal(t, wire.RCSuccess, r.send(wire.CCPCRAllocate, on(wire.RHPlatform), nil, et.Selection(wire.AlgSHA1)))
		require.NotNil(t, r.pcr(wire.AlgSHA1, 0), "not before the next _TPM_Init")
		before := r.seeds()

		r = interrupt(r)
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear))
		assert.Equal(t, wire.RCBadAuth.Session(1), r.send(wire.CCClockSet, on(wire.RHOwner), nil, et.U64(1<<41)))
		assert.GreaterOrEqual(t, r.clockInfo().Clock, uint64(1<<40))
		assert.Equal(t, wire.RCSuccess, r.send(wire.CCClockSet, on(wire.RHOwner), secret, et.U64(1<<41)))
		assert.Nil(t, r.pcr(wire.AlgSHA1, 0))
		assert.Len(t, r.pcr(wire.AlgSHA256, 0), 32)
		assert.EqualValues(t, 2, r.clockInfo().ResetCount)
		assert.Equal(t, before, r.seeds(), "it is the same TPM")
	})
}

// seeds are the secrets from which the keys of the TPM come, as the file has
// them.
func (r *resident) seeds() [3]state.TPM2B {
	r.t.Helper()
	blob, err := os.ReadFile(filepath.Join(r.dir, "tpm2.state"))
	require.NoError(r.t, err)
	s, err := state.Decode(blob)
	require.NoError(r.t, err)
	require.NotZero(r.t, s.Persistent.SPSeed.Size)
	return [3]state.TPM2B{s.Persistent.EPSeed, s.Persistent.SPSeed, s.Persistent.PPSeed}
}

// After TPM2_Shutdown nothing is lost; without it Clock goes back to what was
// written last, and is not safe before the next update, every 4096 ms (Part 1,
// section "Clock").
func TestOrderlyShutdown(t *testing.T) {
	t.Parallel()
	forEachInterruption(t, func(t *testing.T, r *resident, interrupt func(r *resident) *resident) {
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear))
		r.clock.Advance(5 * time.Second) // writes
		require.EqualValues(t, 5000, r.clockInfo().Clock)
		r.clock.Advance(time.Second)
		require.EqualValues(t, 6000, r.clockInfo().Clock)
		require.Equal(t, wire.RCSuccess, r.shutdown(wire.SUClear))
		r = interrupt(r)
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear))
		assert.Equal(t, tpm2.TPMSClockInfo{Clock: 6000, ResetCount: 2, Safe: true}, r.clockInfo())

		// TPM2_Startup has written 6000.
		r.clock.Advance(2 * time.Second)
		require.EqualValues(t, 8000, r.clockInfo().Clock)
		r = interrupt(r)
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear))
		assert.Equal(t, tpm2.TPMSClockInfo{Clock: 6000, ResetCount: 3}, r.clockInfo(), "less than 8000, and said so")
		r.clock.Advance(2191 * time.Millisecond)
		assert.Equal(t, tpm2.TPMSClockInfo{Clock: 8191, ResetCount: 3}, r.clockInfo())
		r.clock.Advance(time.Millisecond)
		assert.Equal(t, tpm2.TPMSClockInfo{Clock: 8192, ResetCount: 3, Safe: true}, r.clockInfo())
	})
}

// Part 3, section "TPM2_Startup": Resume, Restart and Reset.
func TestShutdownState(t *testing.T) {
	t.Parallel()
	forEachInterruption(t, func(t *testing.T, r *resident, interrupt func(r *resident) *resident) {
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear))
		r.extend(10, 1)
		r.extend(16, 1)
		want := r.pcr(wire.AlgSHA256, 10)
		zero := make([]byte, 32)
		require.NotEqual(t, zero, want)
		require.Equal(t, wire.RCSuccess, r.send(wire.CCHierarchyChangeAuth, on(wire.RHPlatform), nil, et.Sized([]byte("platform"))))
		require.Equal(t, wire.RCSuccess, r.shutdown(wire.SUState))

		r = interrupt(r)
		require.Equal(t, wire.RCSuccess, r.start(wire.SUState), "Resume")
		assert.Equal(t, want, r.pcr(wire.AlgSHA256, 10))
		assert.Equal(t, zero, r.pcr(wire.AlgSHA256, 16), "not among those that are saved")
		assert.Equal(t, tpm2.TPMSClockInfo{ResetCount: 1, RestartCount: 1, Safe: true}, r.clockInfo())
		assert.Equal(t, wire.RCBadAuth.Session(1), r.send(wire.CCClockSet, on(wire.RHPlatform), nil, et.U64(0)))
		assert.Equal(t, wire.RCSuccess, r.send(wire.CCClockSet, on(wire.RHPlatform), []byte("platform"), et.U64(0)))
		require.Equal(t, wire.RCSuccess, r.shutdown(wire.SUState))

		r = interrupt(r)
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear), "Restart")
		assert.Equal(t, zero, r.pcr(wire.AlgSHA256, 10))
		assert.Equal(t, tpm2.TPMSClockInfo{ResetCount: 1, RestartCount: 2, Safe: true}, r.clockInfo())
		assert.Equal(t, wire.RCSuccess, r.send(wire.CCClockSet, on(wire.RHPlatform), nil, et.U64(0)))

		r = interrupt(r)
		assert.Equal(t, wire.RCValue.Parameter(1), r.start(wire.SUState), "there was no shutdown")
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear), "Reset")
		assert.Equal(t, tpm2.TPMSClockInfo{ResetCount: 2}, r.clockInfo())
	})
}

// A commit that fails puts the TPM in failure mode, and the state on the disk is
// the old one.
func TestCommitFails(t *testing.T) {
	t.Parallel()
	forEachInterruption(t, func(t *testing.T, r *resident, interrupt func(r *resident) *resident) {
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear))
		obstacle := filepath.Join(r.dir, "tpm2.state.new", "x")
		require.NoError(t, os.Remove(filepath.Dir(obstacle)))
		require.NoError(t, os.MkdirAll(obstacle, 0o700))
		secret := []byte("owner")
		assert.Equal(t, wire.RCFailure, r.send(wire.CCHierarchyChangeAuth, on(wire.RHOwner), nil, et.Sized(secret)))
		require.ErrorContains(t, r.Failure(), r.dir)
		assert.Equal(t, wire.RCFailure, r.send(wire.CCGetRandom, nil, nil, et.U16(1)))
		require.NoError(t, os.RemoveAll(filepath.Dir(obstacle)))

		r = interrupt(r)
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear))
		assert.Equal(t, wire.RCSuccess, r.send(wire.CCHierarchyChangeAuth, on(wire.RHOwner), nil, et.Sized(secret)))
		assert.EqualValues(t, 2, r.clockInfo().ResetCount)
	})
}

// A TPM does not start with a damaged state, and not with a new one either.
func TestDamagedStateIsNotReplaced(t *testing.T) {
	t.Parallel()
	forEachInterruption(t, func(t *testing.T, r *resident, interrupt func(r *resident) *resident) {
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear))
		path := filepath.Join(r.dir, "tpm2.state")
		good, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, good[:len(good)-7], 0o600))

		r = interrupt(r)
		var file *state.FileError
		require.ErrorAs(t, r.Init(), &file)
		assert.Equal(t, path, file.Path)
		_, err = r.Send(context.Background(), 0, et.Command(wire.CCStartup, nil, nil, et.U16(0)))
		require.ErrorIs(t, err, emulator.ErrNoPower)
		found, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, good[:len(good)-7], found)

		require.NoError(t, os.WriteFile(path, good, 0o600))
		require.Equal(t, wire.RCSuccess, r.start(wire.SUClear), "the copy has been restored")
		assert.EqualValues(t, 2, r.clockInfo().ResetCount)
	})
}

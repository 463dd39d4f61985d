package emulator

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// stepClock is a clock that a test moves.
type stepClock struct{ now time.Duration }

func (c *stepClock) Now() time.Duration { return c.now }

// switchStore is a store whose Writable a test sets.
type switchStore struct {
	state.Memory
	err error
}

func (s *switchStore) Writable() error { return s.err }

// inside is a TPM after TPM2_Startup for tests that reach into its state.
type inside struct {
	*TPM
	clock *stepClock
	store *switchStore
	pp    bool
	t     *testing.T
}

func newInside(t *testing.T) *inside {
	in := &inside{clock: &stepClock{}, store: &switchStore{}, t: t}
	var err error
	in.TPM, err = New(Platform{Clock: in.clock, Store: in.store, PhysicalPresence: func() bool { return in.pp }}, Config{CheckErrors: true})
	require.NoError(t, err)
	require.NoError(t, in.Init())
	require.Equal(t, wire.RCSuccess, in.startup())
	return in
}

func (in *inside) send(command []byte) wire.RC {
	in.t.Helper()
	rsp, err := in.Send(context.Background(), 0, command)
	require.NoError(in.t, err)
	return wire.RC(binary.BigEndian.Uint32(rsp[6:]))
}

func (in *inside) startup() wire.RC {
	return in.send([]byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0})
}

// changeAuth is TPM2_HierarchyChangeAuth of a hierarchy whose password is given
// as it is, to the empty one.
func (in *inside) changeAuth(h wire.Handle, password string) wire.RC {
	w := wire.NewWriter([]byte{0x80, 2, 0, 0, 0, 0, 0, 0, 1, 0x29})
	w.U32(uint32(h))
	w.U32(uint32(9 + len(password)))
	w.AuthCommand(&wire.AuthCommand{Session: wire.RSPW, HMAC: []byte(password)})
	w.Sized(nil)
	w.SetU32(2, uint32(w.Len()))
	return in.send(w.Data())
}

func TestSelfHealing(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	p := &in.s.Persistent
	p.FailedTries, p.MaxTries, p.RecoveryTime = 5, 5, 10
	assert.Equal(t, wire.RCLockout, in.lockedOut(false), "for what is protected")
	assert.Equal(t, wire.RCSuccess, in.lockedOut(true), "lockoutAuth is not locked out by others' failures")
	tries := func(after time.Duration) uint32 {
		in.clock.now += after
		in.send(getTestResult)
		return p.FailedTries
	}
	assert.EqualValues(t, 5, tries(9999*time.Millisecond))
	assert.EqualValues(t, 4, tries(time.Millisecond))
	assert.Equal(t, wire.RCSuccess, in.lockedOut(false))
	assert.EqualValues(t, 2, tries(25*time.Second))
	assert.EqualValues(t, 1, tries(5*time.Second), "what is left of the time counts")
	assert.EqualValues(t, 0, tries(time.Hour))
	p.FailedTries, p.RecoveryTime = 5, 0
	assert.EqualValues(t, 0, tries(0), "a recovery time of 0 switches the protection off")
}

// A failure that NV cannot take is remembered until it can.
func TestLockoutFailureWithoutNV(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	in.store.err = state.ErrUnavailable
	assert.Equal(t, wire.RCAuthFail.Session(1), in.changeAuth(wire.RHLockout, "wrong"))
	assert.Equal(t, wire.RCNVUnavailable, in.changeAuth(wire.RHLockout, ""))
	in.store.err = nil
	assert.Equal(t, wire.RCLockout, in.changeAuth(wire.RHLockout, ""))
	blob, err := in.store.Load()
	require.NoError(t, err)
	s, err := state.Decode(blob)
	require.NoError(t, err)
	assert.False(t, s.Persistent.LockoutAuthEnabled, "now it is written")

	// After a shutdown nothing could be recorded at all.
	in = newInside(t)
	in.s.Persistent.Shutdown = state.ShutdownClear
	in.store.err = state.ErrRateLimited
	assert.Equal(t, wire.RCNVRate, in.changeAuth(wire.RHLockout, "wrong"))
	assert.True(t, in.s.Persistent.LockoutAuthEnabled)
}

// With a lockoutRecovery of 0 only TPM2_Startup enables lockoutAuth again.
func TestLockoutWithoutRecovery(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	in.s.Persistent.LockoutRecovery = 0
	in.save()
	require.Equal(t, wire.RCAuthFail.Session(1), in.changeAuth(wire.RHLockout, "wrong"))
	in.clock.now += 1000 * time.Hour
	assert.Equal(t, wire.RCLockout, in.changeAuth(wire.RHLockout, ""))
	require.NoError(t, in.Init())
	require.Equal(t, wire.RCSuccess, in.startup())
	assert.Equal(t, wire.RCSuccess, in.changeAuth(wire.RHLockout, ""))
}

// patch replaces the row of a command in this TPM only.
func (in *inside) patch(code wire.CC, change func(*Command)) {
	row := *in.commands.lookup(code)
	change(&row)
	in.commands.byCode[code-wire.CCNVUndefineSpaceSpecial] = &row
}

func TestPhysicalPresence(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	in.patch(wire.CCHierarchyChangeAuth, func(c *Command) { c.Presence = PresenceMust })
	assert.Equal(t, wire.RCPP.Session(1), in.changeAuth(wire.RHPlatform, ""))
	assert.Equal(t, wire.RCPP.Session(1), in.changeAuth(wire.RHPlatform, "wrong"), "before the password")
	assert.Equal(t, wire.RCSuccess, in.changeAuth(wire.RHOwner, ""), "only the platform needs it")
	in.pp = true
	assert.Equal(t, wire.RCSuccess, in.changeAuth(wire.RHPlatform, ""))
	assert.Equal(t, wire.RCBadAuth.Session(1), in.changeAuth(wire.RHPlatform, "wrong"))
	rsp, err := in.Send(context.Background(), 0, []byte{0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7A, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9})
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 1, 0x29, 0, 0, 1, 0x2D}, rsp[10:], "and it is listed")
}

// A password has the USER role only.
func TestRoles(t *testing.T) {
	t.Parallel()
	for _, role := range []AuthRole{RoleAdmin, RoleDup} {
		in := newInside(t)
		in.patch(wire.CCHierarchyChangeAuth, func(c *Command) {
			c.Handles = []CommandHandle{{Kind: HandleHierarchyAuth, Role: role}}
		})
		assert.Equal(t, wire.RCAuthType, in.changeAuth(wire.RHOwner, ""), role)
	}
}

// Counters that must not wrap end in failure mode.
func TestCounterOverflow(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	in.s.Reset.PCRUpdateCounter = ^uint32(0)
	w := wire.NewWriter([]byte{0x80, 2, 0, 0, 0, 0, 0, 0, 1, 0x82})
	w.U32(1) // PCR 1
	w.U32(wire.MinAuthArea)
	w.AuthCommand(&wire.AuthCommand{Session: wire.RSPW})
	w.DigestValues([]wire.HA{{Hash: wire.AlgSHA1, Digest: make([]byte, 20)}})
	w.SetU32(2, uint32(w.Len()))
	assert.Equal(t, wire.RCFailure, in.send(w.Data()))
	var failure *FailureError
	require.ErrorAs(t, in.Failure(), &failure)
	assert.EqualValues(t, failCounter, failure.Code)
	assert.ErrorContains(t, failure, "pcrUpdateCounter")

	in = newInside(t)
	in.changePersistent().TotalResetCount = ^uint64(0)
	in.commit()
	require.NoError(t, in.Init())
	assert.Equal(t, wire.RCFailure, in.startup())
	require.NoError(t, in.Init())
	assert.Equal(t, wire.RCFailure, in.startup(), "the count stays where it is")
}

func TestCurves(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	in.algs = crypt.Complete()
	for count, want := range map[byte][]byte{
		9: {0, 0, 0, 0, 8, 0, 0, 0, 5, 0, 3, 0, 4, 0, 5, 0, 0x40, 0, 0x41},
		2: {1, 0, 0, 0, 8, 0, 0, 0, 2, 0, 3, 0, 4},
	} {
		rsp, err := in.Send(context.Background(), 0, []byte{0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7A, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, count})
		require.NoError(t, err)
		assert.Equal(t, want, rsp[10:])
	}
}

// What a caller has encrypted is gone when the next TPM gets the room.
func TestRoomForgetsSecrets(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	in.takeRoom()
	in.plain = append(in.plain, "secret"...)
	plain := in.plain
	in.giveRoom()
	assert.Equal(t, make([]byte, len(plain)), plain)
	assert.Nil(t, in.plain)
}

// A ticket is HMAC-SHA-512 with the proof over tag, algorithm and digest.
func TestTicketValue(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	for _, h := range []wire.Handle{wire.RHOwner, wire.RHEndorsement, wire.RHPlatform} {
		c := &call{t: in.TPM, out: wire.NewWriter(nil)}
		in.hashCheckTicket(c, h, wire.AlgSHA256, []byte("digest"), true)
		m := hmac.New(sha512.New, in.proof(h))
		m.Write([]byte("\x80\x24\x00\x0Bdigest"))
		var want wire.Writer
		want.Ticket(&wire.Ticket{Tag: wire.STHashCheck, Hierarchy: h, Digest: m.Sum(nil)})
		assert.Equal(t, want.Data(), c.out.Data())
	}
}

// Every hierarchy has its own proof. That of the null hierarchy, and its seed,
// live until the next TPM Reset.
func TestProofs(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	seen := map[string]bool{}
	for _, h := range []wire.Handle{wire.RHOwner, wire.RHEndorsement, wire.RHPlatform, wire.RHNull} {
		p := string(in.proof(h))
		assert.Len(t, p, proofSize)
		assert.False(t, seen[p], h)
		seen[p] = true
	}
	shutdown := func(kind byte) []byte { return []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x45, 0, kind} }
	start := func(kind byte) []byte { return []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, kind} }
	for _, tc := range []struct {
		shutdown, startup byte
		same              bool
		clearCount        uint32
	}{{1, 1, true, 0}, {1, 0, true, 1}, {1, 0, true, 2}, {1, 1, true, 2}, {0, 0, false, 0}} {
		before := in.s.Reset
		require.Equal(t, wire.RCSuccess, in.send(shutdown(tc.shutdown)))
		require.NoError(t, in.Init())
		require.Equal(t, wire.RCSuccess, in.send(start(tc.startup)))
		assert.Equal(t, tc.same, in.s.Reset.NullProof == before.NullProof, tc)
		assert.Equal(t, tc.same, in.s.Reset.NullSeed == before.NullSeed, tc)
		assert.Equal(t, tc.clearCount, in.s.Reset.ClearCount, tc)
	}
}

// Forgiving failed tries goes on over an orderly shutdown.
func TestSelfHealingOverShutdown(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	in.clock.now += 100 * time.Second
	in.send(getTestResult)
	in.s.Persistent.FailedTries, in.s.Persistent.RecoveryTime = 2, 10
	in.s.Orderly.SelfHealTimer = int64(in.s.Volatile.Time)
	in.clock.now += 6 * time.Second
	require.Equal(t, wire.RCSuccess, in.send([]byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x45, 0, 0}))
	require.NoError(t, in.Init())
	require.Equal(t, wire.RCSuccess, in.startup())
	in.clock.now += 3 * time.Second
	in.send(getTestResult)
	assert.EqualValues(t, 2, in.s.Persistent.FailedTries)
	in.clock.now += time.Second
	in.send(getTestResult)
	assert.EqualValues(t, 1, in.s.Persistent.FailedTries)
}

// The list of tested algorithms does not grow with the number of tests.
func TestSelfTestedIsASet(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	for range 10 {
		for _, alg := range []byte{0x0B, 0x04} {
			require.Equal(t, wire.RCSuccess, in.send([]byte{0x80, 1, 0, 0, 0, 16, 0, 0, 1, 0x42, 0, 0, 0, 1, 0, alg}))
		}
	}
	assert.Equal(t, []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256}, in.s.Volatile.SelfTested)
}

// _TPM_Init takes nothing volatile from the Store, even if it is there.
func TestInitIgnoresVolatile(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	require.NoError(t, in.store.Commit(in.s.EncodeSnapshot(nil)))
	require.NoError(t, in.Init())
	assert.Equal(t, wire.RCInitialize, in.send(getTestResult))
}

// The actions of the commands for which a policy is needed: their rows are
// changed to take a password.
func TestNVAdminActions(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	index := state.NVIndex{Handle: wire.NVIndexFirst, NameAlg: wire.AlgSHA256, Data: make([]byte, 8),
		Attributes: wire.NVPlatformCreate | wire.NVAuthRead | wire.NVPolicyDelete}
	kept := index
	kept.Handle++
	kept.Attributes &^= wire.NVPolicyDelete
	in.s.NV.Indices = []state.NVIndex{index, kept}
	in.patch(wire.CCNVChangeAuth, func(c *Command) { c.Handles = []CommandHandle{{HandleNVIndex, RoleUser}} })
	in.patch(wire.CCNVUndefineSpaceSpecial, func(c *Command) {
		c.Handles = []CommandHandle{{HandleNVIndex, RoleUser}, {HandlePlatform, RoleUser}}
	})
	command := func(code wire.CC, handles []wire.Handle, passwords []string, params ...byte) []byte {
		w := wire.NewWriter([]byte{0x80, 2, 0, 0, 0, 0, 0, 0, 1, byte(code)})
		size := uint32(0)
		for i, h := range handles {
			w.U32(uint32(h))
			size += wire.MinAuthArea + uint32(len(passwords[i]))
		}
		w.U32(size)
		for _, p := range passwords {
			w.AuthCommand(&wire.AuthCommand{Session: wire.RSPW, HMAC: []byte(p)})
		}
		w.Bytes(params)
		w.SetU32(2, uint32(w.Len()))
		return w.Data()
	}
	change := func(password string, value ...byte) wire.RC {
		return in.send(command(wire.CCNVChangeAuth, []wire.Handle{index.Handle}, []string{password}, append([]byte{0, byte(len(value))}, value...)...))
	}
	tooLong := make([]byte, 33)
	tooLong[32] = 1
	assert.Equal(t, wire.RCSize.Parameter(1), change("", tooLong...))
	assert.Equal(t, wire.RCSuccess, change("", append(make([]byte, 31), 1, 0, 0)...), "zeros at the end do not count")
	assert.Equal(t, wire.RCSuccess, change(string(append(make([]byte, 31), 1)), 'x', 0))
	assert.Equal(t, []byte("x"), in.s.NV.Indices[0].Auth.Bytes())
	in.store.err = state.ErrUnavailable
	// Not to be tried without NV, because a failure could not be recorded.
	in.s.Persistent.DAUsed = true
	in.changes.state = false
	assert.Equal(t, wire.RCNVUnavailable, change("x", 'y'))
	undefine := func(h wire.Handle, password string) wire.RC {
		return in.send(command(wire.CCNVUndefineSpaceSpecial, []wire.Handle{h, wire.RHPlatform}, []string{password, ""}))
	}
	assert.Equal(t, wire.RCAttributes.Handle(1), undefine(kept.Handle, ""))
	assert.Equal(t, wire.RCNVUnavailable, undefine(index.Handle, "x"))
	in.store.err = nil
	assert.Equal(t, wire.RCSuccess, undefine(index.Handle, "x"))
	assert.Len(t, in.s.NV.Indices, 1)
	assert.Equal(t, wire.RCHandle.Handle(1), undefine(index.Handle, "x"))
}

// CheckErrors sees what an action does to NV indices behind its back.
func TestCheckErrorsFindsIndexChanges(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		attributes wire.NVAttributes
		change     func(*state.NVIndex)
		panics     bool
	}{
		"data":            {0, func(n *state.NVIndex) { n.Data[0]++ }, true},
		"attributes":      {0, func(n *state.NVIndex) { n.Attributes |= wire.NVWritten }, true},
		"authValue":       {wire.NVOrderly, func(n *state.NVIndex) { n.Auth.Set([]byte("x")) }, true},
		"orderly data":    {wire.NVOrderly, func(n *state.NVIndex) { n.Data[0]++ }, false},
		"orderly written": {wire.NVOrderly, func(n *state.NVIndex) { n.Attributes |= wire.NVWritten }, false},
	} {
		tpm := started(t, func(t *TPM, c *call) wire.RC { tc.change(&t.s.NV.Indices[0]); return wire.RCSuccess })
		tpm.s.NV.Indices = []state.NVIndex{{Handle: wire.NVIndexFirst, NameAlg: wire.AlgSHA256, Attributes: tc.attributes, Data: make([]byte, 1)}}
		run := func() { tpm.Send(context.Background(), 0, getTestResult) }
		if tc.panics {
			assert.Panics(t, run, name)
		} else {
			assert.NotPanics(t, run, name)
		}
	}
}

// Which seeds and proofs a command makes anew.
func TestSeedsChange(t *testing.T) {
	t.Parallel()
	for code, changed := range map[wire.CC]string{
		wire.CCClear:     "SPSeed SHProof EHProof",
		wire.CCChangePPS: "PPSeed PHProof PCRPolicy",
		wire.CCChangeEPS: "EPSeed EHProof EndorsementAuth EndorsementPolicy EhEnable",
	} {
		in := newInside(t)
		p := &in.s.Persistent
		p.PCRPolicy[0].Alg, p.EndorsementPolicy.Alg = wire.AlgSHA1, wire.AlgSHA1
		p.EndorsementAuth.Set([]byte("x"))
		p.AuditCounter, in.s.Reset.ClearCount = 5, 6
		in.s.Clear.EhEnable, in.s.Clear.PlatformPolicy.Alg = false, wire.AlgSHA1
		before, clearBefore := *p, in.s.Clear
		w := wire.NewWriter([]byte{0x80, 2, 0, 0, 0, 0, 0, 0, 1, byte(code)})
		w.U32(uint32(wire.RHPlatform))
		w.U32(wire.MinAuthArea)
		w.AuthCommand(&wire.AuthCommand{Session: wire.RSPW})
		w.SetU32(2, uint32(w.Len()))
		require.Equal(t, wire.RCSuccess, in.send(w.Data()))
		for name, same := range map[string]bool{
			"EPSeed": p.EPSeed == before.EPSeed, "SPSeed": p.SPSeed == before.SPSeed, "PPSeed": p.PPSeed == before.PPSeed,
			"EHProof": p.EHProof == before.EHProof, "SHProof": p.SHProof == before.SHProof, "PHProof": p.PHProof == before.PHProof,
		} {
			assert.Equal(t, !strings.Contains(changed, name), same, "%x %s", code, name)
		}
		for _, seed := range []state.TPM2B{p.EPSeed, p.SPSeed, p.PPSeed} {
			assert.EqualValues(t, seedSize, seed.Size)
		}
		if code != wire.CCClear {
			assert.Equal(t, !strings.Contains(changed, "PCRPolicy"), p.PCRPolicy == before.PCRPolicy, code)
			assert.Equal(t, !strings.Contains(changed, "EndorsementAuth"), p.EndorsementAuth == before.EndorsementAuth, code)
			assert.Equal(t, !strings.Contains(changed, "EndorsementPolicy"), p.EndorsementPolicy == before.EndorsementPolicy, code)
			assert.Equal(t, !strings.Contains(changed, "EhEnable"), in.s.Clear.EhEnable == clearBefore.EhEnable, code)
		}
		assert.Equal(t, code == wire.CCClear, p.AuditCounter == 0, code)
		assert.EqualValues(t, 6, in.s.Reset.ClearCount, code)
		assert.Equal(t, code == wire.CCChangePPS, in.s.Clear.PlatformPolicy == noPolicy, code)
		assert.Equal(t, in.s.Persistent.TotalResetCount, before.TotalResetCount, "which never goes back")
	}
}

// What needs physical presence for ever is not on the list that changes.
func TestPPCommandsListsOptionalOnes(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	assert.True(t, in.presenceOptional(wire.CCClear))
	assert.False(t, in.presenceOptional(wire.CCPPCommands), "always needs it")
	assert.False(t, in.presenceOptional(wire.CCPCRExtend), "never needs it")
	assert.False(t, in.presenceOptional(wire.CCFieldUpgradeStart), "is not there")
}

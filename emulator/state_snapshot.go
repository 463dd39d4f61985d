package emulator

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// SnapshotError says why Restore has refused a snapshot.
type SnapshotError struct {
	What string // what does not fit
	Err  error  // the cause, if it is another package's
}

// Error names it, and the remedy.
func (e *SnapshotError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("restore TPM snapshot: %s: %v", e.What, e.Err)
	}
	return fmt.Sprintf("restore TPM snapshot: %s: use a Config like that of the TPM which it was taken of", e.What)
}

// Unwrap gives the cause.
func (e *SnapshotError) Unwrap() error { return e.Err }

// Snapshot returns the whole TPM as it is between two commands: what TPM2_Shutdown
// would save and what it would not, objects, sessions and PCRs, the random bit
// generator, the secrets in clear (package state, FORMAT.md). It fails with
// ErrNoPower.
//
// Platform.Entropy is not in it. As a TPM draws from that only at _TPM_Init and
// for TPM2_StirRandom, two TPMs that are restored from one snapshot answer the
// same commands with the same bytes, as long as their clocks go alike.
func (t *TPM) Snapshot() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.powered.Load() {
		return nil, ErrNoPower
	}
	return t.encodeSnapshot(), nil
}

func (t *TPM) encodeSnapshot() []byte {
	t.s.Volatile.Fraction = uint64(t.fraction)
	t.s.Volatile.BufferSize = t.size
	return t.s.EncodeSnapshot(nil)
}

// Restore makes this TPM the one that a snapshot was taken of, whatever it was
// before, and commits its persistent state to the Store. Time goes on from here.
// What is no snapshot, or does not fit the Config of this TPM, is a [*SnapshotError]
// and changes nothing. An error of the Store puts the TPM in
// failure mode, as it does after a command.
func (t *TPM) Restore(snapshot []byte) error {
	t.ready()
	s, err := state.Decode(snapshot)
	if err != nil {
		return &SnapshotError{What: "the bytes", Err: err}
	}
	t.Cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.install(s)
}

// install makes this TPM go on from a snapshot, and commits what is permanent of it.
func (t *TPM) install(s *state.State) error {
	if err := t.fits(s); err != nil {
		return err
	}
	t.powered.Store(true)
	v := &t.s.Volatile
	t.size = v.BufferSize
	t.at, t.fraction = t.platform.Clock.Now(), time.Duration(v.Fraction)
	t.failure = nil
	if v.FailureCode != 0 {
		t.failure = &FailureError{Code: v.FailureCode, Err: errRestoredFailure}
	}
	t.save()
	t.commitSignal()
	return nil
}

// errRestoredFailure is the cause of failure mode in a restored TPM: that of
// the original is not in the snapshot.
var errRestoredFailure = errors.New("the snapshot was taken in failure mode")

// fits puts a state in place of this TPM's, unless it is one of another kind of
// TPM.
func (t *TPM) fits(s *state.State) error {
	v, l := &s.Volatile, &t.config.Limits
	banks := slices.EqualFunc(v.PCRs.Slice(), t.config.Banks, func(b state.Bank, c Bank) bool {
		return b.Alg == c.Alg && int(b.Size) == t.algs.DigestSize(c.Alg)
	})
	switch {
	case len(v.Objects) == 0:
		return &SnapshotError{What: "there is no volatile state in it"}
	case len(v.Objects) != int(l.Transient):
		return &SnapshotError{What: fmt.Sprintf("it has %d slots for transient objects, not %d", len(v.Objects), l.Transient)}
	case v.Started && len(v.Sessions) != int(l.LoadedSessions):
		return &SnapshotError{What: fmt.Sprintf("it has %d slots for sessions, not %d", len(v.Sessions), l.LoadedSessions)}
	case v.Started && len(s.Reset.ActiveSessions) != int(l.ActiveSessions):
		return &SnapshotError{What: fmt.Sprintf("it has %d sessions, not %d", len(s.Reset.ActiveSessions), l.ActiveSessions)}
	case !banks:
		return &SnapshotError{What: "its PCR banks are others"}
	case v.BufferSize < l.smallestBuffer() || v.BufferSize > l.Buffer:
		return &SnapshotError{What: fmt.Sprintf("its buffers have %d bytes, not %d to %d", v.BufferSize, l.smallestBuffer(), l.Buffer)}
	case v.Started && !coherent(s) || !t.soundSessions(v.Sessions):
		return &SnapshotError{What: "its sessions are none of this TPM"}
	case !t.soundSequences(v.Objects) || v.DRTMSlot != 0 && v.Objects[v.DRTMSlot-1].Kind != state.ObjectEventSequence:
		return &SnapshotError{What: "its sequence objects are none of this TPM"}
	}
	// One that failed because there was no entropy may not be made yet.
	if err := t.adopt(s); err != nil && (v.FailureCode == 0 || !unmade(err)) {
		return &SnapshotError{What: "its permanent state", Err: err}
	}
	old := t.s
	t.s = *s
	if !t.decodeObjects() {
		t.s = old
		t.decodeObjects()
		return &SnapshotError{What: "an object has an algorithm that this TPM does not have"}
	}
	return nil
}

// coherent reports whether every session in a slot is the one that the table of
// active sessions has there.
func coherent(s *state.State) bool {
	loaded := 0
	for i, a := range s.Reset.ActiveSessions {
		if a.Slot == 0 {
			continue
		}
		loaded++
		if int(a.Slot) > len(s.Volatile.Sessions) {
			return false
		}
		h := s.Volatile.Sessions[a.Slot-1].Handle
		if h.Index() != uint32(i) || h.Type() != wire.HTHMACSession && h.Type() != wire.HTPolicySession {
			return false
		}
	}
	for i := range s.Volatile.Sessions {
		if s.Volatile.Sessions[i].Handle != 0 {
			loaded--
		}
	}
	return loaded == 0
}

// soundSessions reports whether the sessions have algorithms of this TPM.
func (t *TPM) soundSessions(list []state.Session) bool {
	for i := range list {
		s := &list[i]
		if s.Handle == 0 {
			continue
		}
		w := wire.NewWriter(nil)
		w.SymDef(&s.Symmetric)
		r := wire.NewReader(w.Data(), t.algs.Selectors())
		sym := r.SymDef(true)
		digest := t.algs.DigestSize(s.AuthHash)
		if r.RC() != wire.RCSuccess || digest == 0 || sym.Alg == wire.AlgAES && sym.Mode != wire.AlgCFB ||
			s.Flags&(state.SessionPolicy|state.SessionAudited) != 0 && int(s.Digest.Size) != digest {
			return false
		}
	}
	return true
}

// hasMAC reports whether the TPM has the algorithm that a MAC goes on with.
func (t *TPM) hasMAC(m macState) bool {
	switch m := m.(type) {
	case *crypt.HMACState:
		return t.algs.DigestSize(m.Alg()) != 0
	case *crypt.CMACState:
		return slices.Contains(t.algs.KeyBits(m.Alg()), m.KeyBits())
	}
	return false
}

// soundSequences reports whether the sequence objects have hashes that go on here.
func (t *TPM) soundSequences(list []state.Object) bool {
	for i := range list {
		o := &list[i]
		want := 0
		switch o.Kind {
		case state.ObjectMACSequence:
			if m, err := restoreMAC(o); err != nil || !t.hasMAC(m) {
				return false
			}
		case state.ObjectSignSequence, state.ObjectVerifySequence:
			if !t.soundSignature(o) {
				return false
			}
		case state.ObjectHashSequence:
			want = 1
		case state.ObjectEventSequence:
			want = len(t.config.Banks)
		}
		if len(o.Hashes) != want {
			return false
		}
		for j, h := range o.Hashes {
			if o.Kind == state.ObjectEventSequence && h.Alg != t.config.Banks[j].Alg {
				return false
			}
			if _, err := crypt.UnmarshalHash(h.Alg, h.Buf[:h.Size]); err != nil || t.algs.DigestSize(h.Alg) == 0 {
				return false
			}
		}
	}
	return true
}

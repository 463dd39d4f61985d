package emulator

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// SaveState returns the state of the TPM in two parts, as a virtual machine moves it
// to another host: permanent is what a commit would put in the Store now,
// volatile what Snapshot gives. The TPM goes on. It fails with ErrNoPower.
func (t *TPM) SaveState() (permanent, volatile []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.powered.Load() {
		return nil, nil, ErrNoPower
	}
	return t.s.Encode(nil), t.encodeSnapshot(), nil
}

// LoadState makes this TPM the one whose state [TPM.SaveState] returned. Without volatile this TPM must
// have no power, else it fails with ErrPowered; the permanent state is put in the
// Store, from which the next Init takes it. With volatile it is Restore, and
// refuses what was not saved together. Without permanent this TPM must have power, and
// goes on from volatile with its own permanent state, which may have changed since,
// but for what makes it another TPM or another power cycle. It refuses with a
// *SnapshotError what is no state, or does not fit this TPM, and then changes nothing.
func (t *TPM) LoadState(permanent, volatile []byte) error {
	t.ready()
	if len(permanent) == 0 && len(volatile) > 0 {
		return t.resume(volatile)
	}
	s, err := state.Decode(permanent)
	if err != nil {
		return &SnapshotError{What: "the permanent state", Err: err}
	}
	saved := s.Encode(nil)
	if err := t.adopt(s); err != nil && (len(volatile) == 0 || !unmade(err)) {
		return &SnapshotError{What: "the permanent state", Err: err}
	}
	if len(volatile) == 0 {
		return t.storePermanent(s)
	}
	whole, err := state.Decode(volatile)
	if err != nil {
		return &SnapshotError{What: "the volatile state", Err: err}
	}
	if !bytes.Equal(whole.Encode(nil), saved) {
		return &SnapshotError{What: "the volatile state", Err: errOtherState}
	}
	return t.Restore(volatile)
}

// errOtherState is the cause of a *SnapshotError of LoadState.
var errOtherState = state.Error("it was not saved with this permanent state: use two parts of one SaveState")

// storePermanent replaces what the Store holds. Of a snapshot, it keeps what is
// permanent.
func (t *TPM) storePermanent(s *state.State) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.powered.Load() {
		return ErrPowered
	}
	err := t.platform.Store.Writable()
	if err == nil {
		err = t.platform.Store.Commit(s.Encode(nil))
	}
	if err != nil {
		return fmt.Errorf("store TPM state: %w", err)
	}
	return nil
}

// resume goes on from volatile state with the permanent state of this TPM, which
// Init has loaded.
func (t *TPM) resume(volatile []byte) error {
	s, err := state.Decode(volatile)
	if err != nil {
		return &SnapshotError{What: "the volatile state", Err: err}
	}
	t.Cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.powered.Load() {
		return ErrNoPower
	}
	if err := onPermanent(s, &t.s); err != nil {
		return &SnapshotError{What: "the volatile state", Err: err}
	}
	return t.install(s)
}

// Causes of a *SnapshotError of resume.
const (
	errOtherTPM   = state.Error("it is another TPM's, or a hierarchy has got a new seed since: remove it")
	errOtherCycle = state.Error("TPM2_Startup has come since: remove it")
)

// onPermanent makes a snapshot one with another permanent state of the same TPM. Of
// what TPM2_Shutdown saves, it keeps what the snapshot has, as the power cycle goes on:
// the shutdown that may have come after the snapshot has not been.
func onPermanent(snapshot, current *state.State) error {
	then, now := &snapshot.Persistent, current.Persistent
	switch {
	case then.EPSeed != now.EPSeed || then.SPSeed != now.SPSeed || then.PPSeed != now.PPSeed,
		then.EHProof != now.EHProof || then.SHProof != now.SHProof || then.PHProof != now.PHProof:
		return errOtherTPM
	case then.TotalResetCount != now.TotalResetCount || snapshot.Reset.RestartCount != current.Reset.RestartCount:
		return errOtherCycle
	}
	now.Shutdown, now.ShutdownHCRTM, now.ShutdownLocality = then.Shutdown, then.ShutdownHCRTM, then.ShutdownLocality
	now.DAUsed = now.DAUsed || then.DAUsed
	if snapshot.Volatile.DAPending { // tries that could not be written
		now.FailedTries = max(now.FailedTries, then.FailedTries)
	}
	snapshot.Persistent = now
	snapshot.Orderly.Clock = max(snapshot.Orderly.Clock, current.Orderly.Clock)
	snapshot.Volatile.DRBG = current.Volatile.DRBG // or it would give the same numbers again
	snapshot.Objects, snapshot.Unknown = current.Objects, current.Unknown
	indices := current.NV
	indices.Indices = slices.Clone(indices.Indices)
	for i := range indices.Indices {
		index := &indices.Indices[i]
		for j := range snapshot.NV.Indices {
			if old := &snapshot.NV.Indices[j]; old.Handle == index.Handle {
				orderlyOf(index, old)
			}
		}
	}
	snapshot.NV = indices
	return nil
}

// orderlyOf gives an orderly index the data that a snapshot has of it. A counter does
// not go back.
func orderlyOf(index, then *state.NVIndex) {
	const changing = wire.NVWritten | wire.NVWriteLocked | wire.NVReadLocked
	if !index.Orderly() || (index.Attributes^then.Attributes)&^changing != 0 || len(index.Data) != len(then.Data) ||
		index.NameAlg != then.NameAlg || index.Policy != then.Policy {
		return
	}
	if index.Attributes.Type() == wire.NTCounter && bytes.Compare(index.Data, then.Data) > 0 {
		return
	}
	index.Attributes, index.Data = then.Attributes, then.Data
}

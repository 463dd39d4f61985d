package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The tables of sessions (Part 1, section "Session Context Management"): a slot
// for each loaded session, and an entry for each that is active, which is
// loaded or saved. HMAC and policy sessions share the indices of their handles.

// contextGap is by how much the sequence numbers of two saved session contexts
// can differ: TPM_PT_CONTEXT_GAP_MAX.
const contextGap = 0xFFFF

// session is the loaded session with a handle. It returns TPM_RC_REFERENCE_H0 for a
// session that is not loaded, and TPM_RC_HANDLE for one of the other kind.
func (t *TPM) session(h wire.Handle) (*state.Session, wire.RC) {
	a := t.activeSession(h)
	if a == nil || a.Slot == 0 {
		return nil, wire.RCReferenceH0
	}
	s := &t.s.Volatile.Sessions[a.Slot-1]
	if s.Handle != h {
		return nil, wire.RCHandle
	}
	return s, wire.RCSuccess
}

// activeSession is the entry for a handle, nil if there can be none.
func (t *TPM) activeSession(h wire.Handle) *state.ActiveSession {
	t.call.lookups++
	list := t.s.Reset.ActiveSessions
	if i := h.Index(); uint64(i) < uint64(len(list)) {
		return &list[i]
	}
	return nil
}

// countSessions gives the number of loaded sessions and that of active ones.
func (t *TPM) countSessions() (loaded, active int) {
	for _, a := range t.s.Reset.ActiveSessions {
		if a.Slot != 0 {
			loaded++
			active++
		} else if a.Context != 0 {
			active++
		}
	}
	return loaded, active
}

// oldestSaved is the index of the session whose context was saved first of
// those that still are, -1 without one.
func (t *TPM) oldestSaved() int {
	oldest := -1
	for i, a := range t.s.Reset.ActiveSessions {
		if a.Context != 0 && (oldest < 0 || a.Context < t.s.Reset.ActiveSessions[oldest].Context) {
			oldest = i
		}
	}
	return oldest
}

// gapReached reports whether the session with the index has a context so old that
// no other can be saved before it is loaded: clients see 16 bits of the
// sequence numbers, which would be ambiguous.
func (t *TPM) gapReached(i int) bool {
	r := &t.s.Reset
	return i >= 0 && uint16(r.ActiveSessions[i].Context) == uint16(r.ContextCounter)
}

// freeSession gives the first free slot and how many there are.
func (t *TPM) freeSession() (slot, free int) {
	list := t.s.Volatile.Sessions
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Handle == 0 {
			slot = i
			free++
		}
	}
	return slot, free
}

// takeSession finds a free slot, and the index of a handle that is free. With
// the last slot it keeps the oldest context loadable.
func (t *TPM) takeSession() (slot, index int, rc wire.RC) {
	slot, free := t.freeSession()
	if free == 0 {
		return 0, 0, wire.RCSessionMemory
	}
	if free == 1 && t.gapReached(t.oldestSaved()) {
		return 0, 0, wire.RCContextGap
	}
	for i, a := range t.s.Reset.ActiveSessions {
		if a == (state.ActiveSession{}) {
			return slot, i, wire.RCSuccess
		}
	}
	return 0, 0, wire.RCSessionHandles
}

// endSession ends the session with a handle, loaded or saved, whose entry is a.
func (t *TPM) endSession(a *state.ActiveSession, h wire.Handle) {
	if a.Slot != 0 {
		t.s.Volatile.Sessions[a.Slot-1] = state.Session{}
	}
	*a = state.ActiveSession{}
	if t.s.Volatile.ExclusiveSession == h {
		t.s.Volatile.ExclusiveSession = wire.RHUnassigned
	}
}

// sessionStartup is the part of TPM2_Startup: loaded sessions are gone, saved
// ones only after a Reset.
func (t *TPM) sessionStartup(kind startupKind) {
	r, v, l := &t.s.Reset, &t.s.Volatile, &t.config.Limits
	v.Sessions = make([]state.Session, l.LoadedSessions)
	if kind == startupReset || len(r.ActiveSessions) != int(l.ActiveSessions) {
		r.ActiveSessions = make([]state.ActiveSession, l.ActiveSessions)
		if kind == startupReset {
			r.ContextCounter = 0
		}
		r.ContextCounter = max(r.ContextCounter, uint64(l.LoadedSessions)+1)
	}
	for i := range r.ActiveSessions {
		if r.ActiveSessions[i].Slot != 0 {
			r.ActiveSessions[i] = state.ActiveSession{}
		}
	}
	v.ExclusiveSession = wire.RHUnassigned
}

package emulator

import (
	"cmp"
	"slices"
	"sort"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Persistent objects (Part 1, section "Persistent Objects").

// persistentPosition is where a persistent object is in the list, or would have
// to be.
func (t *TPM) persistentPosition(h wire.Handle) (int, bool) {
	list := t.s.Objects.List // by index, because an element is large
	return sort.Find(len(list), func(i int) int { return cmp.Compare(h, list[i].Handle) })
}

// decodePersistent decodes the persistent objects, after the list has changed.
// It is false if one is not one of this TPM.
func (t *TPM) decodePersistent() bool {
	list := t.s.Objects.List
	t.persistent = make([]*object, len(list))
	for i := range list {
		o, ok := t.decodeObject(&list[i].Object)
		if !ok {
			return false
		}
		t.persistent[i] = o
	}
	return true
}

// persistentSize is how many bytes of the NV memory a persistent object takes,
// whatever its size, about as many as in the reference implementation.
const persistentSize = 2000

// persistentFree is how many objects there is room for.
func (t *TPM) persistentFree() int {
	memory, _ := t.nvFree()
	return min(memory/persistentSize, state.MaxPersistentObjects-len(t.s.Objects.List))
}

// persistentReserve is the memory that indices leave for the objects that the
// TPM promises to have room for: TPM_PT_HR_PERSISTENT_MIN.
func (t *TPM) persistentReserve() int {
	return max(0, int(t.config.Limits.Persistent)-len(t.s.Objects.List)) * persistentSize
}

// makePersistent puts a copy of an object behind a persistent handle that is
// free.
func (t *TPM) makePersistent(h wire.Handle, s *state.Object) {
	i, _ := t.persistentPosition(h)
	t.s.Objects.List = slices.Insert(t.s.Objects.List, i, state.PersistentObject{Handle: h, Object: *s})
	t.decodePersistent()
	t.dirty = true
}

// removePersistent removes the persistent objects for which remove is true.
func (t *TPM) removePersistent(remove func(*state.PersistentObject) bool) {
	n := len(t.s.Objects.List)
	t.s.Objects.List = slices.DeleteFunc(t.s.Objects.List, func(p state.PersistentObject) bool { return remove(&p) })
	if len(t.s.Objects.List) != n {
		t.decodePersistent()
		t.dirty = true
	}
}

// persistentPresent is TPM_RC_HANDLE for an object that is not there, or is not
// to be seen because a hierarchy is switched off: the one whose range its handle
// is in, or for all but TPM2_EvictControl the endorsement hierarchy it is of.
// One that is there takes an object slot for the duration of the command.
func (t *TPM) persistentPresent(h wire.Handle) wire.RC {
	o, cmd := t.object(h), t.call.cmd
	enabled := t.s.Clear.ShEnable
	if h >= wire.PlatformPersist {
		enabled = t.s.Volatile.PhEnable
	}
	switch {
	case !enabled || o == nil:
		return wire.RCHandle
	case o.Hierarchy == wire.RHEndorsement && !t.s.Clear.EhEnable && cmd.Code != wire.CCEvictControl:
		return wire.RCHandle
	case t.freeSlots() < 1:
		return wire.RCObjectMemory
	}
	t.call.borrowed++
	return wire.RCSuccess
}

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
	t.call.lookups++
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

// makePersistent gives a copy of an object a persistent handle, which is free and
// whose position in the list is at.
func (t *TPM) makePersistent(at int, h wire.Handle, s *state.Object) {
	t.s.Objects.List = slices.Insert(t.s.Objects.List, at, state.PersistentObject{Handle: h, Object: *s})
	t.decodePersistent()
	t.save()
}

// removePersistent removes the persistent objects for which remove is true.
func (t *TPM) removePersistent(remove func(*state.PersistentObject) bool) {
	n := len(t.s.Objects.List)
	t.s.Objects.List = slices.DeleteFunc(t.s.Objects.List, func(p state.PersistentObject) bool { return remove(&p) })
	if len(t.s.Objects.List) != n {
		t.decodePersistent()
		t.save()
	}
}

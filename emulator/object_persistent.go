package emulator

import (
	"cmp"
	"slices"
	"sort"

	"github.com/swtpmd/swtpmd/emulator/crypt"
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

// persistentSize is how many bytes of the NV memory a persistent object takes at
// least, about as many as in the reference implementation. Of RSA and ECC keys none has
// more.
const persistentSize = 2000

// persistentFrame is what a persistent object has besides its areas and Names: handle,
// flags, hierarchy, and four sizes.
const persistentFrame = 4 + 1 + 4 + 4*2

// persistentBytes is how many bytes of the NV memory an object takes.
func persistentBytes(o *state.Object) int {
	return max(persistentSize, persistentFrame+len(o.Public)+len(o.Sensitive)+len(o.Name)+len(o.QualifiedName))
}

// largestPersistent is the most that persistentBytes is with the algorithms of a TPM.
func largestPersistent(algs *crypt.Registry) int {
	digest := algs.Selectors().LargestDigest()
	public, sensitive := latticeAreas(digest, algs)
	return max(persistentSize, persistentFrame+public+sensitive+2*(2+digest))
}

// persistentUsed is what all persistent objects of a state take.
func persistentUsed(list []state.PersistentObject) (used int) {
	for i := range list {
		used += persistentBytes(&list[i].Object)
	}
	return used
}

// persistentFree is how many objects there is room for, whatever they are.
func (t *TPM) persistentFree() int {
	memory, _ := t.nvFree()
	return min(memory/largestPersistent(t.algs), state.MaxPersistentObjects-len(t.s.Objects.List))
}

// persistentFits reports whether there is room for an object.
func (t *TPM) persistentFits(o *state.Object) bool {
	memory, _ := t.nvFree()
	return memory >= persistentBytes(o) && len(t.s.Objects.List) < state.MaxPersistentObjects
}

// persistentReserve is the memory that indices leave for the objects that the
// TPM promises to have room for: TPM_PT_HR_PERSISTENT_MIN.
func (t *TPM) persistentReserve() int {
	return max(0, int(t.config.Limits.Persistent)-len(t.s.Objects.List)) * largestPersistent(t.algs)
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

package version185

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// loaded are the handles in use, ascending.
func (t *talk) loaded() []uint32 {
	var all []uint32
	for h := range t.keys {
		all = append(all, h)
	}
	for h := range t.sequences {
		all = append(all, h)
	}
	slices.Sort(all)
	return all
}

// handlesOf are the handles of the keys of a kind, ascending.
func (t *talk) handlesOf(suits func(*key) bool) []uint32 {
	var all []uint32
	for _, h := range t.loaded() {
		if k := t.keys[h]; k != nil && suits(k) {
			all = append(all, h)
		}
	}
	return all
}

// anyHandle draws a handle of the ones given, and sometimes another one.
func (t *talk) anyHandle(from []uint32) uint32 {
	if all := t.loaded(); len(all) > 0 && t.chance(0.1) {
		return pick(t.source, all...)
	}
	if len(from) == 0 || t.chance(0.01) {
		return 0x80000000 + t.Uint32N(slots+1)
	}
	return pick(t.source, from...)
}

// full is the code for a command that needs a slot when there is none.
func (t *talk) full() uint32 {
	return when(len(t.keys)+len(t.sequences) == slots, uint32(tpm2.TPMRCObjectMemory))
}

// room mostly sees to it that so many slots are free; kept objects stay. Objects are put
// on the shelf.
func (t *talk) room(n int, kept ...uint32) {
	if t.chance(0.02) {
		return
	}
	for t.err == nil && slots-len(t.keys)-len(t.sequences) < n {
		all := slices.DeleteFunc(t.loaded(), func(h uint32) bool { return slices.Contains(kept, h) })
		if len(all) == 0 {
			return
		}
		h := pick(t.source, all...)
		if t.chance(0.6) {
			t.save(h)
		}
		t.flush(h)
	}
}

func (t *talk) flush(h uint32) {
	known := t.keys[h] != nil || t.sequences[h] != nil
	if _, ok := t.send(tpm2.TPMCCFlushContext, nil, wire.U32(h), when(!known, parameter(tpm2.TPMRCHandle, 1))); ok {
		delete(t.keys, h)
		delete(t.sequences, h)
	}
}

// shelved is a saved context.
type shelved struct {
	context  []byte
	key      *key
	sequence *sequence
}

const longestShelf = 12

func (t *talk) save(h uint32) {
	a, ok := t.send(tpm2.TPMCCContextSave, []uint32{h}, nil, 0)
	if !ok {
		return
	}
	s := shelved{context: slices.Clone(a.out.Rest), key: t.keys[h]}
	if q := t.sequences[h]; q != nil {
		s.sequence = q.copy()
	}
	if len(t.shelf) == longestShelf {
		t.shelf = slices.Delete(t.shelf, 0, 1)
	}
	t.shelf = append(t.shelf, s)
}

func (t *talk) saveContext() {
	if all := t.loaded(); len(all) > 0 {
		t.save(pick(t.source, all...))
	}
}

// loadContext loads from the shelf: what is saved can be loaded any number of times, a
// sequence as it was then. A changed context is refused (Part 1, section "Context
// Integrity Protection").
func (t *talk) loadContext() {
	if len(t.shelf) == 0 {
		return
	}
	t.room(1)
	s := pick(t.source, t.shelf...)
	context, changed := slices.Clone(s.context), t.chance(0.1)
	if changed {
		const integrity = 8 + 4 + 4 + 2 + 2 // sequence, savedHandle, hierarchy, size of the blob and of the HMAC
		context[integrity+t.IntN(len(context)-integrity)] ^= 1 << t.UintN(8)
	}
	a, ok := t.send(tpm2.TPMCCContextLoad, nil, context, first(when(changed, parameter(tpm2.TPMRCIntegrity, 1)), t.full()))
	if !ok {
		return
	}
	if s.sequence != nil {
		t.sequences[a.handle] = s.sequence.copy()
	} else {
		t.keys[a.handle] = s.key
	}
}

// readPublic reads a public area, which the player compares with what it knows.
func (t *talk) readPublic() {
	h := t.anyHandle(t.loaded())
	a, ok := t.send(tpm2.TPMCCReadPublic, []uint32{h}, nil, when(t.sequences[h] != nil, uint32(tpm2.TPMRCSequence)))
	if ok {
		public := a.out.Sized()
		t.check(slices.Equal(public, t.keys[h].bytes()), "public area: %x, is %x", public, t.keys[h].bytes())
	}
}

// isWhole reports whether the TPM has both areas of a key, isKnown whether the caller has
// its private part.
func isWhole(k *key) bool { return !k.publicOnly }
func isKnown(k *key) bool { return k.private != nil }

// signers are the keys that sign and are of a kind.
func (t *talk) signers(suits func(*key) bool) []uint32 {
	return t.handlesOf(func(k *key) bool { return k.signing() && suits(k) })
}

package verify

import "encoding/binary"

// digestTable remembers template digests as the kernel's hash table does
// (ima_queue.c), but only so many of them: with no room left near its place a
// newer one replaces an older one. It finds what repeats in lists of some ten
// thousand records, and in longer ones what repeats soon.
type digestTable struct {
	slots []digestSlot
	used  int
	// epoch counts how often the table was emptied: slots of another one are
	// empty. Emptying it costs nothing that way, however often a list asks
	// for it.
	epoch uint32
}

type digestSlot struct {
	digest [20]byte
	pcr    uint32
	epoch  uint32
}

const (
	// The number of slots grows with the records, from the one to the other.
	digestSlotsMin = 1 << 8
	digestSlotsMax = 1 << 16
	// digestProbes is in how many slots from its place on a digest may be.
	digestProbes = 16
)

// add remembers the digest of a record and reports whether it was there for the
// same PCR. Of a long digest the first 20 bytes count.
func (t *digestTable) add(digest []byte, pcr uint32) bool {
	if t.used*2 >= len(t.slots) && len(t.slots) < digestSlotsMax {
		t.grow()
	}
	s := digestSlot{pcr: pcr, epoch: t.epoch}
	copy(s.digest[:], digest)
	slot := t.find(&s)
	if *slot == s {
		return true
	}
	if slot.epoch != t.epoch {
		t.used++
	}
	*slot = s
	return false
}

// find returns the slot that holds s or, if none does, the one for it.
func (t *digestTable) find(s *digestSlot) *digestSlot {
	mask := uint32(len(t.slots) - 1)
	place := binary.LittleEndian.Uint32(s.digest[:])
	for i := range uint32(digestProbes) {
		slot := &t.slots[(place+i)&mask]
		if slot.epoch != t.epoch || *slot == *s {
			return slot
		}
	}
	return &t.slots[place&mask]
}

func (t *digestTable) grow() {
	old := t.slots
	t.slots = make([]digestSlot, max(digestSlotsMin, 4*len(old)))
	t.used = 0
	if t.epoch == 0 {
		t.epoch = 1 // new slots are empty
	}
	for i := range old {
		if old[i].epoch == t.epoch {
			*t.find(&old[i]) = old[i]
			t.used++
		}
	}
}

// clear forgets all digests.
func (t *digestTable) clear() {
	t.epoch++
	t.used = 0
}

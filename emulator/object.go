package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Objects with transient and persistent handles: the slots they are in, and what is
// decoded of them.

// object is an object or sequence object: its state, and for a loaded object the
// areas decoded from it. The decoded byte strings
// alias the state.
type object struct {
	*state.Object
	public    wire.Public
	sensitive wire.Sensitive // zero with state.ObjectPublicOnly

	rsa     *crypt.RSAPrivateKey // made from sensitive when it is first needed
	rsaOpen *crypt.RSAPublicKey  // made from public when it is first needed
	lattice latticeKeys

	eddsa     crypt.EdDSAKey       // likewise from sensitive
	eddsaOpen crypt.EdDSAPublicKey // and from public

	obfuscation  *obfuscation // of what it attests, derived when it is first needed
	integrityKey []byte       // of the children of a storage key, derived when it is first needed
}

// loaded reports whether it is an object with a public area, not a sequence.
func (o *object) loaded() bool { return o.Kind == state.ObjectLoaded }

// has reports whether an object has all of the attributes. A sequence has none.
func (o *object) has(a wire.ObjectAttributes) bool {
	return o.loaded() && o.public.Attributes&a == a
}

// publicOnly reports whether the sensitive area is not there.
func (o *object) publicOnly() bool { return o.Flags&state.ObjectPublicOnly != 0 }

// authValue is the authorization value, without zeros at its end.
func (o *object) authValue() []byte {
	if o.loaded() {
		return o.sensitive.Auth
	}
	return o.Auth.Bytes()
}

// decodeObject decodes the areas of a loaded object. It is false for a state
// that names an algorithm which this TPM does not have.
func (t *TPM) decodeObject(s *state.Object) (*object, bool) {
	o := &object{Object: s}
	if !o.loaded() {
		return o, true
	}
	r := wire.NewReader(s.Public, t.algs.Selectors())
	r.Public(&o.public, true)
	ok := r.RC() == wire.RCSuccess && r.Len() == 0
	if !o.publicOnly() {
		r = wire.NewReader(s.Sensitive, t.algs.Selectors())
		r.Sensitive(&o.sensitive)
		ok = ok && r.RC() == wire.RCSuccess && r.Len() == 0
	}
	return o, ok
}

// object is the object or sequence object with a handle, else nil. It cannot meet
// the sequence object of locality 4, which every command ends.
func (t *TPM) object(h wire.Handle) *object {
	switch h.Type() {
	case wire.HTTransient:
		t.call.lookups++
		if i := h.Index(); uint64(i) < uint64(len(t.slots)) {
			return t.slots[i]
		}
	case wire.HTPersistent:
		if i, ok := t.persistentPosition(h); ok {
			return t.persistent[i]
		}
	}
	return nil
}

// freeSlots counts the object slots that are free, besides those that the
// persistent objects of the command in execution take: they are copied into
// slots for its duration (TPMA_MEMORY objectCopiedToRam).
func (t *TPM) freeSlots() int {
	n := -t.call.borrowed
	for _, o := range t.slots {
		if o == nil {
			n++
		}
	}
	return n
}

// freeSlot is the first free slot, or none; the first ones have the persistent
// objects of the command.
func (t *TPM) freeSlot() int {
	borrowed := t.call.borrowed
	for i := range t.slots {
		switch {
		case t.slots[i] != nil:
		case borrowed > 0:
			borrowed--
		default:
			return i
		}
	}
	return none
}

// takeSlot puts s into a free slot, and gives its handle. Without one the object
// is nil, and the command answers TPM_RC_OBJECT_MEMORY. The areas of a loaded
// object are known to decode.
func (t *TPM) takeSlot(s *state.Object) (wire.Handle, *object) {
	i := t.freeSlot()
	if i == none {
		return wire.RHUnassigned, nil
	}
	if !t.fillSlot(i, s) {
		panic("internal error: an object that was just made does not decode")
	}
	return wire.TransientFirst + wire.Handle(i), t.slots[i]
}

// fillSlot puts s into slot i, free or not. It is false, and the slot free,
// if s is none of this TPM.
func (t *TPM) fillSlot(i int, s *state.Object) bool {
	slot := &t.s.Volatile.Objects[i]
	*slot = *s
	o, ok := t.decodeObject(slot)
	if !ok {
		*slot, o = state.Object{}, nil
	}
	t.slots[i] = o
	return ok
}

// flushObject frees the slot of a transient handle.
func (t *TPM) flushObject(h wire.Handle) {
	i := h.Index()
	t.s.Volatile.Objects[i] = state.Object{}
	t.slots[i] = nil
}

// flushHierarchy flushes the loaded objects of a hierarchy.
func (t *TPM) flushHierarchy(hierarchy wire.Handle) {
	for i, o := range t.slots {
		if o != nil && o.loaded() && o.Hierarchy == hierarchy {
			t.flushObject(wire.TransientFirst + wire.Handle(i))
		}
	}
}

// decodeObjects brings slots and persistent in line with the state. It is
// false if an object is not one of this TPM.
func (t *TPM) decodeObjects() bool {
	v := &t.s.Volatile
	t.slots = make([]*object, len(v.Objects))
	for i := range v.Objects {
		if v.Objects[i].Kind == state.ObjectNone {
			continue
		}
		o, ok := t.decodeObject(&v.Objects[i])
		if !ok {
			return false
		}
		t.slots[i] = o
	}
	return t.decodePersistent()
}

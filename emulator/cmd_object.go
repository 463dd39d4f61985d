package emulator

import (
	"bytes"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Object Commands", but for what creates objects: the commands
// on objects that there are, and what all make objects with.

// objectName is the Name of an object: nameAlg, and its digest of the TPMT_PUBLIC
// (Part 1, section "Names"). It is empty without nameAlg.
func objectName(nameAlg wire.AlgID, public []byte) []byte {
	return appendName(make([]byte, 0, wire.MaxName), nameAlg, public)
}

// qualifiedName is the Qualified Name of an object: nameAlg, and its digest of
// the parent's Qualified Name and the object's Name (Part 1, section "Qualified
// Names"). For a primary object the parent's is the handle of its hierarchy.
func qualifiedName(nameAlg wire.AlgID, parent, name []byte) []byte {
	return appendQualifiedName(make([]byte, 0, wire.MaxName), nameAlg, parent, name)
}

func appendQualifiedName(dst []byte, nameAlg wire.AlgID, parent, name []byte) []byte {
	var space [2 * wire.MaxName]byte
	return appendName(dst, nameAlg, append(append(space[:0], parent...), name...))
}

// appendName appends alg and the digest of b, nothing for TPM_ALG_NULL.
func appendName(dst []byte, alg wire.AlgID, b []byte) []byte {
	if alg == wire.AlgNull {
		return dst
	}
	return crypt.Digest(alg, binary.BigEndian.AppendUint16(dst, uint16(alg)), b)
}

// publicName is objectName of a public area that is not marshaled.
func (t *TPM) publicName(p *wire.Public) []byte {
	return t.appendPublicName(make([]byte, 0, wire.MaxName), p)
}

func (t *TPM) appendPublicName(dst []byte, p *wire.Public) []byte {
	w := wire.NewWriter(t.hashing[:0])
	w.Public(p)
	return appendName(dst, p.NameAlg, w.Data())
}

// newObject puts an object made of its areas and its Name, which it copies, into
// a slot; a Name that is nil it computes; without sensitive it is public only. Flags that follow from the areas
// and the hierarchy are added to flags. An external object has no parent, and
// its Qualified Name is its Name (Part 1, section "Qualified Names"). Without a
// slot the object is nil, and the command answers TPM_RC_OBJECT_MEMORY.
func (t *TPM) newObject(public *wire.Public, name []byte, sensitive *wire.Sensitive, hierarchy wire.Handle, parentQualifiedName []byte, flags state.ObjectFlags) (wire.Handle, *object) {
	i := t.freeSlot()
	if i == none {
		return wire.RHUnassigned, nil
	}
	w := wire.NewWriter(t.hashing[:0])
	w.Public(public)
	nameAt := w.Len()
	b := w.Data()
	if name == nil {
		b = appendName(b, public.NameAlg, b)
	} else {
		b = append(b, name...)
	}
	name, qualifiedAt := b[nameAt:], len(b)
	if flags&state.ObjectExternal != 0 {
		b = append(b, name...)
	} else {
		b = appendQualifiedName(b, public.NameAlg, parentQualifiedName, name)
	}
	sensitiveAt := len(b)
	o := &object{Object: &t.s.Volatile.Objects[i], public: *public}
	if sensitive != nil {
		o.sensitive = *sensitive
		o.sensitive.Auth = stripZeros(sensitive.Auth) // as object.authValue has it
		w = wire.NewWriter(b)
		w.Sensitive(&o.sensitive)
		b = w.Data()
	}
	b = bytes.Clone(b)
	*o.Object = state.Object{Kind: state.ObjectLoaded, Hierarchy: hierarchy, Flags: flags, Public: b[:nameAt:nameAt], Name: b[nameAt:qualifiedAt:qualifiedAt],
		QualifiedName: b[qualifiedAt:sensitiveAt:sensitiveAt], Sensitive: b[sensitiveAt:]}
	if public.Attributes&wire.ObjectStClear != 0 {
		o.Flags |= state.ObjectUntilRestart
	}
	if hierarchy == wire.RHNull {
		o.Flags |= state.ObjectTemporary
	}
	o.public.Alias(o.Public)
	if sensitive == nil {
		o.Flags |= state.ObjectPublicOnly
	} else {
		o.sensitive.Alias(o.Sensitive)
	}
	t.slots[i] = o
	return wire.TransientFirst + wire.Handle(i), o
}

// newPrimary is newObject for a primary object of a hierarchy. One of the null
// hierarchy is only temporary.
func (t *TPM) newPrimary(public *wire.Public, sensitive *wire.Sensitive, hierarchy wire.Handle) (wire.Handle, *object) {
	flags := state.ObjectPrimary
	if hierarchy == wire.RHNull {
		flags = 0
	}
	return t.newObject(public, nil, sensitive, hierarchy, handleName(hierarchy), flags)
}

// newChild is newObject for an object with a parent, from which it inherits how
// long it can be there (Part 1, section "Object Structure Elements").
func (t *TPM) newChild(parent *object, public *wire.Public, name []byte, sensitive *wire.Sensitive) (wire.Handle, *object) {
	inherited := parent.Flags & (state.ObjectTemporary | state.ObjectUntilRestart)
	return t.newObject(public, name, sensitive, parent.Hierarchy, parent.QualifiedName, inherited)
}

// handleName is the Name of what has none but its handle.
func handleName(h wire.Handle) []byte { return binary.BigEndian.AppendUint32(nil, uint32(h)) }

// isParent reports whether an object can have children: it is a restricted
// decryption key with both areas (Part 1, section "Storage Keys"). So it is not
// external, and has a Name.
func (o *object) isParent() bool {
	return o.has(wire.ObjectRestricted|wire.ObjectDecrypt) && !o.publicOnly()
}

// isStorageParent reports whether an object can have children whose private areas
// it protects.
func (o *object) isStorageParent() bool {
	return o.isParent() && o.public.Parms.Type != wire.AlgKeyedHash
}

// isDerivationParent reports whether an object can have children that are derived
// from it (Part 1, section "Derivation Parents").
func (o *object) isDerivationParent() bool {
	return o.isParent() && o.public.Parms.Type == wire.AlgKeyedHash
}

// loadExternal is TPM2_LoadExternal.
func (t *TPM) loadExternal(c *call) wire.RC {
	var private wire.Sensitive
	var public wire.Public
	both := c.next().SizedSensitive(&private)
	c.next().SizedPublic(&public, true)
	hierarchy := c.handle(HandleHierarchy)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if t.freeSlots() < 1 {
		return wire.RCObjectMemory
	}
	if !t.hierarchyEnabled(hierarchy) {
		return c.badParam(3, wire.RCHierarchy)
	}
	var sensitive *wire.Sensitive
	if both {
		// What is known outside must not pass for a key of this TPM.
		if hierarchy != wire.RHNull {
			return c.badParam(3, wire.RCHierarchy)
		}
		if public.Attributes&(wire.ObjectFixedTPM|wire.ObjectFixedParent|wire.ObjectRestricted) != 0 {
			return c.badParam(2, wire.RCAttributes)
		}
		sensitive = &private
	}
	if rc := c.checkLoad(nil, &public, sensitive, 2, 1); rc != wire.RCSuccess {
		return rc
	}
	return c.respondLoaded(t.newObject(&public, nil, sensitive, hierarchy, nil, state.ObjectExternal))
}

// load is TPM2_Load.
func (t *TPM) load(c *call) wire.RC {
	private := c.sized(wire.MaxPrivate)
	var public wire.Public
	area := c.next().SizedPublic(&public, false)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if t.freeSlots() < 1 {
		return wire.RCObjectMemory
	}
	if len(private) == 0 {
		return c.badParam(1, wire.RCSize)
	}
	parent := c.entities[0].object
	if !parent.isStorageParent() {
		return c.badHandle(1, wire.RCType)
	}
	name := appendName(c.digestSpace[:0], public.NameAlg, area)
	sensitive, rc := t.unwrapSensitive(parent, name, private)
	if rc != wire.RCSuccess {
		return c.badParam(1, rc)
	}
	if rc := c.checkLoad(parent, &public, &sensitive, 2, 1); rc != wire.RCSuccess {
		return rc
	}
	return c.respondLoaded(t.newChild(parent, &public, name, &sensitive))
}

// respondLoaded puts handle and Name of an object that has been loaded into the
// response.
func (c *call) respondLoaded(h wire.Handle, o *object) wire.RC {
	if o == nil {
		return wire.RCObjectMemory
	}
	c.rhandle = h
	c.out.Sized(o.Name)
	return wire.RCSuccess
}

// readPublic is TPM2_ReadPublic.
func (t *TPM) readPublic(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	if !o.loaded() {
		return wire.RCSequence
	}
	c.out.Sized(o.Public)
	c.out.Sized(o.Name)
	c.out.Sized(o.QualifiedName)
	return wire.RCSuccess
}

// unseal is TPM2_Unseal.
func (t *TPM) unseal(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	if !o.loaded() || o.public.Parms.Type != wire.AlgKeyedHash {
		return c.badHandle(1, wire.RCType)
	}
	if o.public.Attributes&(wire.ObjectDecrypt|wire.ObjectSignEncrypt|wire.ObjectRestricted) != 0 {
		return c.badHandle(1, wire.RCAttributes)
	}
	c.out.Sized(o.sensitive.Data)
	return wire.RCSuccess
}

// objectChangeAuth is TPM2_ObjectChangeAuth. It makes a new private area, which
// has to be loaded; the object stays as it is. Its parent is known by the
// Qualified Name.
func (t *TPM) objectChangeAuth(c *call) wire.RC {
	auth := c.auth()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o, parent := c.entities[0].object, c.entities[1].object
	if !o.loaded() {
		return c.badHandle(1, wire.RCType)
	}
	if !authFits(o.public.NameAlg, auth) {
		return c.badParam(1, wire.RCSize)
	}
	// What has no Name, or a parent that it is derived from, is not loaded with a
	// private area.
	if !parent.isStorageParent() || len(o.Name) == 0 ||
		!bytes.Equal(o.QualifiedName, qualifiedName(o.public.NameAlg, parent.QualifiedName, o.Name)) {
		return c.badHandle(2, wire.RCType)
	}
	s := o.sensitive
	s.Auth = auth
	c.out.Sized(t.wrapSensitive(parent, o.Name, &s))
	return wire.RCSuccess
}

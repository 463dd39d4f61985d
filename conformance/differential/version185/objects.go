package version185

import (
	"bytes"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Objects are made and loaded.

var hierarchies = []tpm2.TPMHandle{tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHPlatform, tpm2.TPMRHNull}

// inSensitive is a TPM2B_SENSITIVE_CREATE.
func inSensitive(auth, data []byte) []byte {
	return wire.Sized(slices.Concat(wire.Sized(auth), wire.Sized(data)))
}

// newAuth draws an authorization value, sometimes one that is too long.
func (t *talk) newAuth() []byte {
	if t.chance(0.02) {
		return bytes.Repeat([]byte{'a'}, pick(t.source, 20, 21, 32, 33, 64, 65))
	}
	return pick(t.source, nil, []byte("pw"), t.bytes(7), []byte("zeros at the end\x00\x00"))
}

// template draws a template for a key that the TPM makes.
func (t *talk) template() template {
	of := style(t.IntN(int(lastStyle)))
	p := t.templateOf(of)
	p.attributes |= wire.ObjectOrigin
	if t.chance(0.4) {
		p.attributes |= wire.ObjectFixedTPM | wire.ObjectFixedParent
	}
	if t.chance(0.25) {
		t.oddly(&p)
	}
	return p
}

// createPrimary makes a primary object. The same template gives the same key (Part 1,
// section "Primary Object Creation"), so every now and then it is made twice.
func (t *talk) createPrimary() {
	t.room(1)
	hierarchy := uint32(pick(t.source, hierarchies...))
	p, auth := t.template(), t.newAuth()
	var data []byte
	if t.chance(0.1) {
		data = t.bytes(5)
	}
	h := t.primary(hierarchy, p, auth, data)
	if h == 0 || !t.chance(0.1) {
		return
	}
	unique := t.keys[h].unique
	t.flush(h)
	if again := t.primary(hierarchy, p, auth, data); again != 0 {
		t.check(slices.EqualFunc(unique, t.keys[again].unique, bytes.Equal), "the same template gives another key")
	}
}

// primary makes a primary object and gives its handle, 0 if it is refused.
func (t *talk) primary(hierarchy uint32, p template, auth, data []byte) uint32 {
	parameters := slices.Concat(inSensitive(auth, data), wire.Sized(p.bytes()), wire.Sized(nil), wire.U32(0))
	a, ok := t.send(tpm2.TPMCCCreatePrimary, []uint32{hierarchy}, parameters, first(
		when(len(auth) > largestDigest, parameter(tpm2.TPMRCSize, 1)),
		inParameter(p.undecodable(false), 2),
		t.full(),
		inParameter(p.uncreatable(nil, len(data)), 2),
		when(len(stripped(auth)) > wire.DigestSize(p.nameAlg), parameter(tpm2.TPMRCSize, 1)),
	))
	if !ok {
		return 0
	}
	k := &key{template: p, auth: stripped(auth), hierarchy: hierarchy}
	t.take(k, a.out.Sized())
	t.keys[a.handle] = k
	return a.handle
}

// take gives a key the unique field that the TPM has made.
func (t *talk) take(k *key, public []byte) {
	area, ok := wire.ParsePublic(bytes.Clone(public))
	if !ok {
		t.finding("the public area does not parse")
		return
	}
	k.unique = area.Unique
	t.check(bytes.Equal(k.bytes(), public), "public area: %x, want %x", public, k.bytes())
	if k.kind == wire.AlgMLKEM {
		t.check(len(k.unique[0]) == wire.LatticeSize(k.kind, k.set), "public key of %d bytes", len(k.unique[0]))
	}
}

// createChild makes a key below a storage key: with TPM2_CreateLoaded, or with TPM2_Create
// and TPM2_Load.
func (t *talk) createChild() {
	parents := t.handlesOf((*key).parent)
	if len(parents) == 0 {
		t.room(2)
		p := t.templateOf(pick(t.source, kemStorage, montgomeryStorage, eccStorage))
		p.attributes |= wire.ObjectOrigin | wire.ObjectFixedTPM | wire.ObjectFixedParent
		h := t.primary(uint32(pick(t.source, hierarchies...)), p, nil, nil)
		if h == 0 {
			return
		}
		parents = []uint32{h}
	}
	parent := t.anyHandle(parents)
	t.room(1, parent)
	p, auth := t.template(), t.newAuth()
	if t.chance(0.5) {
		t.createLoaded(parent, p, auth)
		return
	}
	if k, private := t.create(parent, p, auth); k != nil {
		t.load(parent, k, private)
	}
}

// notParent is the code for a first handle that is no storage key.
func (t *talk) notParent(h uint32) uint32 {
	k := t.keys[h]
	return when(k == nil || !k.parent(), handle(tpm2.TPMRCType, 1))
}

// parentOf is the template of a parent.
func (t *talk) parentOf(h uint32) *template {
	if k := t.keys[h]; k != nil {
		return &k.template
	}
	return &template{nameAlg: tpm2.TPMAlgNull}
}

// create makes a key and gives it with its private area, nil if it is refused.
func (t *talk) create(parent uint32, p template, auth []byte) (*key, []byte) {
	parameters := slices.Concat(inSensitive(auth, nil), wire.Sized(p.bytes()), wire.Sized(nil), wire.U32(0))
	a, ok := t.send(tpm2.TPMCCCreate, []uint32{parent}, parameters, first(
		when(len(auth) > largestDigest, parameter(tpm2.TPMRCSize, 1)),
		inParameter(p.undecodable(false), 2),
		t.notParent(parent), t.full(),
		inParameter(p.uncreatable(t.parentOf(parent), 0), 2),
		when(len(stripped(auth)) > wire.DigestSize(p.nameAlg), parameter(tpm2.TPMRCSize, 1)),
	))
	if !ok {
		return nil, nil
	}
	k := &key{template: p, auth: stripped(auth), hierarchy: t.keys[parent].hierarchy}
	private := bytes.Clone(a.out.Sized())
	t.take(k, a.out.Sized())
	return k, private
}

// load loads a child, sometimes with a changed private area or below another parent, which
// both end the integrity.
func (t *talk) load(parent uint32, k *key, private []byte) uint32 {
	refused := uint32(0)
	loaded := *k
	switch {
	case t.chance(0.05):
		private = bytes.Clone(private)
		private[2+t.IntN(len(private)-2)] ^= 1 << t.UintN(8)
		refused = parameter(tpm2.TPMRCIntegrity, 1)
	case t.chance(0.05):
		loaded.attributes ^= wire.ObjectNoDA
		refused = parameter(tpm2.TPMRCIntegrity, 1)
	}
	a, ok := t.send(tpm2.TPMCCLoad, []uint32{parent}, append(wire.Sized(private), wire.Sized(loaded.bytes())...),
		first(t.full(), t.notParent(parent), refused))
	if !ok {
		return 0
	}
	t.check(bytes.Equal(a.out.Sized(), k.name()), "the Name is another")
	t.ended(a)
	t.keys[a.handle] = k
	return a.handle
}

// createLoaded makes a key in a slot. The template is a sized buffer until the parent is
// known.
func (t *talk) createLoaded(parent uint32, p template, auth []byte) {
	a, ok := t.send(tpm2.TPMCCCreateLoaded, []uint32{parent}, append(inSensitive(auth, nil), wire.Sized(p.bytes())...), first(
		when(len(auth) > largestDigest, parameter(tpm2.TPMRCSize, 1)),
		when(len(p.bytes()) > largestTemplate, parameter(tpm2.TPMRCSize, 2)),
		t.notParent(parent), t.full(),
		inParameter(p.undecodable(false), 2),
		when(len(stripped(auth)) > wire.DigestSize(p.nameAlg), parameter(tpm2.TPMRCSize, 1)),
		inParameter(p.uncreatable(t.parentOf(parent), 0), 2),
	))
	if !ok {
		return
	}
	k := &key{template: p, auth: stripped(auth), hierarchy: t.keys[parent].hierarchy}
	private := bytes.Clone(a.out.Sized())
	t.take(k, a.out.Sized())
	t.check(bytes.Equal(a.out.Sized(), k.name()), "the Name is another")
	t.ended(a)
	t.keys[a.handle] = k
	if t.chance(0.3) { // what is loaded can be loaded again
		t.room(1, parent, a.handle)
		t.load(parent, k, private)
	}
}

// largestTemplate bounds a TPM2B_TEMPLATE: type, nameAlg, attributes, policy, parameters
// and the public key of ML-DSA-87.
const largestTemplate = 2 + 2 + 4 + (2 + largestDigest) + (6 + 4 + 2 + 4) + (2 + 2592)

// loadExternal loads a key that was made outside, with both areas or with the public one.
func (t *talk) loadExternal() {
	t.room(1)
	of := style(t.IntN(int(lastStyle) + 1))
	p := t.templateOf(of)
	both := t.chance(0.6)
	if both && t.chance(0.95) {
		p.attributes &^= wire.ObjectRestricted
		p.cipher = noCipher
		if p.schemeless() { // has no scheme of its own
			p.scheme = scheme{tpm2.TPMAlgECDH, tpm2.TPMAlgSHA256}
		}
	}
	k := t.known(p)
	k.auth, k.external, k.publicOnly = t.newAuth(), true, !both
	k.hierarchy = uint32(tpm2.TPMRHNull)
	if !both || t.chance(0.03) {
		k.hierarchy = uint32(pick(t.source, hierarchies...))
	}
	wrong := k.sensitive(k.auth)
	if t.chance(0.2) {
		t.oddly(&k.template)
		wrong = k.sensitive(k.auth)
	} else if both && t.chance(0.1) {
		t.damaged(k)
		return
	}
	t.external(k, wrong, 0)
}

// schemeless reports whether it is a key of curve 25519 or 448 for exchanges without a
// scheme.
func (p *template) schemeless() bool {
	return p.montgomery() && p.has(wire.ObjectDecrypt) && p.scheme.alg == tpm2.TPMAlgNull
}

// damaged loads a key whose areas do not belong together, or whose sensitive area is none.
func (t *talk) damaged(k *key) {
	other := *k
	code := uint32(0)
	switch t.IntN(4) {
	case 0:
		other.private = slices.Clone(k.private)
		other.private[1] ^= 2 // neither in what X25519 and X448 clear, nor in z of ML-KEM, which the public key is not from
		code = uint32(tpm2.TPMRCBinding)
		if k.kind == tpm2.TPMAlgRSA {
			return // that it is prime is another matter
		}
	case 1:
		other.private = append(slices.Clone(k.private), 0)
		switch {
		case k.lattice():
			code = parameter(tpm2.TPMRCSize, 1)
		case k.montgomery():
			code = uint32(tpm2.TPMRCKeySize)
		default:
			return
		}
	case 2:
		b := k.sensitive(k.auth)
		b[1] ^= 1 // another type, or none
		if k.kind != wire.AlgMLKEM {
			return
		}
		t.external(k, b, parameter(tpm2.TPMRCSize, 1)) // of ML-DSA, which has a shorter seed
		return
	case 3:
		if !k.lattice() {
			return
		}
		other.unique = [][]byte{k.unique[0][1:]}
		k.unique = other.unique
		code = parameter(tpm2.TPMRCKeySize, 2)
	}
	t.external(k, other.sensitive(k.auth), code)
}

// external is TPM2_LoadExternal. A code for what is wrong with both areas together comes
// last.
func (t *talk) external(k *key, sensitive []byte, misfit uint32) {
	in := wire.Sized(nil)
	if !k.publicOnly {
		in = wire.Sized(sensitive)
	}
	tooLong := when(!k.publicOnly && len(k.auth) > largestDigest, parameter(tpm2.TPMRCSize, 1))
	early := uint32(0)
	if misfit == parameter(tpm2.TPMRCSize, 1) {
		early = misfit // while it is unmarshaled
	}
	want := first(tooLong, early, inParameter(k.undecodable(true), 2), t.full())
	if want == 0 {
		want = first(k.refusedExternally(), misfit)
	}
	a, ok := t.send(tpm2.TPMCCLoadExternal, nil, slices.Concat(in, wire.Sized(k.bytes()), wire.U32(k.hierarchy)), want)
	if !ok {
		return
	}
	t.check(bytes.Equal(a.out.Sized(), k.name()), "the Name is another")
	t.ended(a)
	k.auth = stripped(k.auth)
	if k.publicOnly {
		k.auth = nil
	}
	if !k.bound() { // a public key of somebody else's
		k.private = nil
	}
	t.keys[a.handle] = k
}

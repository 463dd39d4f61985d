package version185

import (
	"bytes"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// storageKey reports whether a key can be sent secrets; its public area is enough.
func (k *key) storageKey() bool {
	return k.asymmetric() && k.storage() && !k.has(wire.ObjectSign) && k.nameAlg != tpm2.TPMAlgNull && k.cipher.alg != tpm2.TPMAlgNull
}

// notStorage is the code for handle n of no storage key.
func (t *talk) notStorage(h uint32, n int) uint32 {
	k := t.keys[h]
	return when(k == nil || !k.storageKey(), handle(tpm2.TPMRCType, n))
}

// secretFor makes a seed, and the secret that carries it to the TPM, sometimes a changed one.
// lost reports whether the TPM finds another seed in it; refused is the error that it may
// answer instead.
func (t *talk) secretFor(k *key, label string) (seed, secret []byte, lost bool, refused tpm2.TPMRC) {
	seed, secret, ok := conversation.LabeledSecret(k.area(), label, t.bytes(16))
	if !ok || !t.chance(0.15) {
		return seed, secret, !ok, 0
	}
	secret = bytes.Clone(secret)
	switch {
	case t.chance(0.5) && k.kind == wire.AlgMLKEM:
		return seed, secret[:len(secret)-1], false, tpm2.TPMRCSize
	case t.chance(0.5):
		return seed, secret[:len(secret)-1], false, t.cutPoint(k)
	case k.kind == wire.AlgMLKEM:
		secret[t.IntN(len(secret))] ^= 1 << t.UintN(8)
	case k.montgomery():
		secret[2+t.IntN(16)] ^= 1 << t.UintN(8) // any string is a point of X25519 or X448
	default:
		secret[len(secret)-1] ^= 1
		return seed, secret, false, tpm2.TPMRCECCPoint
	}
	return seed, secret, true, 0
}

// cutPoint is the code for a point, or a ciphertext, that is cut.
func (t *talk) cutPoint(k *key) tpm2.TPMRC {
	if k.kind == wire.AlgMLKEM {
		return tpm2.TPMRCSize
	}
	return tpm2.TPMRCInsufficient
}

// storage makes sure that there is a storage key with both areas, and gives its handle, 0
// if that was refused.
func (t *talk) storageParent() uint32 {
	if parents := t.handlesOf((*key).parent); len(parents) > 0 {
		return pick(t.source, parents...)
	}
	t.room(2)
	p := t.templateOf(pick(t.source, kemStorage, kemStorage, montgomeryStorage, eccStorage))
	p.attributes |= wire.ObjectOrigin
	if t.chance(0.7) {
		p.attributes |= wire.ObjectFixedTPM | wire.ObjectFixedParent
	}
	return t.primary(uint32(pick(t.source, hierarchies...)), p, nil, nil)
}

// foreignStorage loads the public area of a storage key that only the caller has.
func (t *talk) foreignStorage(kept ...uint32) uint32 {
	if known := t.handlesOf(func(k *key) bool { return k.storageKey() && k.private != nil }); len(known) > 0 && t.chance(0.7) {
		return pick(t.source, known...)
	}
	t.room(1, kept...)
	k := t.known(t.templateOf(pick(t.source, kemStorage, kemStorage, montgomeryStorage, eccStorage)))
	k.publicOnly, k.external = true, true
	k.hierarchy = uint32(pick(t.source, hierarchies...))
	before := t.loaded()
	t.external(k, nil, 0)
	for _, h := range t.loaded() {
		if !slices.Contains(before, h) {
			return h
		}
	}
	return 0
}

// makeCredential has the TPM make a credential for anybody's storage key and any Name.
func (t *talk) makeCredential() {
	h := t.foreignStorage()
	if h == 0 {
		return
	}
	if t.chance(0.1) {
		h = t.anyHandle(t.loaded())
	}
	k := t.keys[h]
	credential, name := t.bytes(t.IntN(33)), append(wire.U16(uint16(tpm2.TPMAlgSHA256)), t.bytes(32)...)
	if t.chance(0.05) {
		credential = t.bytes(pick(t.source, 20, 21, 48, 49, 64, 65))
	}
	code := first(when(len(credential) > largestDigest, parameter(tpm2.TPMRCSize, 1)), t.notStorage(h, 1))
	if code == 0 && len(credential) > wire.DigestSize(k.nameAlg) {
		code = parameter(tpm2.TPMRCSize, 1)
	}
	a, ok := t.send(tpm2.TPMCCMakeCredential, []uint32{h}, append(wire.Sized(credential), wire.Sized(name)...), code)
	if !ok {
		return
	}
	blob, secret := a.out.Sized(), a.out.Sized()
	t.ended(a)
	if k.private == nil {
		return
	}
	seed, ok := conversation.RecoverSecret(k.area(), k.private, "IDENTITY", secret)
	t.check(ok, "the secret is none for the key")
	plain, ok := k.open(seed, name, blob)
	t.check(ok && bytes.Equal(plain, wire.Sized(credential)), "the credential cannot be opened, or is %x", plain)
}

// activateCredential has the TPM open a credential that was made outside, for a key with
// the Name of another one.
func (t *talk) activateCredential() {
	h := t.storageParent()
	if h == 0 {
		return
	}
	of := t.anyHandle(t.handlesOf(isWhole))
	k, object := t.keys[h], t.keys[of]
	if k == nil || t.sequences[of] != nil { // a sequence has no Name that could be in a credential
		return
	}
	var name []byte
	if object != nil {
		name = object.name()
	}
	credential := t.bytes(wire.DigestSize(k.nameAlg))
	seed, secret, lost, refused := t.secretFor(k, "IDENTITY")
	blob := k.protect(seed, name, wire.Sized(credential))
	if t.chance(0.1) {
		blob[2+t.IntN(len(blob)-2)] ^= 1 << t.UintN(8)
		lost = true
	}
	a, ok := t.send(tpm2.TPMCCActivateCredential, []uint32{of, h}, append(wire.Sized(blob), wire.Sized(secret)...), first(
		inParameter(refused, 2), when(lost, parameter(tpm2.TPMRCIntegrity, 1)),
	))
	if ok {
		t.check(bytes.Equal(a.out.Sized(), credential), "the credential is another")
		t.ended(a)
	}
}

// duplicatePolicy is the authPolicy of keys that TPM2_Duplicate takes: PolicyCommandCode.
func duplicatePolicy(nameAlg tpm2.TPMAlgID) []byte {
	return wire.Digest(nameAlg, make([]byte, wire.DigestSize(nameAlg)),
		wire.U32(uint32(tpm2.TPMCCPolicyCommandCode)), wire.U32(uint32(tpm2.TPMCCDuplicate)))
}

// movable draws a key that is known and can be duplicated.
func (t *talk) movable() *key {
	p := t.templateOf(style(t.IntN(int(lastStyle))))
	p.policy = duplicatePolicy(p.nameAlg)
	k := t.known(p)
	k.auth = stripped(pick(t.source, nil, []byte("pw"), t.bytes(7)))
	return k
}

// importKey imports a key that was duplicated outside, and loads it.
func (t *talk) importKey() {
	parent := t.storageParent()
	if parent == 0 {
		return
	}
	t.room(1, parent)
	p, k := t.keys[parent], t.movable()
	if p == nil {
		return
	}
	sensitive := k.sensitive(k.auth)
	misbound := t.chance(0.05) && k.kind != tpm2.TPMAlgRSA
	if misbound {
		other := *k
		other.private = bytes.Clone(k.private)
		other.private[1] ^= 2
		sensitive = other.sensitive(k.auth)
	}
	t.imported(parent, p, k, wire.Sized(sensitive), misbound)
}

// imported imports a TPM2B_SENSITIVE below a parent, and loads the key.
func (t *talk) imported(parent uint32, p, k *key, sensitive []byte, misbound bool) {
	symmetric, symmetricKey, plain := noCipher, []byte(nil), sensitive
	if t.chance(0.4) {
		symmetric, symmetricKey = aes128, t.bytes(16)
		plain = k.inner(symmetricKey, sensitive)
	}
	seed, secret, lost, refused := t.secretFor(p, "DUPLICATE")
	duplicate := p.protect(seed, k.name(), plain)
	if t.chance(0.05) {
		duplicate[2+t.IntN(len(duplicate)-2)] ^= 1 << t.UintN(8)
		lost = true
	}
	bound := when(misbound && p.has(wire.ObjectFixedTPM), uint32(tpm2.TPMRCBinding))
	a, ok := t.send(tpm2.TPMCCImport, []uint32{parent},
		slices.Concat(wire.Sized(symmetricKey), wire.Sized(k.bytes()), wire.Sized(duplicate), wire.Sized(secret), symmetric.append(nil)),
		first(inParameter(refused, 4), when(lost, parameter(tpm2.TPMRCIntegrity, 3)), bound))
	if !ok {
		return
	}
	private := bytes.Clone(a.out.Sized())
	t.ended(a)
	k.hierarchy = p.hierarchy
	// What a fixedTPM parent protects was checked when it was imported.
	refused = 0
	if !p.has(wire.ObjectFixedTPM) {
		refused = k.incoherent(&p.template)
	}
	if !misbound && refused == 0 {
		t.load(parent, k, private)
		return
	}
	t.send(tpm2.TPMCCLoad, []uint32{parent}, append(wire.Sized(private), wire.Sized(k.bytes())...), first(
		t.full(), inParameter(refused, 2), uint32(tpm2.TPMRCBinding),
	))
}

// duplicate moves a key of the TPM to a storage key that only the caller has, or to one of
// the TPM, or without an outer wrapper.
func (t *talk) duplicate() {
	movable := t.handlesOf(func(k *key) bool {
		return bytes.Equal(k.policy, duplicatePolicy(k.nameAlg)) && !k.has(wire.ObjectFixedParent) && !k.publicOnly && len(k.name()) > 0
	})
	if len(movable) == 0 {
		t.importKey()
		return
	}
	h := pick(t.source, movable...)
	to := uint32(tpm2.TPMRHNull)
	if t.chance(0.85) {
		if to = t.foreignStorage(h); to == 0 {
			return
		}
	}
	if t.chance(0.1) {
		to = t.anyHandle(t.loaded())
	}
	k, p := t.keys[h], t.keys[to]
	s := t.startPolicy(k.nameAlg, uint32(tpm2.TPMCCDuplicate))
	if s == 0 {
		return
	}
	if t.keys[h] != k {
		return
	}
	symmetric, given := noCipher, []byte(nil)
	if t.chance(0.5) {
		symmetric, given = aes128, t.bytes(pick(t.source, 0, 0, 16, 16, 15))
	}
	code := when(to != uint32(tpm2.TPMRHNull), t.notStorage(to, 2))
	if code == 0 && len(given) != 0 && len(given) != int(symmetric.bits)/8 {
		code = parameter(tpm2.TPMRCSize, 1)
	}
	t.policy = s
	a, ok := t.send(tpm2.TPMCCDuplicate, []uint32{h, to}, append(wire.Sized(given), symmetric.append(nil)...), code)
	if ok {
		t.opened(a, k, p, given, symmetric)
	}
	t.endPolicy(s)
}

// opened checks a duplicate, as far as the caller has the keys for it.
func (t *talk) opened(a answer, k, p *key, given []byte, symmetric symDef) {
	made, duplicate, secret := a.out.Sized(), a.out.Sized(), a.out.Sized()
	t.ended(a)
	if symmetric != noCipher && len(given) == 0 {
		given = made
	} else {
		t.check(len(made) == 0, "an encryption key that was given comes back")
	}
	if p != nil {
		if p.private == nil {
			return
		}
		seed, ok := conversation.RecoverSecret(p.area(), p.private, "DUPLICATE", secret)
		t.check(ok, "the secret is none for the new parent")
		if duplicate, ok = p.open(seed, k.name(), duplicate); !ok {
			t.finding("the outer wrapper cannot be opened")
			return
		}
	}
	if symmetric != noCipher {
		var ok bool
		if duplicate, ok = k.innerOpened(given, duplicate); !ok {
			t.finding("the inner wrapper cannot be opened")
			return
		}
	}
	t.check(k.fits(duplicate), "the sensitive area %x is not that of the key", duplicate)
}

// rewrap has the TPM give a duplicate for one of its storage keys to another storage key.
func (t *talk) rewrap() {
	from := t.storageParent()
	if from == 0 {
		return
	}
	old := t.keys[from]
	to := t.foreignStorage(from)
	if to == 0 || old == nil || t.keys[from] != old {
		return
	}
	p, k := t.keys[to], t.movable()
	sensitive := wire.Sized(k.sensitive(k.auth))
	seed, secret, lost, refused := t.secretFor(old, "DUPLICATE")
	duplicate := old.protect(seed, k.name(), sensitive)
	a, ok := t.send(tpm2.TPMCCRewrap, []uint32{from, to}, slices.Concat(wire.Sized(duplicate), wire.Sized(k.name()), wire.Sized(secret)), first(
		when(refused != 0, parameter(tpm2.TPMRCValue, 3)), when(lost, parameter(tpm2.TPMRCIntegrity, 1)),
	))
	if !ok {
		return
	}
	rewrapped, newSecret := a.out.Sized(), a.out.Sized()
	t.ended(a)
	if p.private == nil {
		return
	}
	seed, ok = conversation.RecoverSecret(p.area(), p.private, "DUPLICATE", newSecret)
	t.check(ok, "the secret is none for the new parent")
	plain, ok := p.open(seed, k.name(), rewrapped)
	t.check(ok && bytes.Equal(plain, sensitive), "the outer wrapper cannot be opened, or has another area in it")
}

package version185

import (
	"bytes"
	"math/big"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/curve448"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

const (
	inputBuffer    = 1024
	largestContext = 255
	largestHint    = curve448.KeySize
)

// contextOf draws a context for a key, sometimes one that its scheme does not have.
func (t *talk) contextOf(h uint32) []byte {
	k := t.keys[h]
	if k != nil && k.mldsa() || t.chance(0.05) {
		return t.bytes(pick(t.source, 0, 0, 1, 32, 255))
	}
	if t.chance(0.01) {
		return t.bytes(256)
	}
	return nil
}

// unsigning is the code for a first handle that is no key with a scheme.
func (t *talk) unsigning(h uint32) uint32 {
	k := t.keys[h]
	switch {
	case k == nil || !k.signing():
		return handle(tpm2.TPMRCKey, 1)
	case k.ownScheme().alg == tpm2.TPMAlgNull:
		return handle(tpm2.TPMRCScheme, 1)
	}
	return 0
}

// unsuited reports whether a key has no use for a context with a message.
func (t *talk) unsuited(h uint32, context []byte) bool {
	k := t.keys[h]
	return len(context) > 0 && (k == nil || !k.mldsa())
}

// signMessage has a key sign a message that comes in pieces.
func (t *talk) signMessage(h uint32) {
	sequence := t.startSigning(h)
	if sequence == 0 {
		return
	}
	for range t.IntN(4) {
		t.update(sequence, t.piece())
	}
	if t.chance(0.8) {
		t.completeSigning(sequence, h)
	}
}

// verifyMessage verifies what the library has signed.
func (t *talk) verifyMessage(h uint32) {
	sequence := t.startVerifying(h)
	if sequence == 0 {
		return
	}
	if q := t.sequences[sequence]; len(q.hint) == 0 {
		for range t.IntN(4) {
			t.update(sequence, t.piece())
		}
	}
	if t.chance(0.8) {
		t.completeVerifying(sequence, h)
	}
}

// completeSome completes one of the sequences, with its key or another.
func (t *talk) completeSome() {
	all := t.sequenceHandles(func(*sequence) bool { return true })
	if len(all) == 0 {
		return
	}
	h := pick(t.source, all...)
	q := t.sequences[h]
	if q.verify != t.chance(0.05) {
		t.completeVerifying(h, t.keyOf(q))
	} else {
		t.completeSigning(h, t.keyOf(q))
	}
}

// startSigning gives the handle of the sequence, 0 if there is none.
func (t *talk) startSigning(h uint32) uint32 {
	t.room(1, h)
	auth, context := t.newAuth(), t.contextOf(h)
	k := t.keys[h]
	hmacKey := k != nil && k.ownScheme().alg == tpm2.TPMAlgHMAC
	a, ok := t.send(wire.CCSignSequenceStart, []uint32{h}, append(wire.Sized(auth), wire.Sized(context)...), first(
		when(len(auth) > largestDigest, parameter(tpm2.TPMRCSize, 1)),
		when(len(context) > largestContext, parameter(tpm2.TPMRCSize, 2)),
		t.unsigning(h),
		when(hmacKey && (k.publicOnly || k.has(wire.ObjectRestricted)), handle(tpm2.TPMRCKey, 1)),
		when(k != nil && k.has(wire.ObjectX509), handle(tpm2.TPMRCAttributes, 1)),
		when(t.unsuited(h, context), parameter(tpm2.TPMRCSize, 2)),
		t.full(),
	))
	if !ok {
		return 0
	}
	t.ended(a)
	t.sequences[a.handle] = &sequence{auth: stripped(auth), key: k.identity(), scheme: k.ownScheme(), context: context}
	return a.handle
}

// startVerifying gives the handle of the sequence, 0 if there is none.
func (t *talk) startVerifying(h uint32) uint32 {
	t.room(1, h)
	auth, context := t.newAuth(), t.contextOf(h)
	k := t.keys[h]
	size := 0
	if k != nil {
		size = k.hintSize()
	}
	hint := t.bytes(size)
	if t.chance(0.04) {
		hint = t.bytes(pick(t.source, 0, 1, 31, 32, 33, 56, 57, 58))
	}
	// The message of an EdDSA signature has to be known for its hint.
	var message []byte
	if k != nil && size > 0 && len(hint) == size && k.private != nil && t.chance(0.8) {
		message = t.bytes(t.IntN(300))
		hint = k.hintOf(k.sign(nil, message))
	}
	a, ok := t.send(wire.CCVerifySequenceStart, []uint32{h}, slices.Concat(wire.Sized(auth), wire.Sized(hint), wire.Sized(context)), first(
		when(len(auth) > largestDigest, parameter(tpm2.TPMRCSize, 1)),
		when(len(hint) > largestHint, parameter(tpm2.TPMRCSize, 2)),
		when(len(context) > largestContext, parameter(tpm2.TPMRCSize, 3)),
		t.unsigning(h),
		when(k != nil && k.ownScheme().alg == tpm2.TPMAlgHMAC && k.publicOnly, handle(tpm2.TPMRCKey, 1)),
		when(len(hint) != size, parameter(tpm2.TPMRCSize, 2)),
		when(t.unsuited(h, context), parameter(tpm2.TPMRCSize, 3)),
		t.full(),
	))
	if !ok {
		return 0
	}
	t.ended(a)
	t.sequences[a.handle] = &sequence{verify: true, auth: stripped(auth), key: k.identity(), scheme: k.ownScheme(), context: context, hint: hint}
	for len(message) > 0 && t.err == nil {
		n := min(len(message), 1+t.IntN(200))
		t.update(a.handle, message[:n])
		message = message[n:]
	}
	return a.handle
}

// sequenceHandles are those of the sequences, of one kind or of both.
func (t *talk) sequenceHandles(suits func(*sequence) bool) []uint32 {
	var all []uint32
	for _, h := range t.loaded() {
		if q := t.sequences[h]; q != nil && suits(q) {
			all = append(all, h)
		}
	}
	return all
}

// piece draws a piece of a message. One that begins as an attestation does is not signed
// by restricted keys.
func (t *talk) piece() []byte {
	data := t.bytes(pick(t.source, 0, 1, 2, 3, 4, 5, 100, inputBuffer))
	if t.chance(0.1) {
		data = wire.U32(wire.TPMGenerated)[:1+t.IntN(4)]
	}
	if t.chance(0.01) {
		data = t.bytes(inputBuffer + 1)
	}
	return data
}

func (t *talk) updateSequence() {
	t.update(t.anyHandle(t.sequenceHandles(func(*sequence) bool { return true })), t.piece())
}

// update is TPM2_SequenceUpdate.
func (t *talk) update(h uint32, data []byte) {
	q := t.sequences[h]
	_, ok := t.send(tpm2.TPMCCSequenceUpdate, []uint32{h}, wire.Sized(data), first(
		when(len(data) > inputBuffer, parameter(tpm2.TPMRCSize, 1)),
		when(q == nil, handle(tpm2.TPMRCMode, 1)),
		when(q != nil && q.oneShot(), handle(wire.RCOneShotSignature, 1)),
	))
	if ok {
		q.message = append(q.message, data...)
	}
}

// keyOf is the handle of the key of a sequence, or of another one.
func (t *talk) keyOf(q *sequence) uint32 {
	var same []uint32
	if q != nil {
		same = t.handlesOf(func(k *key) bool { return k.identity() == q.key })
	}
	if len(same) == 0 {
		return t.anyHandle(t.handlesOf((*key).signing))
	}
	return t.anyHandle(same)
}

// otherSequence is the code for handles that are not those of a sequence of a kind and of
// its key.
func (t *talk) otherSequence(h, keyHandle uint32, verify bool) uint32 {
	q, k := t.sequences[h], t.keys[keyHandle]
	switch {
	case q == nil || q.verify != verify:
		return handle(tpm2.TPMRCMode, 1)
	case k == nil || k.identity() != q.key:
		return handle(wire.RCSignContextKey, 2)
	}
	return 0
}

func (t *talk) completeSigning(h, keyHandle uint32) {
	q := t.sequences[h]
	k, data := t.keys[keyHandle], t.piece()
	var whole []byte
	if q != nil {
		whole = append(slices.Clone(q.message), data...)
	}
	a, ok := t.send(wire.CCSignSequenceComplete, []uint32{h, keyHandle}, wire.Sized(data), first(
		when(len(data) > inputBuffer, parameter(tpm2.TPMRCSize, 1)),
		t.otherSequence(h, keyHandle, false),
		when(k != nil && k.has(wire.ObjectX509), handle(tpm2.TPMRCAttributes, 2)),
		when(k != nil && k.has(wire.ObjectRestricted) && bytes.HasPrefix(whole, wire.U32(wire.TPMGenerated)), parameter(tpm2.TPMRCValue, 1)),
	))
	if !ok {
		return
	}
	signature := a.out.Signature()
	t.ended(a)
	t.check(k.signed(q.context, whole, false, signature), "the signature is not that of the message %x with the context %x", whole, q.context)
	delete(t.sequences, h)
}

func (t *talk) completeVerifying(h, keyHandle uint32) {
	q := t.sequences[h]
	signature, code := t.signatureFor(q, t.keys[keyHandle])
	if signature == nil {
		return
	}
	a, ok := t.send(wire.CCVerifySequenceComplete, []uint32{h, keyHandle}, signature, first(
		when(code == undecodedScheme, parameter(tpm2.TPMRCScheme, 1)),
		t.otherSequence(h, keyHandle, true),
		when(code != undecodedScheme, inParameter(code, 1)),
	))
	if !ok {
		return
	}
	t.ticket(a, wire.STMessageVerified, t.keys[keyHandle])
	delete(t.sequences, h)
}

// undecodedScheme marks a signature whose algorithm is none.
const undecodedScheme = tpm2.TPMRC(0xffff)

// signatureFor makes a signature of the message of a sequence with a key, mostly a right
// one, and gives the code that another one is refused with.
func (t *talk) signatureFor(q *sequence, k *key) ([]byte, tpm2.TPMRC) {
	if k == nil || q == nil || k.private == nil || !k.signing() {
		return append(wire.U16(uint16(wire.AlgEdDSA)), wire.Sized(t.bytes(64))...), t.refusedEdDSA(k)
	}
	last := k.hashMessage(q.context, q.message)
	signature := k.sign(q.context, last)
	if signature == nil {
		return nil, 0
	}
	code := tpm2.TPMRC(0)
	if len(q.hint) > 0 && !bytes.Equal(k.hintOf(signature), q.hint) {
		code = tpm2.TPMRCSignature
	}
	return t.spoil(signature, code)
}

// refusedEdDSA is the code for a signature that is anybody's with a key.
func (t *talk) refusedEdDSA(k *key) tpm2.TPMRC {
	if k != nil && k.ownScheme().alg == wire.AlgEdDSA {
		return tpm2.TPMRCSignature
	}
	return tpm2.TPMRCScheme
}

// spoil changes a signature now and then.
func (t *talk) spoil(signature []byte, code tpm2.TPMRC) ([]byte, tpm2.TPMRC) {
	switch {
	case t.chance(0.1): // in its last bytes, which are no algorithm or size
		signature = slices.Clone(signature)
		signature[len(signature)-1-t.IntN(20)] ^= 1 << t.UintN(8)
		return signature, tpm2.TPMRCSignature
	case t.chance(0.02):
		return append(wire.U16(uint16(tpm2.TPMAlgAES)), signature[2:]...), undecodedScheme
	case isEdDSA(signature) && t.chance(0.2):
		return unreduced(signature), tpm2.TPMRCSignature
	}
	return signature, code
}

// isEdDSA reports whether a TPMT_SIGNATURE is one of EdDSA or HashEdDSA.
func isEdDSA(signature []byte) bool {
	alg := tpm2.TPMAlgID(signature[0])<<8 | tpm2.TPMAlgID(signature[1])
	return alg == wire.AlgEdDSA || alg == wire.AlgHashEdDSA
}

// unreduced is a TPMT_SIGNATURE of EdDSA with the order of the group added to S, which
// verifies with who does not look (RFC 8032, sections 5.1.7 and 5.2.7; errata 3.1).
func unreduced(signature []byte) []byte {
	signature = slices.Clone(signature)
	s := signature[4+(len(signature)-4)/2:]
	order := order25519
	if len(s) == curve448.KeySize {
		order = curve448.Order()
	}
	slices.Reverse(s)
	new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(s)
	slices.Reverse(s)
	return signature
}

// order25519 is 2^252 + 27742317777372353535851937790883648493 (RFC 8032, section 5.1).
var order25519 = func() *big.Int {
	n, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	return n.Add(n, new(big.Int).Lsh(big.NewInt(1), 252))
}()

// ticket checks a TPMT_TK_VERIFIED of a key, whose HMAC only the TPM can check. Where the
// hierarchy has no proof, or the key no Name, it is the NULL Ticket (Part 2, section
// "TPMT_TK_VERIFIED").
func (t *talk) ticket(a answer, tag tpm2.TPMST, k *key) {
	null := k.hierarchy == uint32(tpm2.TPMRHNull) || len(k.name()) == 0
	hash := k.ownScheme().hash
	if k.kind == wire.AlgMLDSA && tag == wire.STDigestVerified {
		null = true // nobody knows whose message µ is of (errata 2.5)
	}
	hierarchy := k.hierarchy
	if null {
		hierarchy, hash = uint32(tpm2.TPMRHNull), tpm2.TPMAlgNull
	}
	gotTag, gotHierarchy := tpm2.TPMST(a.out.U16()), a.out.U32()
	if tag == wire.STDigestVerified {
		got := a.out.Alg()
		t.check(got == hash, "hash %#x in the ticket, is %#x", got, hash)
	}
	digest := a.out.Sized()
	t.ended(a)
	t.check(gotTag == tag && gotHierarchy == hierarchy && (len(digest) == 0) == null,
		"ticket: %#x %#x %x, want %#x %#x", gotTag, gotHierarchy, digest, tag, hierarchy)
}

package version185

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

const muSize = 64

// digestOf is the size of what a key signs without a message, and the code for a first
// handle that does not (Part 3, section "TPM2_SignDigest").
func (t *talk) digestOf(h uint32) (size int, refused uint32) {
	if code := t.unsigning(h); code != 0 {
		return 32, code
	}
	k := t.keys[h]
	switch s := k.ownScheme(); {
	case s.alg == tpm2.TPMAlgHMAC || s.alg == wire.AlgEdDSA:
		return 32, handle(tpm2.TPMRCScheme, 1)
	case s.alg != wire.AlgMLDSA:
		return wire.DigestSize(s.hash), 0
	case k.mu == 0 || k.has(wire.ObjectRestricted):
		return muSize, handle(tpm2.TPMRCAttributes, 1)
	}
	return muSize, 0
}

// digestSigners are mostly the keys that sign digests.
func (t *talk) digestSigners(suits func(*key) bool) []uint32 {
	if t.chance(0.1) {
		return t.handlesOf((*key).signing)
	}
	return t.handlesOf(func(k *key) bool {
		if !k.signing() || !suits(k) {
			return false
		}
		alg := k.ownScheme().alg
		return alg != tpm2.TPMAlgHMAC && alg != wire.AlgEdDSA && (alg != wire.AlgMLDSA || k.mu == 1)
	})
}

// digestContext reports whether a key has no use for a context with a digest: µ has it
// already.
func (t *talk) digestContext(h uint32, context []byte) bool {
	k := t.keys[h]
	return len(context) > 0 && (k == nil || k.kind != wire.AlgHashMLDSA)
}

// hashed has the TPM hash a message, and gives the digest with its TPMT_TK_HASHCHECK, which
// is the NULL Ticket for what begins as an attestation.
func (t *talk) hashed(alg tpm2.TPMAlgID) (digest, ticket []byte, safe bool) {
	message := t.piece()
	if len(message) > inputBuffer {
		message = message[:inputBuffer]
	}
	a, ok := t.send(tpm2.TPMCCHash, nil, slices.Concat(wire.Sized(message), wire.U16(uint16(alg)), wire.U32(uint32(tpm2.TPMRHOwner))), 0)
	if !ok {
		return nil, nil, false
	}
	digest = slices.Clone(a.out.Sized())
	ticket = slices.Clone(a.out.Rest)
	t.check(slices.Equal(digest, wire.Digest(alg, message)), "the digest of %x is another", message)
	safe = len(message) < 4 || !slices.Equal(message[:4], wire.U32(wire.TPMGenerated))
	return digest, ticket, safe
}

// nullTicket is a TPMT_TK_HASHCHECK that says nothing.
func nullTicket() []byte {
	return slices.Concat(wire.U16(uint16(tpm2.TPMSTHashCheck)), wire.U32(uint32(tpm2.TPMRHNull)), wire.Sized(nil))
}

func (t *talk) signDigest(h uint32) {
	size, refused := t.digestOf(h)
	k, context := t.keys[h], t.contextOf(h)
	digest, ticket, holds, empty := t.bytes(size), nullTicket(), false, true
	if t.chance(0.05) {
		digest = t.bytes(pick(t.source, 0, 20, 31, 33, 48, 64, 65))
	}
	if k != nil && refused == 0 && k.kind != wire.AlgMLDSA && t.chance(0.6) {
		var safe bool
		digest, ticket, safe = t.hashed(k.ownScheme().hash)
		if digest == nil {
			return
		}
		holds, empty = safe, !safe
		if safe && t.chance(0.1) { // of another digest
			digest, holds = t.bytes(size), false
		}
	}
	restricted := k != nil && k.has(wire.ObjectRestricted)
	a, ok := t.send(wire.CCSignDigest, []uint32{h}, slices.Concat(wire.Sized(context), wire.Sized(digest), ticket), first(
		when(len(context) > largestContext, parameter(tpm2.TPMRCSize, 1)),
		when(len(digest) > largestDigest, parameter(tpm2.TPMRCSize, 2)),
		refused,
		when(k != nil && k.has(wire.ObjectX509), handle(tpm2.TPMRCAttributes, 1)),
		when(t.digestContext(h, context), parameter(tpm2.TPMRCSize, 1)),
		when((restricted || !empty) && !holds, parameter(tpm2.TPMRCTicket, 3)),
		when(len(digest) != size, parameter(tpm2.TPMRCSize, 2)),
	))
	if !ok {
		return
	}
	signature := a.out.Signature()
	t.ended(a)
	t.check(k.signed(context, digest, true, signature), "the signature is not that of %x with the context %x", digest, context)
}

func (t *talk) verifyDigest(h uint32) {
	size, refused := t.digestOf(h)
	k, context, digest := t.keys[h], t.contextOf(h), t.bytes(size)
	if t.chance(0.05) {
		digest = t.bytes(pick(t.source, 0, 20, 31, 33, 48, 64, 65))
	}
	wrongSize := len(digest) != size
	signature, code := append(wire.U16(uint16(wire.AlgEdDSA)), wire.Sized(t.bytes(64))...), tpm2.TPMRCScheme
	if k != nil && refused == 0 && !wrongSize && k.private != nil {
		if signature = k.sign(context, digest); signature == nil {
			return
		}
		signature, code = t.spoil(signature, 0)
	}
	a, ok := t.send(wire.CCVerifyDigestSignature, []uint32{h}, slices.Concat(wire.Sized(context), wire.Sized(digest), signature), first(
		when(len(context) > largestContext, parameter(tpm2.TPMRCSize, 1)),
		when(len(digest) > largestDigest, parameter(tpm2.TPMRCSize, 2)),
		when(code == undecodedScheme, parameter(tpm2.TPMRCScheme, 3)),
		refused,
		when(t.digestContext(h, context), parameter(tpm2.TPMRCSize, 1)),
		when(wrongSize, parameter(tpm2.TPMRCSize, 2)),
		when(code != undecodedScheme, inParameter(code, 3)),
	))
	if ok {
		t.ticket(a, wire.STDigestVerified, k)
	}
}

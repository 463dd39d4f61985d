package version185

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// policySigned satisfies a policy with a signature of the caller's. Its digest the player
// follows, and compares.
func (t *talk) policySigned() {
	h := t.anyHandle(t.handlesOf(func(k *key) bool { return k.signing() && k.private != nil && k.ownScheme().alg != tpm2.TPMAlgHMAC }))
	k := t.keys[h]
	if k == nil || !k.signing() || k.private == nil || k.ownScheme().alg == tpm2.TPMAlgHMAC {
		return
	}
	alg := pick(t.source, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384)
	s := t.startPolicy(alg, 0)
	if s == 0 {
		return
	}
	var nonce []byte
	if t.chance(0.5) {
		nonce, _ = t.player.Nonce(s)
	}
	ref, expiration := t.bytes(t.IntN(20)), wire.U32(0)
	message := slices.Concat(nonce, expiration, ref)
	signature := k.sign(nil, k.hashMessage(nil, message))
	if signature != nil {
		var code tpm2.TPMRC
		signature, code = t.spoil(signature, 0)
		if code == undecodedScheme {
			code = tpm2.TPMRCScheme
		}
		t.send(tpm2.TPMCCPolicySigned, []uint32{h, s}, slices.Concat(wire.Sized(nonce), wire.Sized(nil), wire.Sized(ref), expiration, signature), inParameter(code, 5))
		t.send(tpm2.TPMCCPolicyGetDigest, []uint32{s}, nil, 0)
	}
	t.endPolicy(s)
}

// policyAuthorize replaces a policy by one that a key has approved: of the message or of a
// digest, as the key signs (Part 3, section "TPM2_PolicyAuthorize").
func (t *talk) policyAuthorize() {
	h := t.anyHandle(t.handlesOf(func(k *key) bool {
		return k.signing() && k.private != nil && k.hierarchy != uint32(tpm2.TPMRHNull) && len(k.name()) > 0
	}))
	k := t.keys[h]
	if k == nil || !k.signing() || k.private == nil || len(k.name()) == 0 || k.ownScheme().alg == tpm2.TPMAlgNull {
		return
	}
	alg := pick(t.source, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384)
	s := t.startPolicy(alg, 0)
	if s == 0 {
		return
	}
	defer t.endPolicy(s)
	approved, ref := make([]byte, wire.DigestSize(alg)), t.bytes(t.IntN(20))
	if t.chance(0.5) {
		if _, ok := t.send(tpm2.TPMCCPolicyCommandCode, []uint32{s}, wire.U32(uint32(wire.CCSignDigest)), 0); !ok {
			return
		}
		approved = wire.Digest(alg, approved, wire.U32(uint32(tpm2.TPMCCPolicyCommandCode)), wire.U32(uint32(wire.CCSignDigest)))
	}
	ticket := t.approval(h, k, append(slices.Clone(approved), ref...))
	if ticket == nil {
		return
	}
	code := when(k.hierarchy == uint32(tpm2.TPMRHNull), parameter(tpm2.TPMRCValue, 4))
	if code == 0 && t.chance(0.15) {
		ref = append(ref, 1)
		code = parameter(tpm2.TPMRCValue, 4)
	}
	t.send(tpm2.TPMCCPolicyAuthorize, []uint32{s}, slices.Concat(wire.Sized(approved), wire.Sized(ref), wire.Sized(k.name()), ticket), code)
	t.send(tpm2.TPMCCPolicyGetDigest, []uint32{s}, nil, 0)
}

// approval has the TPM verify the signature of a message, and gives the ticket; nil if the
// key does not do so.
func (t *talk) approval(h uint32, k *key, message []byte) []byte {
	last := k.hashMessage(nil, message)
	signature := k.sign(nil, last)
	if signature == nil {
		return nil
	}
	if _, refused := t.digestOf(h); refused == 0 && k.kind != wire.AlgMLDSA && t.chance(0.5) {
		a, ok := t.send(wire.CCVerifyDigestSignature, []uint32{h}, slices.Concat(wire.Sized(nil), wire.Sized(last), signature), 0)
		if !ok {
			return nil
		}
		ticket := slices.Clone(a.out.Rest)
		t.ticket(a, wire.STDigestVerified, k)
		return ticket
	}
	if k.ownScheme().alg == tpm2.TPMAlgHMAC && k.publicOnly {
		return nil
	}
	t.room(1, h)
	hint := k.hintOf(signature)
	a, ok := t.send(wire.CCVerifySequenceStart, []uint32{h}, slices.Concat(wire.Sized(nil), wire.Sized(hint), wire.Sized(nil)), t.full())
	if !ok {
		return nil
	}
	started := a.handle
	t.sequences[started] = &sequence{verify: true, key: k.identity(), scheme: k.ownScheme(), hint: hint}
	t.update(started, message)
	if !slices.Equal(t.sequences[started].message, message) {
		return nil // the password was a wrong one
	}
	if a, ok = t.send(wire.CCVerifySequenceComplete, []uint32{started, h}, signature, 0); !ok {
		return nil
	}
	delete(t.sequences, started)
	ticket := slices.Clone(a.out.Rest)
	t.ticket(a, wire.STMessageVerified, k)
	return ticket
}

package version185

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Attestations. What is in them and their signatures the player checks.

// askedScheme draws the scheme that an attestation is asked for, and gives the code of
// parameter n for one that the key of handle place does not have (Part 3, section
// "Attestation Commands").
func (t *talk) askedScheme(h uint32, place, n int) (asked scheme, refused uint32) {
	k := t.keys[h]
	asked = noScheme
	if t.chance(0.4) {
		asked = pick(t.source, scheme{wire.AlgMLDSA, 0}, scheme{wire.AlgHashMLDSA, 0}, scheme{wire.AlgEdDSA, 0}, scheme{wire.AlgHashEdDSA, 0},
			scheme{tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256}, scheme{tpm2.TPMAlgAES, tpm2.TPMAlgSHA256}, scheme{tpm2.TPMAlgECDSA, tpm2.TPMAlgNull})
	}
	switch {
	case asked.alg == tpm2.TPMAlgAES:
		return asked, parameter(tpm2.TPMRCScheme, n)
	case asked.namesHash() && unknownHash(asked.hash):
		return asked, parameter(tpm2.TPMRCHash, n)
	case k == nil || !k.signing():
		return asked, handle(tpm2.TPMRCKey, place)
	}
	own := k.ownScheme()
	switch {
	case wire.SignsMessages(own.alg):
		return asked, when(asked.alg != tpm2.TPMAlgNull && asked.alg != own.alg, parameter(tpm2.TPMRCScheme, n))
	case own.alg == tpm2.TPMAlgNull && asked.alg == tpm2.TPMAlgECDSA:
		return asked, when(k.kind != tpm2.TPMAlgECC, parameter(tpm2.TPMRCScheme, n))
	case own.alg == tpm2.TPMAlgNull, asked.alg != tpm2.TPMAlgNull && asked != own:
		return asked, parameter(tpm2.TPMRCScheme, n)
	}
	return asked, 0
}

func (t *talk) attesting() uint32 {
	return t.anyHandle(t.signers(isWhole))
}

func (t *talk) quote() {
	h := t.attesting()
	asked, refused := t.askedScheme(h, 1, 2)
	k := t.keys[h]
	// Digests are of nameAlg where the scheme has no hash (errata 2.6).
	unhashed := k != nil && wire.SignsMessages(k.ownScheme().alg) && k.nameAlg == tpm2.TPMAlgNull
	selection := slices.Concat(wire.U32(1), wire.U16(uint16(tpm2.TPMAlgSHA256)), []byte{3, 1, 4, 0})
	t.send(tpm2.TPMCCQuote, []uint32{h}, slices.Concat(wire.Sized(t.bytes(t.IntN(33))), asked.bytes(), selection),
		first(refused, when(unhashed, parameter(tpm2.TPMRCScheme, 2))))
}

func (t *talk) certify() {
	h := t.attesting()
	of := t.anyHandle(t.handlesOf(isWhole))
	if t.sequences[of] != nil {
		return
	}
	asked, refused := t.askedScheme(h, 2, 2)
	t.send(tpm2.TPMCCCertify, []uint32{of, h}, append(wire.Sized(t.bytes(t.IntN(33))), asked.bytes()...), refused)
}

func (t *talk) getTime() {
	h := t.attesting()
	asked, refused := t.askedScheme(h, 2, 2)
	t.send(tpm2.TPMCCGetTime, []uint32{uint32(tpm2.TPMRHEndorsement), h}, append(wire.Sized(t.bytes(t.IntN(33))), asked.bytes()...), refused)
}

// signOld asks for a signature of a digest by TPM2_Sign, which keys that sign messages
// refuse.
func (t *talk) signOld() {
	h := t.attesting()
	k := t.keys[h]
	own := noScheme
	if k != nil {
		own = k.ownScheme()
	}
	digest := t.bytes(32)
	if size := wire.DigestSize(own.hash); size > 0 {
		digest = t.bytes(size)
	}
	a, ok := t.send(tpm2.TPMCCSign, []uint32{h}, slices.Concat(wire.Sized(digest), noScheme.bytes(), nullTicket()), first(
		when(k == nil || !k.signing(), handle(tpm2.TPMRCKey, 1)),
		when(k != nil && k.has(wire.ObjectX509), handle(tpm2.TPMRCAttributes, 1)),
		when(wire.SignsMessages(own.alg), handle(tpm2.TPMRCScheme, 1)),
		when(own.alg == tpm2.TPMAlgNull, parameter(tpm2.TPMRCScheme, 2)),
		when(k != nil && k.has(wire.ObjectRestricted), parameter(tpm2.TPMRCTicket, 3)),
	))
	if ok && own.alg != tpm2.TPMAlgHMAC {
		t.check(k.signed(nil, digest, true, a.out.Signature()), "the signature is not that of %x", digest)
	}
}

// verifyOld is TPM2_VerifySignature.
func (t *talk) verifyOld() {
	h := t.anyHandle(t.signers(isKnown))
	k := t.keys[h]
	own := noScheme
	digest, signature, code := t.bytes(32), append(wire.U16(uint16(wire.AlgEdDSA)), wire.Sized(t.bytes(64))...), tpm2.TPMRCScheme
	if k != nil && k.signing() {
		own = k.ownScheme()
		if !wire.SignsMessages(own.alg) && k.private != nil && own.alg != tpm2.TPMAlgNull {
			digest = t.bytes(wire.DigestSize(own.hash))
			last := digest
			if own.alg == tpm2.TPMAlgHMAC {
				last = hmacOf(own.hash, k.private, digest)
			}
			if signature = k.sign(nil, last); signature == nil {
				return
			}
			signature, code = t.spoil(signature, 0)
		}
	}
	if own.alg == tpm2.TPMAlgHMAC && k.publicOnly {
		return // TPM_RC_HANDLE, as ever
	}
	a, ok := t.send(tpm2.TPMCCVerifySignature, []uint32{h}, append(wire.Sized(digest), signature...), first(
		when(code == undecodedScheme, parameter(tpm2.TPMRCScheme, 2)),
		when(k == nil || !k.signing(), handle(tpm2.TPMRCAttributes, 1)),
		when(wire.SignsMessages(own.alg), handle(tpm2.TPMRCScheme, 1)),
		when(code != undecodedScheme, inParameter(code, 2)),
	))
	if ok {
		t.ticket(a, tpm2.TPMSTVerified, k)
	}
}

// testParms asks whether parameters are implemented, which attributes and Names are no
// matter of.
func (t *talk) testParms() {
	p := t.template()
	p.nameAlg, p.policy, p.attributes, p.unique = tpm2.TPMAlgSHA256, nil, 0, make([][]byte, p.parts())
	parms := p.bytes()
	const head = 2 + 2 + 4 + 2 // type, nameAlg, attributes, policy
	parms = append(parms[:2:2], parms[head:len(parms)-2*p.parts()]...)
	code := p.undecodableParms()
	if code == 0 && p.kind == tpm2.TPMAlgECC {
		code = p.unusable()
	}
	t.send(tpm2.TPMCCTestParms, nil, parms, inParameter(code, 1))
}

// unusable returns the code that refuses the parameters of an ECC key, whatever its attributes
// are.
func (p *template) unusable() tpm2.TPMRC {
	exchange := *p
	exchange.attributes = wire.ObjectDecrypt
	switch {
	case p.montgomery() && p.scheme.alg != tpm2.TPMAlgNull && p.scheme.alg != tpm2.TPMAlgECDH && !p.eddsa():
		return tpm2.TPMRCScheme
	case !p.montgomery() && p.eddsa():
		return tpm2.TPMRCScheme
	case p.kdf.alg == wire.AlgHKDF && !exchange.dhkem():
		return tpm2.TPMRCKDF
	}
	return 0
}

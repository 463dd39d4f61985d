package cases

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// attested checks the attested part of a TPMS_ATTEST of a kind; the client has verified the
// rest and the signature.
func attested(kind tpm2.TPMST, test func(s *conform.State, in *wire.Cursor) error) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		attest, ok := wire.ParseAttest(a.Parsed().Sized())
		if !ok || attest.Kind != kind {
			return fmt.Errorf("no attestation of kind %#x: %x", uint16(kind), a.Parameters)
		}
		in := &wire.Cursor{Rest: attest.Attested}
		if err := test(a.State, in); err != nil {
			return err
		}
		if !in.Done() {
			return fmt.Errorf("%d octets are left", len(in.Rest))
		}
		return nil
	}
}

// unsigned checks the answer of a command whose signer is TPM_RH_NULL.
func unsigned(a *conform.Answer) error {
	in := a.Parsed()
	attest, ok := wire.ParseAttest(in.Sized())
	if !ok || !bytes.Equal(attest.Signer, wire.U32(uint32(tpm2.TPMRHNull))) {
		return fmt.Errorf("the signer is %x", attest.Signer)
	}
	if alg := in.Alg(); alg != tpm2.TPMAlgNull || !in.Done() {
		return fmt.Errorf("the signature has the scheme %#x", uint16(alg))
	}
	return nil
}

// attestation is a command that attests: its handles before and after the signer, and its
// parameters around the scheme.
type attestation struct {
	code        tpm2.TPMCC
	handles     func(signer any) []conform.Part
	at          int
	parameters  func(data, scheme any) join
	schemeAt    int
	first       []conform.Step
	neverSigned bool
}

// attestationCases are those of Part 3, chapter "Attestation Commands".
func attestationCases() []conform.Case {
	audited := []conform.Step{
		conform.Start(wire.SessionHMAC).Named("audit"),
		do(tpm2.TPMCCGetRandom).With(u16(8)).By(conform.In(handle("audit"), wire.AttributeAudit)),
	}
	created := sealedBelow("")
	hash, proof := field{Of: "made", N: 4}, field{Of: "made", N: 5}
	plain := func(data, scheme any) join { return with(data, scheme) }
	var cases []conform.Case
	for _, a := range []attestation{
		{code: tpm2.TPMCCCertify, at: 2, handles: func(s any) []conform.Part { return on("@ecc", s) }, parameters: plain, schemeAt: 2},
		{code: tpm2.TPMCCCertifyCreation, at: 1, handles: func(s any) []conform.Part { return on(s, "object") }, schemeAt: 3,
			parameters: func(data, scheme any) join { return with(data, hash, scheme, proof) },
			first:      []conform.Step{created, load(handle("@storage"), "made", "").Named("object")}},
		{code: tpm2.TPMCCQuote, at: 1, handles: func(s any) []conform.Part { return on(s) }, schemeAt: 2, neverSigned: true,
			parameters: func(data, scheme any) join { return with(data, scheme, oneBank(tpm2.TPMAlgSHA256, 0, 7)) }},
		{code: tpm2.TPMCCGetTime, at: 2, handles: func(s any) []conform.Part { return on(tpm2.TPMRHEndorsement, s) }, parameters: plain, schemeAt: 2},
		{code: tpm2.TPMCCGetSessionAuditDigest, at: 2, handles: func(s any) []conform.Part { return on(tpm2.TPMRHEndorsement, s, "audit") }, parameters: plain, schemeAt: 2, first: audited},
		{code: tpm2.TPMCCGetCommandAuditDigest, at: 2, handles: func(s any) []conform.Part { return on(tpm2.TPMRHEndorsement, s) }, parameters: plain, schemeAt: 2},
	} {
		cases = append(cases, a.cases()...)
	}
	return append(append(cases, attestedCases()...), signersOf()...)
}

// cases are what all commands that attest have in common.
func (a *attestation) cases() []conform.Case {
	q := func(what string, signer any, parameters join, want ...tpm2.TPMRC) *question {
		return about(a.code, what, a.handles(signer), parameters, want...).first(a.first...)
	}
	ecdsa, other := scheme(tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256), scheme(tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA384)
	questions := []*question{
		q("by a restricted ECC key", "@attest", a.parameters("nonce", noScheme)),
		q("by a restricted ECC key in its scheme", "@attest", a.parameters("nonce", ecdsa)),
		q("by a restricted ECC key in another scheme", "@attest", a.parameters("nonce", other), p(a.schemeAt, tpm2.TPMRCScheme)),
		q("by a key that only decrypts", "@storage", a.parameters("nonce", noScheme), h(a.at, tpm2.TPMRCKey)),
		q("with qualifyingData that are too long", "@attest", a.parameters(octets(500), noScheme), p(1, tpm2.TPMRCSize)),
		q("in a scheme that there is not", "@attest", a.parameters("nonce", u16(0x7fff)), p(a.schemeAt, tpm2.TPMRCScheme)),
		q("without qualifyingData", "@attest", a.parameters(empty, noScheme)),
	}
	null := q("by TPM_RH_NULL", tpm2.TPMRHNull, a.parameters("nonce", noScheme))
	if a.neverSigned {
		null.step.Want = codes(p(a.schemeAt, tpm2.TPMRCScheme))
	} else {
		null.check("gives an attestation without a signature", unsigned)
	}
	if a.code != tpm2.TPMCCCertifyCreation { // which has no room for another key
		questions = append(questions, q("by an ECC key without a scheme, in none", "@ecc", a.parameters("nonce", noScheme), p(a.schemeAt, tpm2.TPMRCScheme)),
			q("by an ECC key without a scheme, by ECDSA", "@ecc", a.parameters("nonce", ecdsa)),
			q("by an RSA key that signs", "@rsa sign", a.parameters("nonce", noScheme)),
			q("by an HMAC key", "@hmac", a.parameters("nonce", noScheme)),
			q("by an ECC key in a scheme for RSA", "@ecc", a.parameters("nonce", scheme(tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA256)), p(a.schemeAt, tpm2.TPMRCScheme)))
	}
	return built(append(questions, null)...)
}

func attestedCases() []conform.Case {
	certify, creation, quote, time := tpm2.TPMCCCertify, tpm2.TPMCCCertifyCreation, tpm2.TPMCCQuote, tpm2.TPMCCGetTime
	hash, proof := field{Of: "made", N: 4}, field{Of: "made", N: 5}
	object := []conform.Step{sealedBelow(""), load(handle("@storage"), "made", "").Named("object")}
	return built(
		about(certify, "of an object", on("@ecc", "@attest"), with("nonce", noScheme)).check("attests its Name", attested(tpm2.TPMSTAttestCertify, func(s *conform.State, in *wire.Cursor) error {
			handle, err := s.Handle("@ecc")
			if err != nil {
				return err
			}
			name := in.Sized()
			in.Sized() // qualifiedName
			return differ("name", name, s.Name(handle))
		})),
		about(certify, "with one authorization", on("@ecc", "@attest"), with("nonce", noScheme), tpm2.TPMRCAuthMissing).by(conform.Own()),
		about(certify, "with a wrong password for the object", on("@secret", "@attest"), with("nonce", noScheme), s(1, tpm2.TPMRCBadAuth)).by(conform.Password("wrong"), conform.Own()),
		about(certify, "with a wrong password for the signer", on("@attest", "@secret"), with("nonce", noScheme), s(2, tpm2.TPMRCBadAuth)).by(conform.Own(), conform.Password("wrong")),
		about(creation, "with the creationHash of another object", on("@attest", "object"), with("nonce", octets(32), noScheme, proof), p(4, tpm2.TPMRCTicket)).first(object...),
		about(creation, "with a ticket that was changed", on("@attest", "object"), with("nonce", hash, noScheme, changed(proof, -1)), p(4, tpm2.TPMRCTicket)).first(object...),
		about(creation, "with the ticket of another object", on(tpm2.TPMRHNull, "@ecc"), with("nonce", hash, noScheme, proof), p(4, tpm2.TPMRCTicket)).first(object[0]),
		about(creation, "with a ticket of another kind", on("@attest", "object"), with("nonce", hash, noScheme, noTicket(tpm2.TPMSTHashCheck)), p(4, tpm2.TPMRCTag)).first(object...),
		about(quote, "of no PCRs", on("@attest"), with("nonce", noScheme, u32(0))).check("attests the digest of nothing", quoted(nil)),
		about(quote, "with a bank that there is not", on("@attest"), with("nonce", noScheme, selection(0x7fff, 0)), p(3, tpm2.TPMRCHash)),
		about(quote, "with 17 selections", on("@attest"), with("nonce", noScheme, u32(17)), p(3, tpm2.TPMRCSize)),
		about(quote, "of PCRs", on("@attest"), with("nonce", noScheme, oneBank(tpm2.TPMAlgSHA256, 0, 7))).needing(bank(tpm2.TPMAlgSHA256)).
			first(do(tpm2.TPMCCPCRRead).With(oneBank(tpm2.TPMAlgSHA256, 0, 7)).Named("pcrs")).
			check("attests the digest of their values", attested(tpm2.TPMSTAttestQuote, func(s *conform.State, in *wire.Cursor) error {
				skipSelections(in)
				want, err := pcrDigest(s)
				if err != nil {
					return err
				}
				return differ("pcrDigest", in.Sized(), want)
			})),
		about(quote, "with a wrong password", on("@attest"), with("nonce", noScheme, u32(0)), s(1, tpm2.TPMRCBadAuth)).by(conform.Password("wrong")),
		about(time, "for the owner", on(tpm2.TPMRHOwner, "@attest"), with("nonce", noScheme), h(1, tpm2.TPMRCValue)),
		about(time, "after ReadClock", on(tpm2.TPMRHEndorsement, "@attest"), with("nonce", noScheme)).first(do(tpm2.TPMCCReadClock).Named("clock")).
			check("attests a time that is not before", attested(tpm2.TPMSTAttestTime, func(s *conform.State, in *wire.Cursor) error {
				before, err := s.Field("clock", 1)
				if err != nil {
					return err
				}
				now := in.Take(wire.TimeSize)
				in.U64() // firmwareVersion
				if len(before) != wire.TimeSize || binary.BigEndian.Uint64(now) < binary.BigEndian.Uint64(before) {
					return fmt.Errorf("%x, before %x", now, before)
				}
				return differ("resetCount and restartCount", now[16:24], before[16:24])
			})),
		about(tpm2.TPMCCGetSessionAuditDigest, "of a session that audits nothing", on(tpm2.TPMRHEndorsement, "@attest", "audit"), with("nonce", noScheme), h(3, tpm2.TPMRCType)).
			first(conform.Start(wire.SessionHMAC).Named("audit")),
		about(tpm2.TPMCCGetSessionAuditDigest, "of a policy session", on(tpm2.TPMRHEndorsement, "@attest", "audit"), with("nonce", noScheme), h(3, tpm2.TPMRCValue)).
			first(conform.Start(wire.SessionPolicy).Named("audit")),
		about(tpm2.TPMCCGetSessionAuditDigest, "for the owner", on(tpm2.TPMRHOwner, "@attest", "audit"), with("nonce", noScheme), h(1, tpm2.TPMRCValue)).
			first(conform.Start(wire.SessionHMAC).Named("audit")),
		about(tpm2.TPMCCGetCommandAuditDigest, "for the owner", on(tpm2.TPMRHOwner, "@attest"), with("nonce", noScheme), h(1, tpm2.TPMRCValue)),
	)
}

// quoted checks a quote of no PCRs.
func quoted(values [][]byte) func(*conform.Answer) error {
	return attested(tpm2.TPMSTAttestQuote, func(_ *conform.State, in *wire.Cursor) error {
		if n := in.U32(); n != 0 {
			return fmt.Errorf("%d selections", n)
		}
		return differ("pcrDigest", in.Sized(), hashOf(hashes[1].hash, values...))
	})
}

// signersOf are quotes by each hash algorithm.
func signersOf() []conform.Case {
	var cases []conform.Case
	for _, known := range hashes {
		cases = append(cases, about(tpm2.TPMCCQuote, "of no PCRs by ECDSA with "+hashText(known.alg), on("@ecc"), with("nonce", scheme(tpm2.TPMAlgECDSA, known.alg), u32(0))).
			check("attests the digest of nothing by that algorithm", attested(tpm2.TPMSTAttestQuote, func(_ *conform.State, in *wire.Cursor) error {
				in.U32()
				return differ("pcrDigest", in.Sized(), hashOf(known.hash))
			})).build())
	}
	return cases
}

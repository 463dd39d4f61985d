package cases

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// hashSequence starts a hash sequence.
func hashSequence(alg tpm2.TPMAlgID, auth string) conform.Step {
	return do(tpm2.TPMCCHashSequenceStart).With(with(auth, alg)...).Giving(auth)
}

// update adds to a sequence.
func update(sequence string, data []byte) conform.Step {
	return do(tpm2.TPMCCSequenceUpdate, handle(sequence)).With(conform.Bytes(data))
}

// sequenceCases are those of Part 3, chapter "Hash/HMAC/Event Sequences".
func sequenceCases() []conform.Case {
	start, updates, complete, event := tpm2.TPMCCHashSequenceStart, tpm2.TPMCCSequenceUpdate, tpm2.TPMCCSequenceComplete, tpm2.TPMCCEventSequenceComplete
	sha256, generated := tpm2.TPMAlgSHA256, []byte{0xff, 'T', 'C', 'G', 1}
	digest := func(parts ...[]byte) []byte { return hashOf(hashes[1].hash, parts...) }
	sequence := hashSequence(sha256, "").Named("sequence")
	secret := hashSequence(sha256, "secret").Named("sequence")
	events := do(start).With(with(empty, tpm2.TPMAlgNull)...).Named("sequence")
	cases := macRefusals(tpm2.TPMCCMACStart, func(alg any) join { return with(empty, alg) })
	cases = append(cases, built(
		about(start, "with an unknown algorithm", nil, with(empty, u16(0x7fff)), p(2, tpm2.TPMRCHash)),
		about(start, "with an algorithm that is no hash", nil, with(empty, tpm2.TPMAlgAES), p(2, tpm2.TPMRCHash)),
		about(start, "with an authorization value longer than any digest", nil, with(octets(65), sha256), p(1, tpm2.TPMRCSize)),
		about(updates, "of a key", on("@hmac"), with("data"), h(1, tpm2.TPMRCMode)),
		about(updates, "of a sequence that was flushed", on("sequence"), with("data"), tpm2.TPMRCReferenceH0).first(sequence, conform.Flush("sequence")),
		about(updates, "with a wrong password", on("sequence"), with("data"), s(1, tpm2.TPMRCBadAuth)).first(secret).by(conform.Password("wrong")),
		about(updates, "with the password of the sequence", on("sequence"), with("data")).first(secret),
		about(updates, "without an authorization", on("sequence"), with("data"), tpm2.TPMRCAuthMissing).first(sequence).unauthorized(),
		about(updates, "with more than a TPM2B_MAX_BUFFER", on("sequence"), with(octets(1025)), p(1, tpm2.TPMRCSize)).needing(inputBuffer(1024)).first(sequence),
		about(complete, "of a key", on("@hmac"), with("data", null), h(1, tpm2.TPMRCMode)),
		about(complete, "of an event sequence", on("sequence"), with("data", null), h(1, tpm2.TPMRCMode)).first(events),
		about(complete, "for a hierarchy that there is not", on("sequence"), with("data", u32(0x40000002)), p(2, tpm2.TPMRCValue)).first(sequence),
		about(complete, "with a wrong password", on("sequence"), with("data", null), s(1, tpm2.TPMRCBadAuth)).first(secret).by(conform.Password("wrong")),
		about(complete, "without anything before", on("sequence"), with("data", null)).first(sequence).check("gives the digest", firstIs(digest([]byte("data")))),
		about(complete, "without any data", on("sequence"), with(empty, null)).first(sequence).check("gives the digest of nothing", firstIs(digest())),
		about(complete, "of a sequence", on("sequence"), with("data", null)).first(sequence).gives("takes it away").
			next(update("sequence", nil).Fails(tpm2.TPMRCReferenceH0)),
		about(complete, "that fails", on("sequence"), with("data", u32(0x40000002)), p(2, tpm2.TPMRCValue)).first(sequence, update("sequence", []byte("a"))).
			gives("leaves the sequence").
			next(do(complete, handle("sequence")).With(with("b", null)...).Checked(conform.Check{Says: "the digest is that of both parts", Test: firstIs(digest([]byte("ab")))})),
		about(complete, "of a sequence whose context was saved and loaded", on("again"), with("b", null)).
			first(sequence, update("sequence", []byte("a")), do(tpm2.TPMCCContextSave, handle("sequence")).Named("saved"), conform.Flush("sequence"),
				do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}).Named("again")).
			check("goes on with it", firstIs(digest([]byte("ab")))),
		about(complete, "of one of two sequences", on("sequence"), with(empty, null)).
			first(sequence, hashSequence(sha256, "").Named("other"), update("sequence", []byte("a")), update("other", []byte("x")), update("sequence", []byte("b"))).
			check("has nothing of the other in it", firstIs(digest([]byte("ab")))),
		about(complete, "for the null hierarchy", on("sequence"), with("data", null)).first(sequence).
			check("gives a null ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHNull, false)),
		about(complete, "for the owner hierarchy", on("sequence"), with("data", owner)).first(sequence).
			check("gives a ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHOwner, true)),
		about(complete, "of data that begin with TPM_GENERATED_VALUE", on("sequence"), with("data", owner)).first(sequence, update("sequence", generated)).
			check("gives a null ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHNull, false)),
		about(complete, "with TPM_GENERATED_VALUE in it alone", on("sequence"), with(generated, owner)).first(sequence).
			check("gives a null ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHNull, false)),
		about(complete, "after a first block of three octets", on("sequence"), with("data", owner)).first(sequence, update("sequence", octets(3))).
			check("gives a null ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHNull, false)),
		about(complete, "with TPM_GENERATED_VALUE in a later block", on("sequence"), with(generated, owner)).first(sequence, update("sequence", octets(64))).
			check("gives a ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHOwner, true)),
		about(event, "of a hash sequence", on(tpm2.TPMRHNull, "sequence"), with("data"), h(2, tpm2.TPMRCMode)).first(sequence),
		about(event, "of an HMAC key", on(tpm2.TPMRHNull, "@hmac"), with("data"), h(2, tpm2.TPMRCMode)),
		about(event, "for PCR 24", on(24, "sequence"), with("data"), h(1, tpm2.TPMRCValue)).first(events),
		about(event, "for a PCR that the locality may not extend", on(17, "sequence"), with("data"), tpm2.TPMRCLocality).first(events),
		about(event, "for TPM_RH_NULL", on(tpm2.TPMRHNull, "sequence"), with("b")).first(events, update("sequence", []byte("a"))).
			check("gives the digest of each bank", eventDigests([]byte("ab"))),
		about(event, "for TPM_RH_NULL", on(tpm2.TPMRHNull, "sequence"), with("b")).first(events).gives("takes the sequence away").
			next(update("sequence", nil).Fails(tpm2.TPMRCReferenceH0)),
		about(event, "for PCR 16", on(16, "sequence"), with("b")).first(events, update("sequence", []byte("a"))).needing(freePCRs).afterwards(resetPCR(16)).
			check("extends it in each bank", extendedBanks(16, []byte("ab"))),
	)...)
	for i, known := range hashes {
		for _, n := range []int{1, 55, 64, 111, 128, 240} {
			cases = append(cases, built(
				about(complete, fmt.Sprintf("of a sequence by %s of %d octets in two parts", hashText(known.alg), n), on("sequence"), with(octets(n)[n/2:], null)).
					first(hashSequence(known.alg, "").Named("sequence"), update("sequence", octets(n)[:n/2])).needing(known.alg).
					check("gives the digest", firstIs(hashOf(known.hash, octets(n)))),
			)...)
		}
		cases = append(cases, built(
			about(complete, "of an HMAC sequence by "+hashText(known.alg), on("sequence"), with("b", null)).needing(known.alg).
				first(do(tpm2.TPMCCMACStart, handle("@hmac any")).With(with(empty, known.alg)...).Named("sequence"), update("sequence", []byte("a"))).
				check("gives the HMAC", firstIs(hmacOf(i, []byte("ab")))),
		)...)
	}
	return append(cases, built(
		about(complete, "of an HMAC sequence", on("sequence"), with("b", owner)).
			first(do(tpm2.TPMCCMACStart, handle("@hmac")).With(with(empty, tpm2.TPMAlgNull)...).Named("sequence"), update("sequence", []byte("a"))).
			check("gives a null ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHNull, false)),
		about(complete, "of an HMAC sequence of a key that was flushed", on("sequence"), with("b", null)).
			first(external("hmac", outside|wire.ObjectSign, hmacSHA256, "").Named("key"),
				do(tpm2.TPMCCMACStart, handle("key")).With(with(empty, tpm2.TPMAlgNull)...).Named("sequence"), conform.Flush("key"), update("sequence", []byte("a"))).
			check("gives the HMAC", firstIs(hmacOf(1, []byte("ab")))),
		about(complete, "of an HMAC sequence with the password of the sequence", on("sequence"), with("b", null)).
			first(do(tpm2.TPMCCMACStart, handle("@hmac")).With(with("other", tpm2.TPMAlgNull)...).Named("sequence").Giving("other")).
			check("gives the HMAC", firstIs(hmacOf(1, []byte("b")))),
		about(tpm2.TPMCCReadPublic, "of a sequence", on("sequence"), nil, tpm2.TPMRCSequence).first(sequence),
		about(tpm2.TPMCCUnseal, "of a sequence", on("sequence"), nil, h(1, tpm2.TPMRCType)).first(sequence),
	)...)
}

package cases

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
)

// credentialCases are those about credentials.
func credentialCases() []conform.Case {
	makes, activate := tpm2.TPMCCMakeCredential, tpm2.TPMCCActivateCredential
	name := conform.Name{Of: handle("@ecc sign")}
	credential := func(of conform.Part) conform.Step {
		return do(makes, handle("@storage")).With(conform.Text("credential"), of).Named("credential")
	}
	blob, secret := field{Of: "credential", N: 1}, field{Of: "credential", N: 2}
	rsaKey := importStorage("rsa", with(aesDetails(tpm2.TPMAlgCFB), tpm2.TPMAlgNull, u16(2048), u32(0)))
	return built(
		about(makes, "for a key that signs", on("@attest"), with("credential", name), h(1, tpm2.TPMRCType)),
		about(makes, "for a key that is not restricted", on("@ecc decrypt"), with("credential", name), h(1, tpm2.TPMRCType)),
		about(makes, "for an HMAC key", on("@hmac"), with("credential", name), h(1, tpm2.TPMRCType)),
		about(makes, "for a derivation parent", on("@derivation"), with("credential", name), h(1, tpm2.TPMRCType)),
		about(makes, "with a credential longer than the digests of nameAlg", on("@storage"), with(octets(33), name), p(1, tpm2.TPMRCSize)),
		about(makes, "with a Name that is too long", on("@storage"), with("credential", octets(200)), p(2, tpm2.TPMRCSize)),
		about(makes, "twice", on("@storage"), with("credential", name)).
			next(do(makes, handle("@storage")).With(conform.Text("credential"), name).Checked(otherThan("asked", 1))).gives("gives two different results"),
		about(activate, "of a credential", on("@ecc sign", "@storage"), with(blob, secret)).first(credential(name)).check("gives what is in it", firstIs([]byte("credential"))),
		about(activate, "of an empty credential", on("@ecc sign", "@storage"), with(blob, secret)).
			first(do(makes, handle("@storage")).With(empty, name).Named("credential")).check("gives nothing", firstIs(nil)),
		about(activate, "of a credential of 32 octets", on("@ecc sign", "@storage"), with(blob, secret)).
			first(do(makes, handle("@storage")).With(conform.Bytes(octets(32)), name).Named("credential")).check("gives what is in it", firstIs(octets(32))),
		about(activate, "of a credential for another object", on("@hmac", "@storage"), with(blob, secret), p(1, tpm2.TPMRCIntegrity)).first(credential(name)),
		about(activate, "of a credential that was changed", on("@ecc sign", "@storage"), with(changed(blob, -1), secret), p(1, tpm2.TPMRCIntegrity)).first(credential(name)),
		about(activate, "of a credential whose integrity value was changed", on("@ecc sign", "@storage"), with(changed(blob, 10), secret), p(1, tpm2.TPMRCIntegrity)).first(credential(name)),
		about(activate, "with a point that is not on the curve for secret", on("@ecc sign", "@storage"), with(blob, sizedPoint(with(octets(32), octets(32)))), p(2, tpm2.TPMRCECCPoint)).first(credential(name)),
		about(activate, "with a key that signs", on("@ecc sign", "@attest"), with(blob, secret), h(2, tpm2.TPMRCType)).first(credential(name)),
		about(activate, "with a key that is not restricted", on("@ecc sign", "@ecc decrypt"), with(blob, secret), h(2, tpm2.TPMRCType)).first(credential(name)),
		about(activate, "with a wrong password for the object", on("@secret", "@storage"), with(blob, secret), s(1, tpm2.TPMRCBadAuth)).first(credential(name)).by(conform.Password("wrong"), conform.Own()),
		about(activate, "with one authorization", on("@ecc sign", "@storage"), with(blob, secret), tpm2.TPMRCAuthMissing).first(credential(name)).by(conform.Own()),
		about(activate, "of a credential for an RSA key", on("key", "key"), with(blob, secret)).
			first(rsaKey...).first(do(makes, handle("key")).With(conform.Text("credential"), conform.Name{Of: handle("key")}).Named("credential")).
			check("gives what is in it", firstIs([]byte("credential"))),
		about(activate, "with a secret that is no number below the modulus of the RSA key", on("key", "key"), with(blob, bytes.Repeat([]byte{0xff}, rsaBytes)), anyNumber(tpm2.TPMRCValue, tpm2.TPMRCSize)...).
			first(rsaKey...).first(do(makes, handle("key")).With(conform.Text("credential"), conform.Name{Of: handle("key")}).Named("credential")),
		about(activate, "with a secret shorter than the modulus of the RSA key", on("key", "key"), with(blob, octets(100)), anyNumber(tpm2.TPMRCValue, tpm2.TPMRCSize)...).
			first(rsaKey...).first(do(makes, handle("key")).With(conform.Text("credential"), conform.Name{Of: handle("key")}).Named("credential")),
	)
}

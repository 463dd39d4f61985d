package cases

import (
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

var startAuthSession = part3("11.1", "TPM2_StartAuthSession")

func sessionCases() []conform.Case {
	return []conform.Case{
		ask(startAuthSession, "StartAuthSession with a nonce of 15 octets answers TPM_RC_SIZE for parameter 1",
			do(tpm2.TPMCCStartAuthSession, null, null).With(zeros(15), empty, u8(wire.SessionHMAC), noAlg, alg(tpm2.TPMAlgSHA256)).
				Fails(p(1, tpm2.TPMRCSize))),
		ask(startAuthSession, "StartAuthSession with a salt and without a key answers TPM_RC_VALUE for parameter 2",
			do(tpm2.TPMCCStartAuthSession, null, null).With(zeros(16), zeros(32), u8(wire.SessionHMAC), noAlg, alg(tpm2.TPMAlgSHA256)).
				Fails(p(2, tpm2.TPMRCValue))),
		ask(startAuthSession, "StartAuthSession with a session type of 2 answers TPM_RC_VALUE for parameter 3",
			do(tpm2.TPMCCStartAuthSession, null, null).With(zeros(16), empty, u8(2), noAlg, alg(tpm2.TPMAlgSHA256)).
				Fails(p(3, tpm2.TPMRCValue))),
		ask(startAuthSession, "StartAuthSession with TPM_ALG_NULL as hash algorithm answers TPM_RC_HASH for parameter 5",
			do(tpm2.TPMCCStartAuthSession, null, null).With(zeros(16), empty, u8(wire.SessionHMAC), noAlg, noAlg).
				Fails(p(5, tpm2.TPMRCHash))),
		ask(startAuthSession, "StartAuthSession salted to an ECC key gives a session whose HMACs have the salt in them",
			do(tpm2.TPMCCStartAuthSession, handle("@storage"), null).
				With(zeros(16), conform.Salt("salt"), u8(wire.SessionHMAC), noAlg, alg(tpm2.TPMAlgSHA256)).Named("session"),
			do(tpm2.TPMCCGetRandom).With(u16(8)).By(conform.In(handle("session"), wire.AttributeAudit))),
		ask(startAuthSession, "StartAuthSession of an HMAC session gives one that authorizes with the value of the entity",
			conform.Start(wire.SessionHMAC).Named("session"),
			do(tpm2.TPMCCMAC, handle("@secret")).With(conform.Text("data"), noAlg).By(conform.In(handle("session"), 0))),
		ask(startAuthSession, "An HMAC session with a wrong authorization value answers TPM_RC_BAD_AUTH for session 1",
			conform.Start(wire.SessionHMAC).Named("session"),
			do(tpm2.TPMCCMAC, handle("@secret")).With(conform.Text("data"), noAlg).
				By(conform.In(handle("session"), 0).Knowing("wrong")).Fails(s(1, tpm2.TPMRCBadAuth))),
		ask(startAuthSession, "An HMAC session that encrypts the answer gives one that the client decrypts",
			conform.StartCipher(wire.SessionHMAC).Named("session"),
			do(tpm2.TPMCCMAC, handle("@secret")).With(conform.Text("data"), noAlg).Named("plain"),
			do(tpm2.TPMCCMAC, handle("@secret")).With(conform.Text("data"), noAlg).
				By(conform.In(handle("session"), wire.AttributeEncrypt|wire.AttributeDecrypt)).Checked(sameAs("plain", 1))),
	}
}

package cases

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

var (
	startAuthSession = part3("11.1", "TPM2_StartAuthSession")
	policyRestart    = part3("11.2", "TPM2_PolicyRestart")
	sessionBinding   = part1("19.6.10", "Session Binding")
)

// startSession is TPM2_StartAuthSession of an HMAC session in full.
func startSession(key, bind conform.Part, nonce int, salt conform.Part, kind byte, symmetric conform.Part, hash tpm2.TPMAlgID) conform.Step {
	return do(tpm2.TPMCCStartAuthSession, key, bind).With(zeros(nonce), salt, u8(kind), symmetric, alg(hash))
}

func sessionCases() []conform.Case {
	hmacKey := do(tpm2.TPMCCMAC, handle("@secret")).With(conform.Text("data"), noAlg)
	plain := func(nonce int) conform.Step {
		return startSession(null, null, nonce, empty, wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256)
	}
	bySession := conform.In(handle("session"), 0)
	all := []conform.Case{
		ask(startAuthSession, "StartAuthSession with a nonce of 15 octets answers TPM_RC_SIZE for parameter 1", plain(15).Fails(p(1, tpm2.TPMRCSize))),
		ask(startAuthSession, "StartAuthSession with a nonce of 16 octets succeeds", plain(16)),
		ask(startAuthSession, "StartAuthSession with a nonce of the size of the hash succeeds", plain(32)),
		ask(startAuthSession, "StartAuthSession with a nonce that is longer than the hash answers TPM_RC_SIZE for parameter 1", plain(33).Fails(p(1, tpm2.TPMRCSize))),
		ask(startAuthSession, "StartAuthSession gives a nonceTPM of the size of nonceCaller", plain(16).Checked(firstHas(16))),
		ask(startAuthSession, "StartAuthSession with a salt and without a key answers TPM_RC_VALUE for parameter 2",
			startSession(null, null, 16, zeros(32), wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Fails(p(2, tpm2.TPMRCValue))),
		ask(startAuthSession, "StartAuthSession with a session type of 2 answers TPM_RC_VALUE for parameter 3",
			startSession(null, null, 16, empty, 2, noAlg, tpm2.TPMAlgSHA256).Fails(p(3, tpm2.TPMRCValue))),
		ask(startAuthSession, "StartAuthSession with a session type of 4 answers TPM_RC_VALUE for parameter 3",
			startSession(null, null, 16, empty, 4, noAlg, tpm2.TPMAlgSHA256).Fails(p(3, tpm2.TPMRCValue))),
		ask(startAuthSession, "StartAuthSession with TPM_ALG_NULL as hash algorithm answers TPM_RC_HASH for parameter 5",
			startSession(null, null, 16, empty, wire.SessionHMAC, noAlg, tpm2.TPMAlgNull).Fails(p(5, tpm2.TPMRCHash))),
		ask(startAuthSession, "StartAuthSession with a cipher as hash algorithm answers TPM_RC_HASH for parameter 5",
			startSession(null, null, 16, empty, wire.SessionHMAC, noAlg, tpm2.TPMAlgAES).Fails(p(5, tpm2.TPMRCHash))),
		ask(startAuthSession, "StartAuthSession with a hash as symmetric algorithm answers TPM_RC_SYMMETRIC for parameter 4",
			startSession(null, null, 16, empty, wire.SessionHMAC, alg(tpm2.TPMAlgSHA256), tpm2.TPMAlgSHA256).Fails(p(4, tpm2.TPMRCSymmetric))),
		ask(startAuthSession, "StartAuthSession with AES of 64 bits answers TPM_RC_VALUE or TPM_RC_KEY_SIZE for parameter 4",
			startSession(null, null, 16, empty, wire.SessionHMAC, join{alg(tpm2.TPMAlgAES), u16(64), alg(tpm2.TPMAlgCFB)}, tpm2.TPMAlgSHA256).Fails(p(4, tpm2.TPMRCValue), p(4, tpm2.TPMRCKeySize))),
		ask(startAuthSession, "StartAuthSession with AES in another mode than CFB answers TPM_RC_MODE for parameter 4",
			startSession(null, null, 16, empty, wire.SessionHMAC, join{alg(tpm2.TPMAlgAES), u16(128), alg(tpm2.TPMAlgCBC)}, tpm2.TPMAlgSHA256).Fails(p(4, tpm2.TPMRCMode))).
			Needing(conform.Needs{Algs: []tpm2.TPMAlgID{tpm2.TPMAlgCBC}}),
		ask(startAuthSession, "StartAuthSession salted to an ECC key gives a session whose HMACs have the salt in them",
			startSession(handle("@storage"), null, 16, conform.Salt("salt"), wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Named("session"),
			random().By(conform.In(handle("session"), wire.AttributeAudit))),
		ask(startAuthSession, "StartAuthSession salted to an RSA key gives a session whose HMACs have the salt in them",
			external("rsa", outside|wire.ObjectDecrypt, rsaAny, "").Named("key"),
			startSession(handle("key"), null, 16, conform.Salt("a salt"), wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Named("session"),
			random().By(conform.In(handle("session"), wire.AttributeAudit))),
		ask(startAuthSession, "StartAuthSession with a key and without a salt answers TPM_RC_VALUE or TPM_RC_SIZE for parameter 2",
			startSession(handle("@storage"), null, 16, empty, wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Fails(p(2, tpm2.TPMRCValue), p(2, tpm2.TPMRCSize), p(2, tpm2.TPMRCInsufficient))),
		ask(startAuthSession, "StartAuthSession with a key that cannot decrypt answers TPM_RC_ATTRIBUTES for handle 1",
			startSession(handle("@attest"), null, 16, zeros(64), wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Fails(h(1, tpm2.TPMRCAttributes))),
		ask(startAuthSession, "StartAuthSession with a symmetric key answers TPM_RC_KEY for handle 1",
			startSession(handle("@hmac"), null, 16, zeros(64), wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Fails(h(1, tpm2.TPMRCKey))),
		ask(startAuthSession, "StartAuthSession with only the public area of a key answers TPM_RC_HANDLE for handle 1",
			decryptingPublic().Named("key"), startSession(handle("key"), null, 16, zeros(64), wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Fails(h(1, tpm2.TPMRCHandle))),
		ask(startAuthSession, "StartAuthSession bound to only the public area of a key answers TPM_RC_HANDLE for handle 2",
			decryptingPublic().Named("key"), startSession(null, handle("key"), 16, empty, wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Fails(h(2, tpm2.TPMRCHandle))),
		ask(startAuthSession, "StartAuthSession with a salt that is no point answers TPM_RC_ECC_POINT or an error of its size for parameter 2",
			startSession(handle("@storage"), null, 16, sized{zeros(32), zeros(32)}, wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).
				Fails(p(2, tpm2.TPMRCECCPoint), tpm2.TPMRCECCPoint, p(2, tpm2.TPMRCValue))),
		ask(startAuthSession, "An HMAC session authorizes with the value of the entity", conform.Start(wire.SessionHMAC).Named("session"), hmacKey.By(bySession)),
		ask(startAuthSession, "An HMAC session with a wrong authorization value answers TPM_RC_BAD_AUTH for session 1",
			conform.Start(wire.SessionHMAC).Named("session"), hmacKey.By(bySession.Knowing("wrong")).Fails(s(1, tpm2.TPMRCBadAuth))),
		ask(startAuthSession, "A session that both decrypts and encrypts gives the same answer as none",
			conform.StartCipher(wire.SessionHMAC).Named("session"), hmacKey.Named("plain"),
			hmacKey.By(conform.In(handle("session"), wire.AttributeEncrypt|wire.AttributeDecrypt)).Checked(sameAs("plain", 1))),
		ask(startAuthSession, "StartAuthSession can be decrypted and encrypted by another session",
			conform.StartCipher(wire.SessionHMAC).Named("cipher"),
			plain(16).By(conform.In(handle("cipher"), wire.AttributeDecrypt|wire.AttributeEncrypt)).Named("session"), hmacKey.By(bySession)),
		ask(sessionBinding, "A session that is bound to an entity authorizes it",
			startSession(null, handle("@secret"), 16, empty, wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Named("session"), hmacKey.By(bySession), hmacKey.By(bySession)),
		ask(sessionBinding, "A session that is bound to an entity authorizes another one with its authorization value",
			startSession(null, handle("@secret"), 16, empty, wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Named("session"),
			do(tpm2.TPMCCMAC, handle("@hmac")).With(conform.Text("data"), noAlg).By(bySession)),
		ask(sessionBinding, "A session that is bound and salted authorizes",
			startSession(handle("@storage"), handle("@secret"), 16, conform.Salt("both"), wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Named("session"), hmacKey.By(bySession)),
		ask(sessionBinding, "A session that is bound to an NV index authorizes it",
			define(0, ordinary, 8).Giving(""), startSession(null, index(0), 16, empty, wire.SessionHMAC, noAlg, tpm2.TPMAlgSHA256).Named("session"),
			nvWriteStep(index(0), 0, "12345678", 0).By(bySession)),
		ask(startAuthSession, "StartAuthSession of more sessions than TPM_PT_HR_LOADED_MIN ends with TPM_RC_SESSION_MEMORY",
			manySessions()...).Needing(conform.Needs{Other: func(f *conform.Features) string {
			if n := f.Properties[tpm2.TPMPTHRLoadedMin]; n > 16 {
				return fmt.Sprintf("room for %d sessions", n)
			}
			return ""
		}}),
		ask(policyRestart, "PolicyRestart sets the digest of a policy to zeros",
			policy, do(tpm2.TPMCCPolicyAuthValue, session), do(tpm2.TPMCCPolicyRestart, session),
			do(tpm2.TPMCCPolicyGetDigest, session).Checked(reads(string(make([]byte, 32))))),
		ask(policyRestart, "PolicyRestart of a trial session sets its digest to zeros",
			conform.Start(wire.SessionTrial).Named("policy"), do(tpm2.TPMCCPolicyPassword, session), do(tpm2.TPMCCPolicyRestart, session),
			do(tpm2.TPMCCPolicyGetDigest, session).Checked(reads(string(make([]byte, 32))))),
		ask(policyRestart, "PolicyRestart of an HMAC session answers TPM_RC_VALUE for handle 1",
			conform.Start(wire.SessionHMAC).Named("session"), do(tpm2.TPMCCPolicyRestart, handle("session")).Fails(h(1, tpm2.TPMRCValue))),
		ask(policyRestart, "PolicyRestart lets a command code be set again", policy,
			do(tpm2.TPMCCPolicyCommandCode, session).With(conform.U32(tpm2.TPMCCUnseal)), do(tpm2.TPMCCPolicyRestart, session),
			do(tpm2.TPMCCPolicyCommandCode, session).With(conform.U32(tpm2.TPMCCSign))),
	}
	for _, hash := range []struct {
		alg  tpm2.TPMAlgID
		size int
	}{{tpm2.TPMAlgSHA1, 20}, {tpm2.TPMAlgSHA384, 48}, {tpm2.TPMAlgSHA512, 64}} {
		all = append(all, ask(startAuthSession, "StartAuthSession with "+conform.AlgName(hash.alg)+" and a nonceCaller of its size gives a nonceTPM of its size",
			startSession(null, null, hash.size, empty, wire.SessionHMAC, noAlg, hash.alg).Checked(firstHas(hash.size))).Needing(conform.Needs{Algs: []tpm2.TPMAlgID{hash.alg}}))
	}
	return all
}

// decryptingPublic loads the public area of a key that can decrypt.
func decryptingPublic() conform.Step {
	return do(tpm2.TPMCCLoadExternal).With(empty, public(tpm2.TPMAlgECC, outside|wire.ObjectDecrypt, empty, eccAny, raw(somePoint()[0].(raw))), null)
}

// firstHas checks the size of the first TPM2B of an answer.
func firstHas(size int) conform.Check {
	return conform.Check{Says: fmt.Sprintf("the first parameter has %d octets", size), Test: func(a *conform.Answer) error {
		if got := len(a.Parsed().Sized()); got != size {
			return fmt.Errorf("it has %d", got)
		}
		return nil
	}}
}

// manySessions starts more sessions than a TPM has room for, of which it may have more than
// it promises.
func manySessions() []conform.Step {
	var steps []conform.Step
	for range 64 {
		steps = append(steps, conform.Start(wire.SessionHMAC).Fails(tpm2.TPMRCSuccess, tpm2.TPMRCSessionMemory))
	}
	return append(steps, conform.Start(wire.SessionHMAC).Fails(tpm2.TPMRCSessionMemory, tpm2.TPMRCSessionHandles))
}

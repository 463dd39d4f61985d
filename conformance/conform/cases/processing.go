package cases

import (
	"encoding/binary"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// The clauses of Part 3, Command Processing.
var (
	headerValidation   = part3("5.2", "Command Header Validation")
	modeChecks         = part3("5.3", "Mode Checks")
	handleArea         = part3("5.4", "Handle Area Validation")
	sessionArea        = part3("5.5", "Session Area Validation")
	authorization      = part3("5.6", "Authorization Checks")
	parameterDecrypt   = part3("5.7", "Parameter Decryption")
	parameterUnmarshal = part3("5.8", "Parameter Unmarshaling")
	sessionAttributes  = part2("8.4", "TPMA_SESSION")
	authorizationRoles = part1("19.2", "Authorization Roles")
)

// rcBadTag is TPM_RC_BAD_TAG, which go-tpm lacks.
const rcBadTag = tpm2.TPMRC(0x1e)

// random is a command without handles that any session may go with.
func random() conform.Step { return do(tpm2.TPMCCGetRandom).With(u16(8)) }

func processingCases() []conform.Case {
	all := headerCases()
	all = append(all, sessionAreaCases()...)
	all = append(all, attributeCases()...)
	return append(all, authorizationCases()...)
}

func headerCases() []conform.Case {
	all := []conform.Case{
		ask(modeChecks, "Startup of a TPM that has been started up answers TPM_RC_INITIALIZE",
			do(tpm2.TPMCCStartup).With(u16(0)).Fails(tpm2.TPMRCInitialize)),
		ask(modeChecks, "Startup without parameters of a TPM that has been started up answers TPM_RC_INITIALIZE, before they are looked at",
			do(tpm2.TPMCCStartup).Fails(tpm2.TPMRCInitialize)),
		ask(modeChecks, "GetRandom before TPM2_Startup answers TPM_RC_INITIALIZE",
			conform.Reset(), random().Fails(tpm2.TPMRCInitialize)).Harming(conform.Resets).Needing(conform.Needs{Power: true}),
		ask(modeChecks, "GetCapability before TPM2_Startup answers TPM_RC_INITIALIZE",
			conform.Reset(), getCapability(6, 0x100, 1).Fails(tpm2.TPMRCInitialize)).Harming(conform.Resets).Needing(conform.Needs{Power: true}),
		ask(modeChecks, "A command that does not exist answers TPM_RC_COMMAND_CODE before TPM2_Startup too",
			conform.Reset(), do(0x11e).Fails(tpm2.TPMRCCommandCode)).Harming(conform.Resets).Needing(conform.Needs{Power: true}),
	}
	for _, tag := range []uint16{0x8000, 0x8003, 0x0000, 0x00c4, 0xffff} {
		all = append(all, ask(since(159, headerValidation), fmt.Sprintf("A command with the tag %#04x answers TPM_RC_BAD_TAG", tag),
			random().Edited(conform.Tagged(tag)).Fails(rcBadTag)))
	}
	for _, code := range []tpm2.TPMCC{0x11e, 0x123, 0x15a, 0x166, 0x175, 0x0, 0xffff, 0x10000144} {
		all = append(all, ask(headerValidation, fmt.Sprintf("The command code %#x, which no command has, answers TPM_RC_COMMAND_CODE", uint32(code)),
			do(code).Fails(tpm2.TPMRCCommandCode)))
	}
	return all
}

func sessionAreaCases() []conform.Case {
	hmac := conform.Start(wire.SessionHMAC)
	two := []conform.Step{hmac.Named("one"), hmac.Named("two")}
	audit := conform.In(handle("one"), wire.AttributeAudit)
	return []conform.Case{
		ask(sessionArea, "An authorization area of 8 octets answers TPM_RC_SIZE or TPM_RC_AUTHSIZE",
			random().By(conform.Password("")).Edited(authSize(8)).Fails(tpm2.TPMRCSize, tpm2.TPMRCAuthSize)),
		ask(sessionArea, "An authorization area that ends after the command answers TPM_RC_SIZE or TPM_RC_AUTHSIZE",
			random().By(conform.Password("")).Edited(authSize(0xffff)).Fails(tpm2.TPMRCSize, tpm2.TPMRCAuthSize)),
		ask(sessionArea, "An authorization area of no octets answers TPM_RC_SIZE or TPM_RC_AUTHSIZE",
			random().Edited(emptyArea).Fails(tpm2.TPMRCSize, tpm2.TPMRCAuthSize)),
		ask(sessionArea, "Four sessions answer TPM_RC_SIZE for session 4",
			append(append([]conform.Step{}, two...), hmac.Named("three"),
				random().By(conform.In(handle("one"), wire.AttributeAudit), conform.In(handle("two"), wire.AttributeEncrypt), conform.In(handle("three"), 0), conform.Password("")).
					Fails(s(4, tpm2.TPMRCSize), tpm2.TPMRCAuthSize, s(2, tpm2.TPMRCSymmetric)))...),
		ask(sessionArea, "The same session twice answers TPM_RC_HANDLE for session 2",
			hmac.Named("one"), random().By(audit, conform.In(handle("one"), wire.AttributeAudit)).Fails(s(2, tpm2.TPMRCHandle))),
		ask(sessionArea, "A session that was flushed answers TPM_RC_REFERENCE_S0",
			hmac.Named("one"), conform.Flush("one"), random().By(conform.Auth{Session: handle("one"), Attributes: wire.AttributeAudit | 1}).Fails(tpm2.TPMRCReferenceS0)),
		ask(sessionArea, "A second session that was flushed answers TPM_RC_REFERENCE_S1",
			append(append([]conform.Step{}, two...), conform.Flush("two"),
				random().By(audit, conform.Auth{Session: handle("two"), Attributes: 1}).Fails(tpm2.TPMRCReferenceS1))...),
		ask(sessionArea, "A session handle that is of a permanent entity answers TPM_RC_VALUE for session 1",
			random().By(conform.Auth{Session: owner}).Fails(s(1, tpm2.TPMRCValue), s(1, tpm2.TPMRCHandle))),
		ask(sessionArea, "A session handle that is of an object answers TPM_RC_VALUE for session 1",
			random().By(conform.Auth{Session: handle("@hmac")}).Fails(s(1, tpm2.TPMRCValue), s(1, tpm2.TPMRCHandle))),
		ask(sessionArea, "A nonce of 65 octets answers TPM_RC_SIZE for session 1",
			hmac.Named("one"), random().By(conform.Auth{Session: handle("one"), Nonce: make([]byte, 65), Attributes: wire.AttributeAudit}).Fails(s(1, tpm2.TPMRCSize))),
		ask(sessionArea, "A password with a nonce answers TPM_RC_NONCE for session 1",
			do(tpm2.TPMCCMAC, handle("@hmac")).With(conform.Text("data"), noAlg).By(conform.Auth{Nonce: []byte("nonce")}).Fails(s(1, tpm2.TPMRCNonce))),
	}
}

// authSize replaces the size of the authorization area of a command without handles.
func authSize(n uint32) func([]byte) []byte {
	return func(command []byte) []byte {
		binary.BigEndian.PutUint32(command[conformance.HeaderSize:], n)
		return command
	}
}

// emptyArea inserts an authorization area without octets.
func emptyArea(command []byte) []byte {
	head := append([]byte{}, command[:conformance.HeaderSize]...)
	binary.BigEndian.PutUint16(head, conformance.Sessions)
	return conform.Resize(append(append(head, 0, 0, 0, 0), command[conformance.HeaderSize:]...))
}

func attributeCases() []conform.Case {
	hmac, cipher := conform.Start(wire.SessionHMAC), conform.StartCipher(wire.SessionHMAC)
	all := []conform.Case{
		ask(sessionArea, "A session without audit, decrypt and encrypt that authorizes nothing answers TPM_RC_ATTRIBUTES for session 1",
			hmac.Named("one"), random().By(conform.In(handle("one"), 0)).Fails(s(1, tpm2.TPMRCAttributes))),
		ask(sessionArea, "Two sessions that encrypt answer TPM_RC_ATTRIBUTES for session 2",
			cipher.Named("one"), cipher.Named("two"),
			random().By(conform.In(handle("one"), wire.AttributeEncrypt), conform.In(handle("two"), wire.AttributeEncrypt)).Fails(s(2, tpm2.TPMRCAttributes))),
		ask(sessionArea, "Two sessions that decrypt answer TPM_RC_ATTRIBUTES for session 2",
			cipher.Named("one"), cipher.Named("two"),
			do(tpm2.TPMCCStirRandom).With(conform.Text("data")).By(conform.In(handle("one"), wire.AttributeDecrypt), conform.In(handle("two"), wire.AttributeDecrypt)).Fails(s(2, tpm2.TPMRCAttributes))),
		ask(sessionArea, "Two sessions that audit answer TPM_RC_ATTRIBUTES for session 2",
			hmac.Named("one"), hmac.Named("two"),
			random().By(conform.In(handle("one"), wire.AttributeAudit), conform.In(handle("two"), wire.AttributeAudit)).Fails(s(2, tpm2.TPMRCAttributes))),
		ask(sessionArea, "A policy session that audits answers TPM_RC_ATTRIBUTES for session 1",
			policy, random().By(conform.In(session, wire.AttributeAudit)).Fails(s(1, tpm2.TPMRCAttributes))),
		ask(sessionArea, "A trial session that authorizes answers TPM_RC_ATTRIBUTES for session 1",
			conform.Start(wire.SessionTrial).Named("trial"),
			do(tpm2.TPMCCMAC, handle("@hmac")).With(conform.Text("data"), noAlg).By(conform.InPolicy(handle("trial"))).Fails(s(1, tpm2.TPMRCAttributes))),
		ask(sessionArea, "A session without a symmetric algorithm that encrypts answers TPM_RC_SYMMETRIC for session 1",
			hmac.Named("one"), random().By(conform.In(handle("one"), wire.AttributeEncrypt)).Fails(s(1, tpm2.TPMRCSymmetric))),
		ask(sessionArea, "A session without a symmetric algorithm that decrypts answers TPM_RC_SYMMETRIC for session 1",
			hmac.Named("one"), do(tpm2.TPMCCStirRandom).With(conform.Text("data")).By(conform.In(handle("one"), wire.AttributeDecrypt)).Fails(s(1, tpm2.TPMRCSymmetric))),
		ask(sessionAttributes, "A session that ends with the command is gone after it",
			hmac.Named("one"), random().By(conform.In(handle("one"), wire.AttributeAudit).Once()),
			random().By(conform.Auth{Session: handle("one"), Attributes: wire.AttributeAudit}).Fails(tpm2.TPMRCReferenceS0)),
		ask(sessionAttributes, "A session that ends with a command is there after the command has failed",
			hmac.Named("one"), do(tpm2.TPMCCHash).With(conform.Text("data"), noAlg, null).By(conform.In(handle("one"), wire.AttributeAudit).Once()).Fails(p(2, tpm2.TPMRCHash)),
			random().By(conform.In(handle("one"), wire.AttributeAudit))),
		ask(sessionAttributes, "A session that goes on has another nonce after each command",
			hmac.Named("one"), random().By(conform.In(handle("one"), wire.AttributeAudit)), random().By(conform.In(handle("one"), wire.AttributeAudit))),
		ask(sessionAttributes, "auditExclusive in the first use of an audit session is allowed, and the session is exclusive",
			hmac.Named("one"), random().By(conform.In(handle("one"), wire.AttributeAudit|wire.AttributeAuditExclusive)).Checked(sessionHas(wire.AttributeAuditExclusive, true))),
		ask(sessionAttributes, "auditExclusive after a command without the session answers TPM_RC_EXCLUSIVE for session 1",
			hmac.Named("one"), random().By(conform.In(handle("one"), wire.AttributeAudit)), random(),
			random().By(conform.In(handle("one"), wire.AttributeAudit|wire.AttributeAuditExclusive)).Fails(s(1, tpm2.TPMRCExclusive), tpm2.TPMRCExclusive)),
		ask(sessionAttributes, "An audit session is not exclusive after another command",
			hmac.Named("one"), random().By(conform.In(handle("one"), wire.AttributeAudit)), random(),
			random().By(conform.In(handle("one"), wire.AttributeAudit)).Checked(sessionHas(wire.AttributeAuditExclusive, false))),
		ask(sessionAttributes, "auditReset makes an audit session exclusive again",
			hmac.Named("one"), random().By(conform.In(handle("one"), wire.AttributeAudit)), random(),
			random().By(conform.In(handle("one"), wire.AttributeAudit|wire.AttributeAuditReset)).Checked(sessionHas(wire.AttributeAuditExclusive, true))),
	}
	for bit := 3; bit <= 4; bit++ {
		all = append(all, ask(sessionAttributes, fmt.Sprintf("The reserved bit %d of the attributes answers TPM_RC_RESERVED_BITS for session 1", bit),
			hmac.Named("one"), random().By(conform.In(handle("one"), wire.AttributeAudit|1<<bit)).Fails(s(1, tpm2.TPMRCReservedBits))))
	}
	for _, a := range []struct {
		bit  byte
		name string
	}{{wire.AttributeAudit, "audit"}, {wire.AttributeDecrypt, "decrypt"}, {wire.AttributeEncrypt, "encrypt"}, {wire.AttributeAuditExclusive, "auditExclusive"}, {wire.AttributeAuditReset, "auditReset"}} {
		all = append(all, ask(sessionAttributes, "A password with "+a.name+" answers TPM_RC_ATTRIBUTES for session 1",
			do(tpm2.TPMCCMAC, handle("@hmac")).With(conform.Text("data"), noAlg).By(conform.Auth{Attributes: a.bit}).Fails(s(1, tpm2.TPMRCAttributes))))
	}
	return all
}

// sessionHas checks an attribute of the first session in the answer.
func sessionHas(attribute byte, set bool) conform.Check {
	return conform.Check{Says: fmt.Sprintf("the attribute %#x of the session is as expected", attribute), Test: func(a *conform.Answer) error {
		if len(a.Sessions) == 0 || a.Sessions[0].Attributes&attribute != 0 != set {
			return fmt.Errorf("the sessions are %+v", a.Sessions)
		}
		return nil
	}}
}

func authorizationCases() []conform.Case {
	hmacKey := func(auths ...conform.Auth) conform.Step {
		return do(tpm2.TPMCCMAC, handle("@secret")).With(conform.Text("data"), noAlg).By(auths...)
	}
	hmac := conform.Start(wire.SessionHMAC).Named("session")
	bySession := conform.In(handle("session"), 0)
	return []conform.Case{
		ask(authorization, "The right password authorizes", hmacKey(conform.Password("secret"))),
		ask(authorization, "A password with zeros at its end authorizes as without them", hmacKey(conform.Password("secret\x00\x00"))),
		ask(authorization, "A password that is longer than the authorization value answers TPM_RC_BAD_AUTH for session 1",
			hmacKey(conform.Password("secrets")).Fails(s(1, tpm2.TPMRCBadAuth))),
		ask(authorization, "A password that is shorter than the authorization value answers TPM_RC_BAD_AUTH for session 1",
			hmacKey(conform.Password("secre")).Fails(s(1, tpm2.TPMRCBadAuth))),
		ask(authorization, "An empty password for an entity with an authorization value answers TPM_RC_BAD_AUTH for session 1",
			hmacKey(conform.Password("")).Fails(s(1, tpm2.TPMRCBadAuth))),
		ask(authorization, "An HMAC over the command authorizes, with another nonce each time", hmac, hmacKey(bySession), hmacKey(bySession), hmacKey(bySession)),
		ask(authorization, "An HMAC of zeros answers TPM_RC_BAD_AUTH for session 1",
			hmac, hmacKey(conform.Auth{Session: handle("session"), Nonce: make([]byte, 16), Attributes: 1, Password: make([]byte, 32)}).Fails(s(1, tpm2.TPMRCBadAuth))),
		ask(authorization, "A session without HMAC for an entity with an authorization value answers TPM_RC_BAD_AUTH for session 1",
			hmac, hmacKey(conform.Auth{Session: handle("session"), Nonce: make([]byte, 16), Attributes: 1}).Fails(s(1, tpm2.TPMRCBadAuth))),
		ask(authorization, "A session without HMAC for an entity with an empty authorization value authorizes",
			hmac, do(tpm2.TPMCCMAC, handle("@hmac")).With(conform.Text("data"), noAlg).By(conform.Auth{Session: handle("session"), Nonce: make([]byte, 16), Attributes: 1})),
		ask(authorization, "A session is there after a wrong HMAC, with the same nonce",
			hmac, hmacKey(bySession.Knowing("wrong")).Fails(s(1, tpm2.TPMRCBadAuth)), hmacKey(bySession)),
		ask(authorization, "The HMAC of a session with SHA-384 authorizes",
			hashSession(tpm2.TPMAlgSHA384).Named("session"), hmacKey(bySession)).Needing(conform.Needs{Algs: []tpm2.TPMAlgID{tpm2.TPMAlgSHA384}}),
		ask(authorization, "The HMAC of a session with SHA-1 authorizes",
			hashSession(tpm2.TPMAlgSHA1).Named("session"), hmacKey(bySession)).Needing(conform.Needs{Algs: []tpm2.TPMAlgID{tpm2.TPMAlgSHA1}}),
		ask(authorization, "The HMAC of a session with SHA-512 authorizes",
			hashSession(tpm2.TPMAlgSHA512).Named("session"), hmacKey(bySession)).Needing(conform.Needs{Algs: []tpm2.TPMAlgID{tpm2.TPMAlgSHA512}}),
		ask(authorization, "A policy session for an object without a policy answers TPM_RC_AUTH_UNAVAILABLE or TPM_RC_POLICY_FAIL",
			policy, hmacKey(conform.InPolicy(session)).Fails(tpm2.TPMRCAuthUnavailable, s(1, tpm2.TPMRCPolicyFail))),
		ask(authorizationRoles, "A password for an object without userWithAuth answers TPM_RC_AUTH_UNAVAILABLE",
			external("hmac", wire.ObjectNoDA|wire.ObjectSign, hmacSHA256, "").Named("key"),
			do(tpm2.TPMCCMAC, handle("key")).With(conform.Text("data"), noAlg).Fails(tpm2.TPMRCAuthUnavailable)),
		ask(authorizationRoles, "A password for the ADMIN role of an object with adminWithPolicy answers TPM_RC_AUTH_TYPE or TPM_RC_AUTH_UNAVAILABLE",
			external("hmac", outside|wire.ObjectAdminWithPolicy|wire.ObjectSign, hmacSHA256, "").Named("key"),
			do(tpm2.TPMCCCertify, handle("key"), null).With(empty, noScheme).Fails(tpm2.TPMRCAuthUnavailable, tpm2.TPMRCAuthType)),
		ask(authorizationRoles, "A password for the DUP role answers TPM_RC_AUTH_TYPE",
			do(tpm2.TPMCCDuplicate, handle("@ecc"), null).With(empty, noAlg).Fails(tpm2.TPMRCAuthType)),
		ask(authorizationRoles, "A password for an NV index that only the owner may read answers TPM_RC_AUTH_UNAVAILABLE or TPM_RC_NV_AUTHORIZATION",
			define(0, wire.NVOwnerWrite|wire.NVOwnerRead|wire.NVNoDA, 8), nvWriteStep(owner, 0, "12345678", 0),
			nvReadStep(index(0), 0, 8, 0).Fails(tpm2.TPMRCAuthUnavailable, tpm2.TPMRCNVAuthorization)),
		ask(authorizationRoles, "The owner may not read an NV index without TPMA_NV_OWNERREAD: TPM_RC_NV_AUTHORIZATION",
			define(0, wire.NVOwnerWrite|wire.NVAuthRead|wire.NVNoDA, 8), nvWriteStep(owner, 0, "12345678", 0),
			nvReadStep(owner, 0, 8, 0).Fails(tpm2.TPMRCNVAuthorization)),
		ask(parameterDecrypt, "A first parameter that a session encrypts with AES is decrypted",
			conform.StartCipher(wire.SessionHMAC).Named("cipher"),
			do(tpm2.TPMCCHash).With(conform.Text("data"), alg(tpm2.TPMAlgSHA256), null).Named("plain"),
			do(tpm2.TPMCCHash).With(conform.Text("data"), alg(tpm2.TPMAlgSHA256), null).By(conform.In(handle("cipher"), wire.AttributeDecrypt)).Checked(sameAs("plain", 1))),
		ask(parameterDecrypt, "A first parameter that a session encrypts by XOR is decrypted",
			sessionXOR().Named("cipher"),
			do(tpm2.TPMCCHash).With(conform.Text("data"), alg(tpm2.TPMAlgSHA256), null).Named("plain"),
			do(tpm2.TPMCCHash).With(conform.Text("data"), alg(tpm2.TPMAlgSHA256), null).By(conform.In(handle("cipher"), wire.AttributeDecrypt)).Checked(sameAs("plain", 1))).
			Needing(conform.Needs{Algs: []tpm2.TPMAlgID{tpm2.TPMAlgXOR}}),
		ask(parameterDecrypt, "A first response parameter is encrypted with a key that has the authorization value in it",
			conform.StartCipher(wire.SessionHMAC).Named("cipher"), hmacKey(conform.Own()).Named("plain"),
			hmacKey(conform.In(handle("cipher"), wire.AttributeEncrypt)).Checked(sameAs("plain", 1))),
		ask(parameterDecrypt, "A session besides that of the authorization encrypts the response",
			hmac, conform.StartCipher(wire.SessionHMAC).Named("cipher"), hmacKey(conform.Own()).Named("plain"),
			hmacKey(bySession, conform.In(handle("cipher"), wire.AttributeEncrypt)).Checked(sameAs("plain", 1))),
		ask(parameterDecrypt, "One session decrypts and another one encrypts",
			hmac, conform.StartCipher(wire.SessionHMAC).Named("in"), conform.StartCipher(wire.SessionHMAC).Named("out"), hmacKey(conform.Own()).Named("plain"),
			hmacKey(bySession, conform.In(handle("in"), wire.AttributeDecrypt), conform.In(handle("out"), wire.AttributeEncrypt)).Checked(sameAs("plain", 1))),
		ask(parameterUnmarshal, "Parameters are looked at after the authorization: a wrong password comes before a missing parameter",
			do(tpm2.TPMCCMAC, handle("@secret")).By(conform.Password("wrong")).Fails(s(1, tpm2.TPMRCBadAuth))),
		ask(handleArea, "Handles are looked at before sessions: a handle of a wrong kind comes before a missing authorization",
			do(tpm2.TPMCCMAC, pcr16).With(conform.Text("data"), noAlg).By().Fails(h(1, tpm2.TPMRCValue))),
	}
}

// hashSession starts an HMAC session with a hash algorithm.
func hashSession(hash tpm2.TPMAlgID) conform.Step {
	return do(tpm2.TPMCCStartAuthSession, null, null).With(zeros(16), empty, u8(wire.SessionHMAC), noAlg, alg(hash))
}

// sessionXOR starts an HMAC session that encrypts by XOR.
func sessionXOR() conform.Step {
	return do(tpm2.TPMCCStartAuthSession, null, null).With(zeros(16), empty, u8(wire.SessionHMAC), join{alg(tpm2.TPMAlgXOR), alg(tpm2.TPMAlgSHA256)}, alg(tpm2.TPMAlgSHA256))
}

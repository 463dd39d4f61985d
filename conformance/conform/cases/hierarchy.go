package cases

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

var (
	createPrimarySection = part3("24.1", "TPM2_CreatePrimary")
	hierarchyControl     = part3("24.2", "TPM2_HierarchyControl")
	setPrimaryPolicy     = part3("24.3", "TPM2_SetPrimaryPolicy")
	changePPS            = part3("24.4", "TPM2_ChangePPS")
	changeEPS            = part3("24.5", "TPM2_ChangeEPS")
	clearSection         = part3("24.6", "TPM2_Clear")
	clearControl         = part3("24.7", "TPM2_ClearControl")
	changeAuth           = part3("24.8", "TPM2_HierarchyChangeAuth")
	dictionaryAttack     = part1("19.8", "Dictionary Attack Protection")
	lockReset            = part3("25.2", "TPM2_DictionaryAttackLockReset")
	attackParameters     = part3("25.3", "TPM2_DictionaryAttackParameters")
)

// templateWith is an ECC template whose parts can be wrong.
func templateWith(kind, nameAlg tpm2.TPMAlgID, attributes uint32, policy, details conform.Part) sized {
	return sized{alg(kind), alg(nameAlg), u32(attributes), policy, details, empty, empty}
}

func primary(template conform.Part) conform.Step { return createPrimary(null, "", template) }

func createPrimaryCases() []conform.Case {
	srk := eccPublic(storage, eccStorage)
	all := []conform.Case{
		ask(createPrimarySection, "CreatePrimary twice with the same template gives the same key", primary(srk).Named("key"), primary(srk).Checked(sameAs("key", 1))),
		ask(createPrimarySection, "CreatePrimary with another unique field gives another key", primary(srk).Named("key"),
			primary(public(tpm2.TPMAlgECC, storage, empty, eccStorage, join{zeros(32), empty})).Checked(otherThan("key", 1))),
		ask(createPrimarySection, "CreatePrimary in the owner hierarchy gives another key than in the null hierarchy", primary(srk).Named("key"),
			createPrimary(owner, "", srk).Checked(otherThan("key", 1))),
		ask(createPrimarySection, "CreatePrimary in the endorsement hierarchy gives a key", createPrimary(endorsement, "", srk)),
		ask(createPrimarySection, "CreatePrimary in the platform hierarchy gives a key", createPrimary(platform, "", srk)),
		ask(createPrimarySection, "CreatePrimary of a keyed hash with data gives an object that can be unsealed",
			do(tpm2.TPMCCCreatePrimary, null).With(sensitive("", "data"), public(tpm2.TPMAlgKeyedHash, sealing, empty, noAlg, empty), empty, noPCRs).Named("sealed"),
			do(tpm2.TPMCCUnseal, handle("sealed")).Checked(reads("data"))),
		ask(createPrimarySection, "CreatePrimary puts outsideInfo and the PCR selection into the creation data",
			do(tpm2.TPMCCCreatePrimary, null).With(sensitive("", ""), srk, conform.Text("outside"), allPCR16)).Needing(conform.Needs{Banks: []tpm2.TPMAlgID{tpm2.TPMAlgSHA256}}),
		ask(createPrimarySection, "CreatePrimary with an authorization value gives a key that it authorizes",
			createPrimary(null, "secret", eccPublic(signing, ecdsaSHA256)).Named("key"),
			do(tpm2.TPMCCSign, handle("key")).With(zeros(32), noScheme, noTicket(tpm2.TPMSTHashCheck)),
			do(tpm2.TPMCCSign, handle("key")).With(zeros(32), noScheme, noTicket(tpm2.TPMSTHashCheck)).By(conform.Password("other")).Fails(s(1, tpm2.TPMRCBadAuth))),
		ask(createPrimarySection, "CreatePrimary with an empty inSensitive answers TPM_RC_SIZE for parameter 1",
			do(tpm2.TPMCCCreatePrimary, null).With(empty, srk, empty, noPCRs).Fails(p(1, tpm2.TPMRCSize))),
		ask(createPrimarySection, "CreatePrimary of a type that does not exist answers TPM_RC_TYPE for parameter 2",
			primary(templateWith(tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA256, storage, empty, eccStorage)).Fails(p(2, tpm2.TPMRCType))),
		ask(createPrimarySection, "CreatePrimary with a nameAlg that is no hash answers TPM_RC_HASH for parameter 2",
			primary(templateWith(tpm2.TPMAlgECC, tpm2.TPMAlgAES, storage, empty, eccStorage)).Fails(p(2, tpm2.TPMRCHash))),
		ask(createPrimarySection, "CreatePrimary with a policy that is not of the size of nameAlg answers TPM_RC_SIZE for parameter 2",
			primary(templateWith(tpm2.TPMAlgECC, tpm2.TPMAlgSHA256, storage, zeros(20), eccStorage)).Fails(p(2, tpm2.TPMRCSize), tpm2.TPMRCSize)),
		ask(createPrimarySection, "CreatePrimary with fixedTPM and without fixedParent answers TPM_RC_ATTRIBUTES for parameter 2",
			primary(eccPublic(storage&^wire.ObjectFixedParent, eccStorage)).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(createPrimarySection, "CreatePrimary of a key that is restricted and both signs and decrypts answers TPM_RC_ATTRIBUTES for parameter 2",
			primary(eccPublic(storage|wire.ObjectSign, eccStorage)).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(createPrimarySection, "CreatePrimary of a parent with encryptedDuplication and fixedParent answers TPM_RC_ATTRIBUTES for parameter 2",
			primary(eccPublic(storage|wire.ObjectEncrypted, eccStorage)).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(createPrimarySection, "CreatePrimary of an asymmetric key without sensitiveDataOrigin answers TPM_RC_ATTRIBUTES for parameter 2",
			primary(eccPublic(storage&^wire.ObjectOrigin, eccStorage)).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(createPrimarySection, "CreatePrimary of a sealed object without data answers TPM_RC_ATTRIBUTES for parameter 2",
			primary(public(tpm2.TPMAlgKeyedHash, sealing|wire.ObjectOrigin, empty, noAlg, empty)).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(createPrimarySection, "CreatePrimary of a parent without a symmetric algorithm answers TPM_RC_SYMMETRIC for parameter 2",
			primary(eccPublic(storage, eccAny)).Fails(p(2, tpm2.TPMRCSymmetric), tpm2.TPMRCSymmetric)),
		ask(createPrimarySection, "CreatePrimary of a restricted signing key without a scheme answers TPM_RC_SCHEME for parameter 2",
			primary(eccPublic(signing|wire.ObjectRestricted, eccAny)).Fails(p(2, tpm2.TPMRCScheme), tpm2.TPMRCScheme)),
		ask(createPrimarySection, "CreatePrimary of a parent with a signing scheme answers TPM_RC_SCHEME for parameter 2",
			primary(eccPublic(storage, join{aes128CFB, alg(tpm2.TPMAlgECDSA), alg(tpm2.TPMAlgSHA256), conform.U16(tpm2.TPMECCNistP256), noAlg})).Fails(p(2, tpm2.TPMRCScheme), tpm2.TPMRCScheme)),
		ask(createPrimarySection, "CreatePrimary on a curve that does not exist answers TPM_RC_CURVE for parameter 2",
			primary(eccPublic(storage, join{aes128CFB, noAlg, u16(0x7f), noAlg})).Fails(p(2, tpm2.TPMRCCurve))),
		ask(createPrimarySection, "CreatePrimary of a keyed hash of TPM_ALG_HMAC with TPM_ALG_NULL as its hash answers TPM_RC_HASH for parameter 2",
			primary(public(tpm2.TPMAlgKeyedHash, signing, empty, join{alg(tpm2.TPMAlgHMAC), noAlg}, empty)).Fails(p(2, tpm2.TPMRCHash))),
		ask(createPrimarySection, "CreatePrimary of an RSA key of 1000 bits answers TPM_RC_VALUE for parameter 2",
			primary(public(tpm2.TPMAlgRSA, signing, empty, join{noAlg, noAlg, u16(1000), u32(0)}, empty)).Fails(p(2, tpm2.TPMRCValue))).Needing(conform.Needs{Algs: []tpm2.TPMAlgID{tpm2.TPMAlgRSA}}),
		ask(createPrimarySection, "CreatePrimary with a unique field that is too long for the key answers TPM_RC_SIZE for parameter 2",
			primary(public(tpm2.TPMAlgECC, storage, empty, eccStorage, join{zeros(200), empty})).Fails(p(2, tpm2.TPMRCSize))),
		ask(createPrimarySection, "CreatePrimary with octets after its template's fields answers TPM_RC_SIZE for parameter 2",
			primary(append(append(sized{}, srk...), u8(0))).Fails(p(2, tpm2.TPMRCSize))),
		ask(createPrimarySection, "CreatePrimary with an authorization value that is longer than nameAlg's digest answers TPM_RC_SIZE for parameter 1",
			do(tpm2.TPMCCCreatePrimary, null).With(sensitive("a value of more than thirty-two octets", ""), srk, empty, noPCRs).Fails(p(1, tpm2.TPMRCSize))),
		ask(createPrimarySection, "CreatePrimary with a PCR selection of five octets answers TPM_RC_VALUE or TPM_RC_SIZE for parameter 4",
			do(tpm2.TPMCCCreatePrimary, null).With(sensitive("", ""), srk, empty, join{u32(1), alg(tpm2.TPMAlgSHA256), raw{5, 0, 0, 0, 0, 0}}).Fails(p(4, tpm2.TPMRCValue), p(4, tpm2.TPMRCSize))),
		ask(createPrimarySection, "CreatePrimary with a PCR selection of something that is no hash answers TPM_RC_HASH for parameter 4",
			do(tpm2.TPMCCCreatePrimary, null).With(sensitive("", ""), srk, empty, join{u32(1), alg(tpm2.TPMAlgAES), raw{3, 0, 0, 0}}).Fails(p(4, tpm2.TPMRCHash))),
		ask(createPrimarySection, "CreatePrimary can be decrypted and encrypted by a session",
			conform.StartCipher(wire.SessionHMAC).Named("session"), primary(srk).By(conform.In(handle("session"), wire.AttributeDecrypt|wire.AttributeEncrypt))),
	}
	for _, bit := range []int{0, 3, 12, 13, 14, 15, 20, 24, 31} {
		all = append(all, ask(part2("8.3", "TPMA_OBJECT"), fmt.Sprintf("CreatePrimary with the reserved attribute bit %d SET answers TPM_RC_RESERVED_BITS for parameter 2", bit),
			primary(eccPublic(storage|1<<bit, eccStorage)).Fails(p(2, tpm2.TPMRCReservedBits))))
	}
	return all
}

func hierarchyChangeAuth(h conform.Part, value string) conform.Step {
	return do(tpm2.TPMCCHierarchyChanegAuth, h).With(conform.Text(value)).Giving(value)
}

// control enables or disables a hierarchy.
func control(by, hierarchy conform.Part, enable byte) conform.Step {
	return do(tpm2.TPMCCHierarchyControl, by).With(hierarchy, u8(enable))
}

func hierarchyCases() []conform.Case {
	const changes, clears = conform.ChangesHierarchy, conform.Clears
	srk := eccPublic(storage, eccStorage)
	all := []conform.Case{
		ask(changeAuth, "HierarchyChangeAuth of the owner changes its authorization value",
			hierarchyChangeAuth(owner, "new"), createPrimary(owner, "", srk).By(conform.Password("")).Fails(s(1, tpm2.TPMRCBadAuth)), createPrimary(owner, "", srk),
			hierarchyChangeAuth(owner, "")).Harming(changes).Then(hierarchyChangeAuth(owner, "").By(conform.Password("new"))),
		ask(changeAuth, "HierarchyChangeAuth by an HMAC session answers with an HMAC by the new value",
			conform.Start(wire.SessionHMAC).Named("session"), hierarchyChangeAuth(owner, "new").By(conform.In(handle("session"), 0)),
			hierarchyChangeAuth(owner, "").By(conform.In(handle("session"), 0))).Harming(changes).Then(hierarchyChangeAuth(owner, "").By(conform.Password("new"))),
		ask(changeAuth, "HierarchyChangeAuth drops zeros at the end of the value",
			hierarchyChangeAuth(owner, "new\x00"), createPrimary(owner, "", srk).By(conform.Password("new"))).Harming(changes).Then(hierarchyChangeAuth(owner, "").By(conform.Password("new"))),
		ask(changeAuth, "HierarchyChangeAuth of the null hierarchy answers TPM_RC_VALUE for handle 1",
			do(tpm2.TPMCCHierarchyChanegAuth, null).With(empty).Fails(h(1, tpm2.TPMRCValue))),
		ask(changeAuth, "HierarchyChangeAuth with a value that is longer than the digest of the context integrity hash answers TPM_RC_SIZE for parameter 1",
			do(tpm2.TPMCCHierarchyChanegAuth, owner).With(zeros(65)).Fails(p(1, tpm2.TPMRCSize))).Harming(changes),
		ask(hierarchyControl, "HierarchyControl disables the owner hierarchy: CreatePrimary answers TPM_RC_HIERARCHY for handle 1",
			control(owner, owner, 0), createPrimary(owner, "", srk).Fails(h(1, tpm2.TPMRCHierarchy)), control(platform, owner, 1), createPrimary(owner, "", srk)).
			Harming(changes).Then(control(platform, owner, 1)),
		ask(hierarchyControl, "HierarchyControl disables the endorsement hierarchy: CreatePrimary answers TPM_RC_HIERARCHY for handle 1",
			control(endorsement, endorsement, 0), createPrimary(endorsement, "", srk).Fails(h(1, tpm2.TPMRCHierarchy))).
			Harming(changes).Then(control(platform, endorsement, 1)),
		ask(hierarchyControl, "HierarchyControl of the owner flushes its objects",
			createPrimary(owner, "", srk).Named("key"), control(owner, owner, 0), do(tpm2.TPMCCReadPublic, handle("key")).Fails(tpm2.TPMRCReferenceH0)).
			Harming(changes).Then(control(platform, owner, 1)),
		ask(hierarchyControl, "HierarchyControl of the owner hides its NV indices",
			define(0, ordinary, 8), control(owner, owner, 0), do(tpm2.TPMCCNVReadPublic, index(0)).Fails(h(1, tpm2.TPMRCHandle)), control(platform, owner, 1), do(tpm2.TPMCCNVReadPublic, index(0))).
			Harming(changes).Then(control(platform, owner, 1)),
		ask(hierarchyControl, "HierarchyControl by the owner of the endorsement hierarchy answers TPM_RC_AUTH_TYPE",
			control(owner, endorsement, 0).Fails(tpm2.TPMRCAuthType)).Harming(changes).Then(control(platform, endorsement, 1)),
		ask(hierarchyControl, "HierarchyControl of the null hierarchy answers TPM_RC_VALUE for parameter 1",
			control(platform, null, 0).Fails(p(1, tpm2.TPMRCValue))).Harming(changes),
		ask(hierarchyControl, "HierarchyControl with a state of 2 answers TPM_RC_VALUE for parameter 2",
			control(platform, owner, 2).Fails(p(2, tpm2.TPMRCValue))).Harming(changes),
		ask(setPrimaryPolicy, "SetPrimaryPolicy with a policy that is not of the size of the hash answers TPM_RC_SIZE for parameter 1",
			do(tpm2.TPMCCSetPrimaryPolicy, owner).With(zeros(20), alg(tpm2.TPMAlgSHA256)).Fails(p(1, tpm2.TPMRCSize))).Harming(changes),
		ask(setPrimaryPolicy, "SetPrimaryPolicy with a policy and no hash answers TPM_RC_SIZE for parameter 1",
			do(tpm2.TPMCCSetPrimaryPolicy, owner).With(zeros(32), noAlg).Fails(p(1, tpm2.TPMRCSize))).Harming(changes),
		ask(setPrimaryPolicy, "SetPrimaryPolicy with a hash that is none answers TPM_RC_HASH for parameter 2",
			do(tpm2.TPMCCSetPrimaryPolicy, owner).With(zeros(32), alg(tpm2.TPMAlgAES)).Fails(p(2, tpm2.TPMRCHash))).Harming(changes),
		ask(setPrimaryPolicy, "SetPrimaryPolicy of the owner gives it a policy that authorizes",
			append(byPolicy(tpm2.TPMCCCreatePrimary),
				do(tpm2.TPMCCSetPrimaryPolicy, owner).With(conform.Policy{Of: handle("digest")}, alg(tpm2.TPMAlgSHA256)),
				createPrimary(owner, "", srk).By(adminSession()))...).Harming(changes).Then(do(tpm2.TPMCCSetPrimaryPolicy, owner).With(empty, noAlg)),
		ask(setPrimaryPolicy, "A policy session for a hierarchy without a policy answers TPM_RC_AUTH_UNAVAILABLE or TPM_RC_POLICY_FAIL",
			policy, createPrimary(owner, "", srk).By(conform.InPolicy(session)).Fails(tpm2.TPMRCAuthUnavailable, s(1, tpm2.TPMRCPolicyFail))),
		ask(changePPS, "ChangePPS changes the keys of the platform hierarchy",
			createPrimary(platform, "", srk).Named("key"), do(tpm2.TPMCCChangePPS, platform), createPrimary(platform, "", srk).Checked(otherThan("key", 1))).Harming(changes | clears),
		ask(changePPS, "ChangePPS flushes the objects of the platform hierarchy",
			createPrimary(platform, "", srk).Named("key"), do(tpm2.TPMCCChangePPS, platform), do(tpm2.TPMCCReadPublic, handle("key")).Fails(tpm2.TPMRCReferenceH0)).Harming(changes | clears),
		ask(changePPS, "ChangePPS by the owner answers TPM_RC_VALUE for handle 1", do(tpm2.TPMCCChangePPS, owner).Fails(h(1, tpm2.TPMRCValue))).Harming(changes | clears),
		ask(changeEPS, "ChangeEPS changes the keys of the endorsement hierarchy",
			createPrimary(endorsement, "", srk).Named("key"), do(tpm2.TPMCCChangeEPS, platform), createPrimary(endorsement, "", srk).Checked(otherThan("key", 1))).Harming(changes | clears),
		ask(changeEPS, "ChangeEPS leaves the owner hierarchy alone",
			createPrimary(owner, "", srk).Named("key"), do(tpm2.TPMCCChangeEPS, platform), createPrimary(owner, "", srk).Checked(sameAs("key", 1))).Harming(changes | clears),
		ask(clearSection, "Clear by the platform changes the keys of the owner hierarchy",
			createPrimary(owner, "", srk).Named("key"), do(tpm2.TPMCCClear, platform), createPrimary(owner, "", srk).Checked(otherThan("key", 1))).Harming(clears),
		ask(clearSection, "Clear by lockout changes the keys of the owner hierarchy",
			createPrimary(owner, "", srk).Named("key"), do(tpm2.TPMCCClear, lockout), createPrimary(owner, "", srk).Checked(otherThan("key", 1))).Harming(clears),
		ask(clearSection, "Clear flushes the objects of the owner",
			createPrimary(owner, "", srk).Named("key"), do(tpm2.TPMCCClear, platform), do(tpm2.TPMCCReadPublic, handle("key")).Fails(tpm2.TPMRCReferenceH0)).Harming(clears),
		ask(clearSection, "Clear takes the persistent objects of the owner away",
			createPrimary(owner, "", srk).Named("key"), do(tpm2.TPMCCEvictControl, owner, handle("key")).With(persistent(0)), do(tpm2.TPMCCClear, platform),
			do(tpm2.TPMCCReadPublic, persistent(0)).Fails(h(1, tpm2.TPMRCHandle))).Harming(clears),
		ask(clearSection, "Clear takes the NV indices of the owner away",
			define(0, ordinary, 8), do(tpm2.TPMCCClear, platform), do(tpm2.TPMCCNVReadPublic, index(0)).Fails(h(1, tpm2.TPMRCHandle))).Harming(clears),
		ask(clearSection, "Clear leaves the NV indices of the platform alone",
			conform.Define(tpm2.TPMRHPlatform, 0, byPlatform, 8), do(tpm2.TPMCCClear, platform), do(tpm2.TPMCCNVReadPublic, index(0))).Harming(clears),
		ask(clearSection, "Clear empties the authorization value of the owner",
			hierarchyChangeAuth(owner, "new"), do(tpm2.TPMCCClear, platform), createPrimary(owner, "", srk).By(conform.Password(""))).Harming(clears|changes).
			Then(hierarchyChangeAuth(owner, "").By(conform.Password("new")), hierarchyChangeAuth(owner, "").By(conform.Password(""))),
		ask(clearSection, "Clear by the owner answers TPM_RC_VALUE for handle 1", do(tpm2.TPMCCClear, owner).Fails(h(1, tpm2.TPMRCValue))).Harming(clears),
		ask(clearControl, "ClearControl lets TPM2_Clear answer TPM_RC_DISABLED",
			do(tpm2.TPMCCClearControl, platform).With(u8(1)), do(tpm2.TPMCCClear, platform).Fails(tpm2.TPMRCDisabled)).
			Harming(clears | changes).Then(do(tpm2.TPMCCClearControl, platform).With(u8(0))),
		ask(clearControl, "ClearControl by lockout to enable TPM2_Clear answers TPM_RC_AUTH_FAIL",
			do(tpm2.TPMCCClearControl, lockout).With(u8(1)), do(tpm2.TPMCCClearControl, lockout).With(u8(0)).Fails(tpm2.TPMRCAuthFail, s(1, tpm2.TPMRCAuthFail))).
			Harming(changes).Then(do(tpm2.TPMCCClearControl, platform).With(u8(0))),
		ask(clearControl, "ClearControl with a value of 2 answers TPM_RC_VALUE for parameter 1", do(tpm2.TPMCCClearControl, platform).With(u8(2)).Fails(p(1, tpm2.TPMRCValue))).Harming(changes),
	}
	return append(all, attackCases()...)
}

// attackCases are about dictionary attacks. They count tries, and put the count back.
func attackCases() []conform.Case {
	protected := external("hmac", wire.ObjectUserWithAuth|wire.ObjectSign, hmacSHA256, "secret").Named("key")
	use := do(tpm2.TPMCCMAC, handle("key")).With(conform.Text("data"), noAlg)
	wrong := use.By(conform.Password("wrong")).Fails(s(1, tpm2.TPMRCAuthFail), tpm2.TPMRCRetry)
	setTries := func(tries, recovery, lockoutRecovery uint32) conform.Step {
		return do(tpm2.TPMCCDictionaryAttackParameters, lockout).With(u32(tries), u32(recovery), u32(lockoutRecovery))
	}
	reset := do(tpm2.TPMCCDictionaryAttackLockReset, lockout)
	harming := func(s conform.Section, name string, steps ...conform.Step) conform.Case {
		return ask(s, name, append([]conform.Step{reset, setTries(3, 1000, 1000), protected}, steps...)...).Harming(conform.LocksOut).Then(reset)
	}
	return []conform.Case{
		harming(dictionaryAttack, "A wrong password for an object with protection answers TPM_RC_AUTH_FAIL for session 1", wrong),
		harming(dictionaryAttack, "A wrong password for an object with protection counts as a failed try", wrong, getCapability(6, 0x20e, 1).Checked(propertyIs(1))),
		harming(dictionaryAttack, "A right password does not change the count of failed tries", wrong, use, getCapability(6, 0x20e, 1).Checked(propertyIs(1))),
		harming(dictionaryAttack, "As many failed tries as allowed lock out: TPM_RC_LOCKOUT to the right password", wrong, wrong, wrong, use.Fails(tpm2.TPMRCLockout)),
		harming(dictionaryAttack, "A TPM in lockout lets objects without protection be used", wrong, wrong, wrong, do(tpm2.TPMCCMAC, handle("@hmac")).With(conform.Text("data"), noAlg)),
		harming(dictionaryAttack, "A TPM in lockout has inLockout SET", wrong, wrong, wrong, getCapability(6, 0x200, 1).Checked(propertyHas(1<<9))),
		harming(dictionaryAttack, "A TPM in lockout lets hierarchies be used", wrong, wrong, wrong, createPrimary(null, "", eccPublic(storage, eccStorage))),
		harming(lockReset, "DictionaryAttackLockReset ends a lockout", wrong, wrong, wrong, reset, use),
		harming(lockReset, "DictionaryAttackLockReset sets the count of failed tries to 0", wrong, reset, getCapability(6, 0x20e, 1).Checked(propertyIs(0))),
		harming(lockReset, "DictionaryAttackLockReset by the owner answers TPM_RC_VALUE for handle 1", do(tpm2.TPMCCDictionaryAttackLockReset, owner).Fails(h(1, tpm2.TPMRCValue))),
		harming(attackParameters, "DictionaryAttackParameters sets the number of tries", setTries(5, 1000, 1000), getCapability(6, 0x20f, 1).Checked(propertyIs(5))),
		harming(attackParameters, "DictionaryAttackParameters sets the recovery time", setTries(3, 77, 1000), getCapability(6, 0x210, 1).Checked(propertyIs(77))),
		harming(attackParameters, "DictionaryAttackParameters sets the recovery time of lockout", setTries(3, 1000, 88), getCapability(6, 0x211, 1).Checked(propertyIs(88))),
		harming(attackParameters, "DictionaryAttackParameters with 0 tries locks out", setTries(0, 1000, 1000), use.Fails(tpm2.TPMRCLockout), setTries(3, 1000, 1000)),
		harming(attackParameters, "DictionaryAttackParameters with a recovery time of 0 ends the protection", setTries(3, 0, 1000), wrong, wrong, wrong, wrong, use),
	}
}

// propertyIs checks the value of the first property in the answer.
func propertyIs(want uint32) conform.Check {
	return conform.Check{Says: fmt.Sprintf("the property is %d", want), Test: func(a *conform.Answer) error { return property(a, func(v uint32) bool { return v == want }) }}
}

func propertyHas(bits uint32) conform.Check {
	return conform.Check{Says: fmt.Sprintf("the property has the bits %#x", bits), Test: func(a *conform.Answer) error { return property(a, func(v uint32) bool { return v&bits == bits }) }}
}

func property(a *conform.Answer, right func(uint32) bool) error {
	in := a.Parsed()
	in.Take(1 + 4 + 4 + 4)
	if value := in.U32(); in.Bad || !right(value) {
		return fmt.Errorf("it is %#x", value)
	}
	return nil
}

package cases

import (
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// specimen is a command whose handles and authorizations are right, and whose parameters
// are well-formed. The tables of clause 5 break it in one place: what a TPM checks before
// the command acts does not depend on whether the command could succeed.
type specimen struct {
	code  tpm2.TPMCC
	setup []conform.Step
	// handles, and the parameters, of which each is one part.
	handles    []conform.Part
	parameters []conform.Part
	// auths is nil for passwords.
	auths []conform.Auth
	// harm is what the command would do if the mistake were overlooked.
	harm conform.Harm
	// since is the library revision that the command came with.
	since uint32
}

// step is the command.
func (sp *specimen) step() conform.Step {
	step := conform.Do(sp.code, sp.handles...).With(sp.parameters...)
	step.Auths = sp.auths
	return step
}

// with returns the steps of a case: what the command needs, and a step.
func (sp *specimen) with(last conform.Step) []conform.Step {
	return append(append([]conform.Step{}, sp.setup...), last)
}

func handles(parts ...conform.Part) []conform.Part    { return parts }
func parameters(parts ...conform.Part) []conform.Part { return parts }
func setup(steps ...conform.Step) []conform.Step      { return steps }

var (
	noScheme = noAlg
	noPCRs   = u32(0)
	act0     = conform.U32(uint32(0x40000110)) // TPM_RH_ACT_0
	allPCR16 = join{u32(1), alg(tpm2.TPMAlgSHA256), raw{3, 0, 0, 1}}
	noTicket = func(tag tpm2.TPMST) join { return join{conform.U16(tag), null, empty} }
	// signature is one that no key has made.
	signature = join{alg(tpm2.TPMAlgECDSA), alg(tpm2.TPMAlgSHA256), zeros(32), zeros(32)}
	policy    = conform.Start(wire.SessionPolicy).Named("policy")
	session   = handle("policy")
)

// somePoint is a TPM2B_ECC_POINT.
func somePoint() sized { return sized{clientPoint()} }

// byPolicy makes the policy that allows a command for an entity of the ADMIN or DUP role:
// the label "digest" has a trial session with it, "admin" a policy session.
func byPolicy(code tpm2.TPMCC) []conform.Step {
	return []conform.Step{
		conform.Start(wire.SessionTrial).Named("digest"),
		do(tpm2.TPMCCPolicyCommandCode, handle("digest")).With(conform.U32(code)),
		conform.Start(wire.SessionPolicy).Named("admin"),
		do(tpm2.TPMCCPolicyCommandCode, handle("admin")).With(conform.U32(code)),
	}
}

func adminSession() conform.Auth {
	return conform.InPolicy(handle("admin"))
}

// sequence starts a hash sequence.
func sequence() conform.Step {
	return do(tpm2.TPMCCHashSequenceStart).With(empty, alg(tpm2.TPMAlgSHA256)).Named("sequence")
}

// sealed loads an object with data.
func sealed() conform.Step {
	return external("sealed", outside, noAlg, "").Named("sealed")
}

// attributes of objects and indices for the ADMIN role.
const policyRead = ordinary | wire.NVPolicyRead

// specimens are all commands but those that a TPM refuses for another reason before it looks
// at their parameters: TPM2_Startup, TPM2_PP_Commands, and those of field upgrades.
func specimens() []specimen {
	all := []specimen{}
	for _, chapter := range [][]specimen{
		specimensOfNV(), specimensOfHierarchies(), specimensOfObjects(), specimensOfKeys(), specimensOfAttestation(), specimensOfPolicies(), specimensWithoutHandles(),
	} {
		all = append(all, chapter...)
	}
	return all
}

func specimensOfNV() []specimen {
	return []specimen{
		{code: tpm2.TPMCCNVUndefineSpaceSpecial, harm: conform.WritesNV,
			setup: append(byPolicy(tpm2.TPMCCNVUndefineSpaceSpecial),
				conform.DefineWith(tpm2.TPMRHPlatform, 0, wire.NVPPWrite|wire.NVPPRead|wire.NVNoDA|wire.NVPlatformCreate|wire.NVPolicyDelete, 8, conform.Policy{Of: handle("digest")})),
			handles: handles(index(0), platform), auths: []conform.Auth{adminSession(), conform.Own()}},
		{code: tpm2.TPMCCNVUndefineSpace, setup: setup(define(0, ordinary, 8)), handles: handles(owner, index(0))},
		{code: tpm2.TPMCCNVDefineSpace, handles: handles(owner),
			parameters: parameters(empty, sized{index(0), alg(tpm2.TPMAlgSHA256), u32(ordinary), empty, u16(8)})},
		{code: tpm2.TPMCCNVGlobalWriteLock, handles: handles(owner), harm: conform.Locks},
		{code: tpm2.TPMCCNVIncrement, setup: setup(define(0, counter, 8)), handles: handles(index(0), index(0))},
		{code: tpm2.TPMCCNVSetBits, setup: setup(define(0, bits, 8)), handles: handles(index(0), index(0)), parameters: parameters(u64(1))},
		{code: tpm2.TPMCCNVExtend, setup: setup(define(0, extendable, 32)), handles: handles(index(0), index(0)), parameters: parameters(conform.Text("data"))},
		{code: tpm2.TPMCCNVWrite, setup: setup(define(0, ordinary, 8)), handles: handles(index(0), index(0)), parameters: parameters(conform.Text("12345678"), u16(0))},
		{code: tpm2.TPMCCNVWriteLock, setup: setup(define(0, ordinary|wire.NVWriteStClear, 8)), handles: handles(index(0), index(0))},
		{code: tpm2.TPMCCNVReadLock, setup: setup(define(0, ordinary|wire.NVReadStClear, 8)), handles: handles(index(0), index(0))},
		{code: tpm2.TPMCCNVRead, setup: setup(define(0, ordinary, 8), nvWriteStep(owner, 0, "12345678", 0)), handles: handles(index(0), index(0)), parameters: parameters(u16(8), u16(0))},
		{code: tpm2.TPMCCNVReadPublic, setup: setup(define(0, ordinary, 8)), handles: handles(index(0))},
		{code: tpm2.TPMCCNVChangeAuth,
			setup:   append(byPolicy(tpm2.TPMCCNVChangeAuth), conform.DefineWith(tpm2.TPMRHOwner, 0, policyRead, 8, conform.Policy{Of: handle("digest")})),
			handles: handles(index(0)), auths: []conform.Auth{adminSession()}, parameters: parameters(conform.Text("new"))},
		{code: tpm2.TPMCCNVCertify, setup: setup(define(0, ordinary, 8), nvWriteStep(owner, 0, "12345678", 0)), handles: handles(handle("@attest"), index(0), index(0)),
			parameters: parameters(empty, noScheme, u16(8), u16(0))},
		{code: 0x19d, since: 183, handles: handles(owner), // TPM2_NV_DefineSpace2
			parameters: parameters(empty, sized{u8(1), index(0), alg(tpm2.TPMAlgSHA256), u32(ordinary), empty, u16(8)})},
		{code: 0x19e, since: 183, setup: setup(define(0, ordinary, 8)), handles: handles(index(0))}, // TPM2_NV_ReadPublic2
	}
}

func specimensOfHierarchies() []specimen {
	return []specimen{
		{code: tpm2.TPMCCHierarchyControl, handles: handles(platform), parameters: parameters(owner, u8(1)), harm: conform.ChangesHierarchy},
		{code: tpm2.TPMCCChangeEPS, handles: handles(platform), harm: conform.ChangesHierarchy | conform.Clears},
		{code: tpm2.TPMCCChangePPS, handles: handles(platform), harm: conform.ChangesHierarchy | conform.Clears},
		{code: tpm2.TPMCCClear, handles: handles(platform), harm: conform.Clears},
		{code: tpm2.TPMCCClearControl, handles: handles(platform), parameters: parameters(u8(0)), harm: conform.ChangesHierarchy},
		{code: tpm2.TPMCCHierarchyChanegAuth, handles: handles(owner), parameters: parameters(empty), harm: conform.ChangesHierarchy},
		{code: tpm2.TPMCCSetPrimaryPolicy, handles: handles(owner), parameters: parameters(empty, noAlg), harm: conform.ChangesHierarchy},
		{code: tpm2.TPMCCCreatePrimary, handles: handles(null), parameters: parameters(sensitive("", ""), eccPublic(storage, eccStorage), empty, noPCRs)},
		{code: tpm2.TPMCCClockSet, handles: handles(owner), parameters: parameters(u64(0)), harm: conform.MovesClock},
		{code: tpm2.TPMCCClockRateAdjust, handles: handles(owner), parameters: parameters(u8(0))},
		{code: tpm2.TPMCCPCRAllocate, handles: handles(platform), parameters: parameters(noPCRs), harm: conform.ExtendsPCR},
		{code: tpm2.TPMCCPCRSetAuthPolicy, handles: handles(platform), parameters: parameters(empty, noAlg, u32(20)), harm: conform.ChangesHierarchy},
		{code: tpm2.TPMCCSetAlgorithmSet, handles: handles(platform), parameters: parameters(u32(0)), harm: conform.ChangesHierarchy},
		{code: tpm2.TPMCCSetCommandCodeAuditStatus, handles: handles(owner), parameters: parameters(noAlg, u32(0), u32(0)), harm: conform.ChangesHierarchy},
		{code: tpm2.TPMCCDictionaryAttackLockReset, handles: handles(lockout), harm: conform.LocksOut},
		{code: tpm2.TPMCCDictionaryAttackParameters, handles: handles(lockout), parameters: parameters(u32(3), u32(1000), u32(1000)), harm: conform.LocksOut},
		{code: tpm2.TPMCCEvictControl, handles: handles(owner, handle("@ecc")), parameters: parameters(persistent(0))},
		// A time that is overlooked is in 136 years: the end of an ACT may reset the host.
		{code: ccACTSetTimeout, since: 159, handles: handles(act0), parameters: parameters(u32(0xffffffff)), harm: conform.ChangesHierarchy},
		{code: 0x19f, since: 183, handles: handles(platform), parameters: parameters(empty), harm: conform.ChangesHierarchy}, // TPM2_SetCapability
		{code: 0x1a0, since: 184, handles: handles(platform), parameters: parameters(u8(0)), harm: conform.ChangesHierarchy}, // TPM2_ReadOnlyControl
		{code: tpm2.TPMCCPCREvent, handles: handles(null), parameters: parameters(conform.Text("event"))},
		{code: tpm2.TPMCCPCRExtend, handles: handles(null), parameters: parameters(join{u32(1), alg(tpm2.TPMAlgSHA256), make(raw, 32)})},
		{code: tpm2.TPMCCPCRReset, handles: handles(pcr16), harm: conform.ExtendsPCR},
		{code: tpm2.TPMCCPCRSetAuthValue, handles: handles(conform.U32(uint32(20))), parameters: parameters(empty), harm: conform.ChangesHierarchy},
		{code: tpm2.TPMCCGetCommandAuditDigest, handles: handles(endorsement, handle("@attest")), parameters: parameters(empty, noScheme), harm: conform.ChangesHierarchy},
	}
}

func specimensOfObjects() []specimen {
	return []specimen{
		{code: tpm2.TPMCCCreate, handles: handles(handle("@storage")), parameters: parameters(sensitive("", "data"), public(tpm2.TPMAlgKeyedHash, sealing, empty, noAlg, empty), empty, noPCRs)},
		{code: tpm2.TPMCCLoad, setup: setup(create(handle("@storage"), "", "data", public(tpm2.TPMAlgKeyedHash, sealing, empty, noAlg, empty)).Named("created")),
			handles: handles(handle("@storage")), parameters: parameters(field{Of: "created", N: 1}, field{Of: "created", N: 2})},
		{code: tpm2.TPMCCCreateLoaded, since: 138, handles: handles(handle("@storage")), parameters: parameters(sensitive("", "data"), public(tpm2.TPMAlgKeyedHash, sealing, empty, noAlg, empty))},
		{code: tpm2.TPMCCReadPublic, handles: handles(handle("@ecc"))},
		{code: tpm2.TPMCCUnseal, setup: setup(sealed()), handles: handles(handle("sealed"))},
		{code: tpm2.TPMCCObjectChangeAuth, handles: handles(handle("@hmac"), handle("@storage")), parameters: parameters(conform.Text("new"))},
		{code: tpm2.TPMCCActivateCredential, handles: handles(handle("@attest"), handle("@storage")), parameters: parameters(sized{zeros(32), make(raw, 10)}, zeros(34))},
		{code: tpm2.TPMCCMakeCredential, handles: handles(handle("@storage")), parameters: parameters(conform.Text("credential"), conform.Name{Of: handle("@storage")})},
		{code: tpm2.TPMCCDuplicate,
			setup: append(byPolicy(tpm2.TPMCCDuplicate),
				externalWith("p256", outside|wire.ObjectSign, conform.Policy{Of: handle("digest")}, eccAny, "").Named("movable")),
			handles: handles(handle("movable"), null), auths: []conform.Auth{adminSession()}, parameters: parameters(empty, noAlg)},
		{code: tpm2.TPMCCRewrap, handles: handles(handle("@storage"), null), parameters: parameters(zeros(34), conform.Name{Of: handle("@storage")}, empty)},
		{code: tpm2.TPMCCImport, handles: handles(handle("@storage")), parameters: parameters(empty, public(tpm2.TPMAlgKeyedHash, wire.ObjectUserWithAuth, empty, noAlg, zeros(32)), zeros(40), empty, noAlg)},
		{code: tpm2.TPMCCContextSave, handles: handles(handle("@ecc"))},
		{code: tpm2.TPMCCSequenceUpdate, setup: setup(sequence()), handles: handles(handle("sequence")), parameters: parameters(conform.Text("data"))},
		{code: tpm2.TPMCCSequenceComplete, setup: setup(sequence()), handles: handles(handle("sequence")), parameters: parameters(conform.Text("data"), null)},
		{code: wire.CCSignSequenceStart, handles: handles(handle("@ecc sign")), parameters: parameters(empty, empty)},
		{code: wire.CCVerifySequenceStart, handles: handles(handle("@ecc sign")), parameters: parameters(empty, empty, empty)},
		{code: wire.CCSignSequenceComplete, setup: setup(signStart("@ecc sign", nil)), handles: handles(handle("sequence"), handle("@ecc sign")), parameters: parameters(conform.Text("data"))},
		{code: wire.CCVerifySequenceComplete, setup: setup(verifyStart("@ecc sign", nil)), handles: handles(handle("sequence"), handle("@ecc sign")), parameters: parameters(signature)},
		{code: tpm2.TPMCCEventSequenceComplete, setup: setup(do(tpm2.TPMCCHashSequenceStart).With(empty, noAlg).Named("sequence")), handles: handles(null, handle("sequence")), parameters: parameters(conform.Text("data"))},
	}
}

func specimensOfKeys() []specimen {
	return []specimen{
		{code: tpm2.TPMCCECDHZGen, handles: handles(handle("@ecc")), parameters: parameters(somePoint())},
		{code: tpm2.TPMCCECDHKeyGen, handles: handles(handle("@ecc"))},
		{code: tpm2.TPMCCMAC, handles: handles(handle("@hmac")), parameters: parameters(conform.Text("data"), noAlg)},
		{code: tpm2.TPMCCMACStart, handles: handles(handle("@hmac")), parameters: parameters(empty, noAlg)},
		{code: tpm2.TPMCCRSADecrypt, handles: handles(handle("@rsa")), parameters: parameters(zeros(256), noScheme, empty)},
		{code: tpm2.TPMCCRSAEncrypt, handles: handles(handle("@rsa")), parameters: parameters(conform.Text("data"), noScheme, empty)},
		{code: tpm2.TPMCCEncryptDecrypt, handles: handles(handle("@aes")), parameters: parameters(u8(0), noAlg, zeros(16), zeros(16))},
		{code: tpm2.TPMCCEncryptDecrypt2, since: 138, handles: handles(handle("@aes")), parameters: parameters(zeros(16), u8(0), noAlg, zeros(16))},
		{code: tpm2.TPMCCSign, handles: handles(handle("@ecc")), parameters: parameters(zeros(32), join{alg(tpm2.TPMAlgECDSA), alg(tpm2.TPMAlgSHA256)}, noTicket(tpm2.TPMSTHashCheck))},
		{code: tpm2.TPMCCVerifySignature, handles: handles(handle("@ecc")), parameters: parameters(zeros(32), signature)},
		{code: tpm2.TPMCCCommit, handles: handles(handle("@ecc")), parameters: parameters(somePoint(), empty, empty)},
		{code: tpm2.TPMCCZGen2Phase, handles: handles(handle("@ecc")), parameters: parameters(somePoint(), somePoint(), alg(tpm2.TPMAlgECDH), u16(0))},
		{code: wire.CCSignDigest, handles: handles(handle("@ecc sign")), parameters: parameters(empty, zeros(32), noTicket(tpm2.TPMSTHashCheck))},
		{code: wire.CCVerifyDigestSignature, handles: handles(handle("@ecc sign")), parameters: parameters(empty, zeros(32), signature)},
		{code: wire.CCEncapsulate, handles: handles(handle("@ecc"))},
		{code: wire.CCDecapsulate, handles: handles(handle("@ecc")), parameters: parameters(zeros(65))},
		{code: 0x199, since: 183, handles: handles(handle("@ecc")), parameters: parameters(conform.Text("data"), noAlg)},                         // TPM2_ECC_Encrypt
		{code: 0x19a, since: 183, handles: handles(handle("@ecc")), parameters: parameters(somePoint(), conform.Text("data"), zeros(32), noAlg)}, // TPM2_ECC_Decrypt
	}
}

func specimensOfAttestation() []specimen {
	return []specimen{
		{code: tpm2.TPMCCCertify, handles: handles(handle("@ecc"), handle("@attest")), parameters: parameters(conform.Text("extra"), noScheme)},
		{code: tpm2.TPMCCCertifyCreation, handles: handles(handle("@attest"), handle("@ecc")), parameters: parameters(conform.Text("extra"), zeros(32), noScheme, noTicket(tpm2.TPMSTCreation))},
		{code: tpm2.TPMCCQuote, handles: handles(handle("@attest")), parameters: parameters(conform.Text("extra"), noScheme, allPCR16)},
		{code: tpm2.TPMCCGetTime, handles: handles(endorsement, handle("@attest")), parameters: parameters(conform.Text("extra"), noScheme)},
		{code: tpm2.TPMCCGetSessionAuditDigest, setup: setup(conform.Start(wire.SessionHMAC).Named("audit")), handles: handles(endorsement, handle("@attest"), handle("audit")),
			parameters: parameters(conform.Text("extra"), noScheme)},
		{code: tpm2.TPMCCCertifyX509, since: 159, handles: handles(handle("@ecc"), handle("@attest")), parameters: parameters(empty, noScheme, zeros(4))},
	}
}

func specimensOfPolicies() []specimen {
	return []specimen{
		{code: tpm2.TPMCCPolicyNV, setup: setup(define(0, ordinary, 8), policy), handles: handles(index(0), index(0), session), parameters: parameters(zeros(8), u16(0), u16(0))},
		{code: tpm2.TPMCCPolicySecret, setup: setup(policy), handles: handles(owner, session), parameters: parameters(empty, empty, conform.Text("ref"), u32(0))},
		{code: tpm2.TPMCCPolicySigned, setup: setup(policy), handles: handles(handle("@ecc"), session), parameters: parameters(empty, empty, conform.Text("ref"), u32(0), signature)},
		{code: tpm2.TPMCCPolicyAuthorize, setup: setup(policy), handles: handles(session),
			parameters: parameters(zeros(32), conform.Text("ref"), conform.Name{Of: handle("@ecc")}, noTicket(tpm2.TPMSTVerified))},
		{code: tpm2.TPMCCPolicyAuthValue, setup: setup(policy), handles: handles(session)},
		{code: tpm2.TPMCCPolicyCommandCode, setup: setup(policy), handles: handles(session), parameters: parameters(conform.U32(tpm2.TPMCCUnseal))},
		{code: tpm2.TPMCCPolicyCounterTimer, setup: setup(policy), handles: handles(session), parameters: parameters(zeros(8), u16(0), u16(2))},
		{code: tpm2.TPMCCPolicyCpHash, setup: setup(policy), handles: handles(session), parameters: parameters(zeros(32))},
		{code: tpm2.TPMCCPolicyLocality, setup: setup(policy), handles: handles(session), parameters: parameters(u8(1))},
		{code: tpm2.TPMCCPolicyNameHash, setup: setup(policy), handles: handles(session), parameters: parameters(zeros(32))},
		{code: tpm2.TPMCCPolicyOR, setup: setup(policy), handles: handles(session), parameters: parameters(join{u32(2), zeros(32), zeros(32)})},
		{code: tpm2.TPMCCPolicyTicket, setup: setup(policy), handles: handles(session),
			parameters: parameters(zeros(8), empty, conform.Text("ref"), conform.Name{Of: handle("@ecc")}, noTicket(tpm2.TPMSTAuthSigned))},
		{code: tpm2.TPMCCPolicyPCR, setup: setup(policy), handles: handles(session), parameters: parameters(empty, allPCR16)},
		{code: tpm2.TPMCCPolicyRestart, setup: setup(policy), handles: handles(session)},
		{code: tpm2.TPMCCPolicyPhysicalPresence, setup: setup(policy), handles: handles(session)},
		{code: tpm2.TPMCCPolicyDuplicationSelect, setup: setup(policy), handles: handles(session),
			parameters: parameters(conform.Name{Of: handle("@ecc")}, conform.Name{Of: handle("@ecc")}, u8(1))},
		{code: tpm2.TPMCCPolicyGetDigest, setup: setup(policy), handles: handles(session)},
		{code: tpm2.TPMCCPolicyPassword, setup: setup(policy), handles: handles(session)},
		{code: tpm2.TPMCCPolicyNvWritten, setup: setup(policy), handles: handles(session), parameters: parameters(u8(1))},
		{code: tpm2.TPMCCPolicyTemplate, since: 138, setup: setup(policy), handles: handles(session), parameters: parameters(zeros(32))},
		{code: tpm2.TPMCCPolicyAuthorizeNV, since: 138, setup: setup(define(0, ordinary, 34), policy), handles: handles(index(0), index(0), session)},
		{code: 0x19b, since: 183, setup: setup(policy), handles: handles(session), parameters: parameters(zeros(4), u16(0), u16(0), u32(6), u32(0x100))}, // TPM2_PolicyCapability
		{code: 0x19c, since: 183, setup: setup(policy), handles: handles(session), parameters: parameters(zeros(32))},                                    // TPM2_PolicyParameters
	}
}

func specimensWithoutHandles() []specimen {
	return []specimen{
		{code: tpm2.TPMCCIncrementalSelfTest, parameters: parameters(u32(0))},
		{code: tpm2.TPMCCSelfTest, parameters: parameters(u8(0))},
		{code: tpm2.TPMCCShutdown, parameters: parameters(u16(0))},
		{code: tpm2.TPMCCStirRandom, parameters: parameters(conform.Text("data"))},
		{code: tpm2.TPMCCContextLoad, setup: setup(do(tpm2.TPMCCContextSave, handle("@ecc")).Named("context")), parameters: parameters(field{Of: "context", N: 1})},
		{code: tpm2.TPMCCFlushContext, setup: setup(sealed()), parameters: parameters(handle("sealed"))},
		{code: tpm2.TPMCCLoadExternal, parameters: parameters(empty, public(tpm2.TPMAlgECC, outside|wire.ObjectSign, empty, eccAny, raw(conversation.KeyNamed("p256").Unique())), null)},
		{code: tpm2.TPMCCStartAuthSession, handles: handles(null, null), parameters: parameters(zeros(16), empty, u8(0), noAlg, alg(tpm2.TPMAlgSHA256))},
		{code: tpm2.TPMCCECCParameters, parameters: parameters(conform.U16(tpm2.TPMECCNistP256))},
		{code: tpm2.TPMCCGetCapability, parameters: parameters(u32(6), u32(0x100), u32(1))},
		{code: tpm2.TPMCCGetRandom, parameters: parameters(u16(8))},
		{code: tpm2.TPMCCGetTestResult},
		{code: tpm2.TPMCCHash, parameters: parameters(conform.Text("data"), alg(tpm2.TPMAlgSHA256), null)},
		{code: tpm2.TPMCCPCRRead, parameters: parameters(allPCR16)},
		{code: tpm2.TPMCCReadClock},
		{code: tpm2.TPMCCHashSequenceStart, parameters: parameters(empty, alg(tpm2.TPMAlgSHA256))},
		{code: tpm2.TPMCCTestParms, parameters: parameters(join{alg(tpm2.TPMAlgECC), eccAny})},
		{code: tpm2.TPMCCECEphemeral, parameters: parameters(conform.U16(tpm2.TPMECCNistP256))},
	}
}

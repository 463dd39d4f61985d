package known

import (
	"bytes"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Differences lists the differences known between this module's emulator and the
// references. An entry without its own name under Against holds for all of
// them.
func Differences() []Difference { return slices.Clone(list) }

var list = []Difference{
	{
		ID: "bad-tag",
		Reason: "A command whose tag is neither TPM_ST_NO_SESSIONS nor TPM_ST_SESSIONS is answered with TPM_ST_RSP_COMMAND " +
			"and TPM_RC_BAD_TAG, so that TPM 1.2 software understands (Part 2, section \"TPM_ST\"; the TCG reference code does so " +
			"since 1.59). The references are older: they keep the tag 0x8001, and libtpms answers TPM_RC_VALUE to most tags.",
		Match: func(c *Case) bool {
			tag := wire.Number(c.Step().Data[:min(2, len(c.Step().Data))])
			return c.Step().IsCommand() && tag != uint32(conformance.NoSessions) && tag != uint32(conformance.Sessions) &&
				bytes.HasPrefix(c.OurOutcome.Response, []byte{0x00, 0xc4}) && c.OurOutcome.Code() == rcBadTag
		},
	},
	{
		ID: "tpm12-tag", Against: []string{"simulator"},
		Reason: "A command with a tag of TPM 1.2 (TPM_TAG_RQU_COMMAND and the two for sessions) gets TPM_RC_VALUE in a TPM 2.0 header, " +
			"as libtpms answers it, because OVMF tells the two kinds of TPM apart by the tag of the answer.",
		Match: func(c *Case) bool {
			const rcValue = 0x84
			tag := wire.Number(c.Step().Data[:min(2, len(c.Step().Data))])
			ours, theirs := c.Codes()
			return c.Step().IsCommand() && tag >= 0xc1 && tag <= 0xc3 && ours == rcValue && theirs == rcBadTag
		},
	},
	{
		ID: "clock-ticks",
		Reason: "Each TPM has a real clock of its own. In the first seconds of its life a TPM2_ClockSet to almost nothing " +
			"lies before the one's present and not before the other's (Part 3, section \"TPM2_ClockSet\"). The one's Clock may " +
			"have passed the interval after which it is safe when the other's has not (Part 1, section \"Clock\").",
		Match: func(c *Case) bool {
			return c.setsClockAround(withinMilliseconds) || c.successes(tpm2.TPMCCReadClock) && c.sameTimeBut(24, 25) && c.clocksAroundUpdate()
		},
	},
	{
		ID: "to-do-list",
		Reason: "Which algorithms there are to test, and which have been tested by use, is a property of the implementation " +
			"(Part 3, section \"TPM2_IncrementalSelfTest\").",
		Match: func(c *Case) bool { return c.successes(tpm2.TPMCCIncrementalSelfTest) },
	},
	{
		ID: "no-increment", Against: []string{"simulator"},
		Reason: "The simulator lets PCR 20 to 22 leave the update counter alone, as its source says against the PC Client " +
			"Platform TPM Profile; libtpms and we do so with PCR 16 and 21 to 23. So its counter gets ahead " +
			"by one with every startup, and scripts that touch these PCRs drive the counters apart; against swtpm they are " +
			"compared exactly.",
		Match: func(c *Case) bool {
			return c.successes(tpm2.TPMCCPCRRead) && c.sameBut(0, 4) && c.countersExplained() || c.asksFor(tpm2.TPMCapPCRProperties)
		},
	},
	{
		ID: "no-increment-policy", Against: []string{"simulator"}, Diverges: true,
		Reason: "After a change of PCR 16 or 20 to 23, of which the simulator counts others than we do, a policy with TPM2_PolicyPCR " +
			"has failed with TPM_RC_PCR_CHANGED on one of them only (Part 3, section \"TPM2_PolicyPCR\").",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			return ours != theirs && (ours == uint32(tpm2.TPMRCPCRChanged) || theirs == uint32(tpm2.TPMRCPCRChanged)) && c.changesUncounted()
		},
	},
	{
		ID: "failure-mode", Against: []string{"simulator"}, Diverges: true,
		Reason: "In failure mode the simulator does not answer commands, as its reference code has nothing to go on with.",
		Match:  func(c *Case) bool { return c.TheirOutcome.Err != nil && c.OurOutcome.Err == nil },
	},
	{
		ID: "da-used", Against: []string{"simulator"},
		Reason: "The simulator is built without the mark that an object with dictionary attack protection was used, so every " +
			"start without a shutdown before it counts as a failed try (Part 1, section \"Dictionary Attack Protection\"). " +
			"Ours, like swtpm's, counts one only after such a use.",
		Match: func(c *Case) bool {
			return c.asksFor(tpm2.TPMCapTPMProperties) && c.propertiesBut(0x200, 0x20e) && c.startedUnorderly()
		},
	},
	{
		ID: "da-used-lockout", Against: []string{"simulator"}, Diverges: true,
		Reason: "The failed tries that only the simulator counts, after starts without a shutdown, make it lock out where we do not.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			return ours != theirs && theirs == uint32(tpm2.TPMRCLockout) && c.startedUnorderly()
		},
	},
	{
		ID: "da-used-forgotten", Against: []string{"swtpm"},
		Reason: "A start without a shutdown before it counts as a failed try if an object with dictionary attack protection was used " +
			"(Part 1, section \"Dictionary Attack Protection\"). libtpms forgets that one was if TPM2_Startup fails first.",
		Match: func(c *Case) bool {
			return c.asksFor(tpm2.TPMCapTPMProperties) && c.propertiesBut(0x200, 0x20e) && c.startedTwice()
		},
	},
	{
		ID: "persistent-slot",
		Reason: "The references look for a free object slot before they look for the persistent object to be put there, so with all " +
			"slots taken an object that does not exist gives TPM_RC_OBJECT_MEMORY. We answer TPM_RC_HANDLE, as the " +
			"references do once a slot is free (Part 1, section \"Object Handles\").",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			return c.Step().IsCommand() && ours&0x8ff == 0x08b && theirs == uint32(tpm2.TPMRCObjectMemory) && c.handleBetween(0x81000000, 0x81ffffff)
		},
	},
	{
		ID: "clock-not-saved", Against: []string{"swtpm"},
		Reason: "TPM2_ClockSet that crosses the interval at which Clock is saved saves it (Part 3, section \"TPM2_ClockSet\"; Part 1, " +
			"section \"Clock\"), so that Clock does not go back when power is lost. libtpms 0.9 loses the new value.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			late := c.Command() == uint32(tpm2.TPMCCClockSet) && ours == 0x1c4 && theirs == 0 || c.successes(tpm2.TPMCCReadClock) && c.sameTimeBut(8, 16, 24, 25)
			return late && c.clockSetAndLost()
		},
	},
	{
		ID: "counts-after-shutdown",
		Reason: "A DRTM sequence, or another change of PCR 16 to 23, between TPM2_Shutdown(STATE) and the loss of power raises the " +
			"restart count and the PCR update counter. The references bring back what TPM2_Shutdown saved and so use the same " +
			"counts twice; ours never repeats one, because the counts tell an attester that something happened in between " +
			"(Part 1, section \"Reset Count, Restart Count\").",
		Match: func(c *Case) bool {
			counts := c.successes(tpm2.TPMCCPCRRead) && c.sameBut(0, 4) ||
				c.successes(tpm2.TPMCCReadClock) && (c.sameTimeBut(20, 24) || c.clockSetAndLost() && c.sameTimeBut(8, 16, 20, 24, 24, 25))
			return counts && c.countedAfterShutdown()
		},
	},
	{
		ID: "orderly-locks", Diverges: true,
		Reason: "The references keep the locks of an orderly NV index in RAM, so that one set after TPM2_Shutdown(STATE), or one " +
			"that TPMA_NV_WRITEDEFINE makes permanent, is gone when the power is. Ours saves those two, as TPMA_NV_WRITELOCKED " +
			"and TPMA_NV_READLOCKED are to outlast a TPM Resume (Part 2, section \"TPMA_NV\").",
		Match: func(c *Case) bool { return c.namesOrderlyLockLost() },
	},
	{
		ID: "allocation-cleared", Diverges: true,
		Reason: "TPM2_Clear in the references writes a copy of their persistent data that does not have what TPM2_PCR_Allocate has " +
			"asked for, so the allocation does not come into force. It does with ours: TPM2_Clear is not about PCRs (Part 3, " +
			"section \"TPM2_PCR_Allocate\").",
		Match: func(c *Case) bool { return c.allocationCleared() && c.showsAllocation() },
	},
	{
		ID: "capability-not-there",
		Reason: "A TPM has an empty list of what it lacks if it is of a time that knew of it: TPM_CAP_ACT since revision 1.59, " +
			"TPM_CAP_PUB_KEYS and TPM_CAP_SPDM_SESSION_INFO since 1.84. The simulator is older than the first, both references are older " +
			"than the others: TPM_RC_VALUE. What is wrong with the command besides may be reported instead (Part 3, section " +
			"\"TPM2_GetCapability\").",
		Match: func(c *Case) bool {
			const valueP1 = 0x1c4
			_, theirs := c.Codes()
			p := wire.AfterHeader(c.Step().Data)
			return c.Command() == uint32(tpm2.TPMCCGetCapability) && theirs == valueP1 && len(p) >= 4 &&
				slices.Contains([]uint32{uint32(tpm2.TPMCapACT), 0xb, 0xc}, wire.Number(p[:4]))
		},
	},
	{
		ID: "vendor-properties",
		Reason: "The references know the number TPM_CAP_VENDOR_PROPERTY without having anything to report, and so check the parameters " +
			"after it first; we refuse a capability that we lack at once. Both answer TPM_RC_VALUE or another error of the command " +
			"(Part 3, section \"TPM2_GetCapability\").",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			p := wire.AfterHeader(c.Step().Data)
			return c.Command() == uint32(tpm2.TPMCCGetCapability) && ours == 0x1c4 && theirs != 0 && len(p) >= 4 && wire.Number(p[:4]) == 0x100
		},
	},
	{
		ID: "algorithm-not-there",
		Reason: "A parameter names an algorithm or a curve that only one of the devices lists with TPM2_GetCapability. The other refuses it, " +
			"as it has to.",
		Match: func(c *Case) bool { return c.refusesAlgorithm() },
	},
	{
		ID: "size-not-there", Against: []string{"simulator"}, Diverges: true,
		Reason: "The simulator has no RSA keys of 3,072 bits, and refuses them with TPM_RC_VALUE in the parameter that names them (Part 3, " +
			"section \"TPM2_TestParms\"). We have them, as libtpms has; a success makes an audit session lose its exclusivity.",
		Match: func(c *Case) bool { return c.refusesBits(3072) },
	},
	{
		ID: "signing-method", Against: []string{"simulator"},
		Reason: "The simulator reports ECDSA as a method, which the TCG Algorithm Registry and libtpms do not.",
		Match: func(c *Case) bool {
			return c.asksFor(tpm2.TPMCapAlgs) && c.elementsBut(tpm2.TPMCapAlgs, uint32(tpm2.TPMAlgECDSA))
		},
	},
	{
		ID: "no-name",
		Reason: "The references take the first two bytes of keySign for the hash algorithm of the Name even if there are none, and " +
			"answer TPM_RC_HASH. A Name of less than two bytes has the wrong size (Part 3, section " +
			"\"TPM2_PolicyAuthorize\"; the TCG reference code says TPM_RC_SIZE since 1.83).",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const sizeP3, hashP3 = 0x3d5, 0x3c3
			return c.Command() == uint32(tpm2.TPMCCPolicyAuthorize) && ours == sizeP3 && theirs == hashP3
		},
	},
	{
		ID: "larger-keys",
		Reason: "The simulator has RSA keys of 2,048 bits at most and libtpms of 3,072, so structures that hold a modulus, a secret or a " +
			"private area are smaller there than ours, and a size that is too large for them may only be too large for what " +
			"follows (Part 2, section \"MAX_RSA_KEY_BYTES\"). So are saved contexts.",
		Match: func(c *Case) bool { return c.tooLargeForTheirs() },
	},
	{
		ID: "padded-parameters",
		Reason: "The numbers of TPM2_ECC_Parameters are as long as a coordinate of the curve, with zeros in front, as libtpms gives " +
			"those of the NIST curves because Windows asks for it. The simulator leaves all zeros out, libtpms those of other curves.",
		Match: func(c *Case) bool { return c.successes(tpm2.TPMCCECCParameters) && c.sameNumbers(c.curveHead()) },
	},
	{
		ID: "raw-zero", Against: []string{"simulator"},
		Reason: "What TPM2_RSA_Decrypt gives without a scheme is as long as the modulus (Part 3, section \"TPM2_RSA_Decrypt\"). The " +
			"simulator gives one byte if it is the number zero.",
		Match: func(c *Case) bool {
			_, theirs := c.parameters()
			return c.successes(tpm2.TPMCCRSADecrypt) && bytes.Equal(theirs, []byte{0, 1, 0}) && c.sameNumbers(0)
		},
	},
	{
		ID: "scheme-late",
		Reason: "A scheme that the key cannot have is refused with the number of the parameter, before anything else is done (Part 3, " +
			"sections \"TPM2_Sign\", \"TPM2_Quote\" and others). The references notice it only when they sign: by then they may have " +
			"found something else, and the simulator has forgotten the number.",
		Match: func(c *Case) bool { return c.schemeLate() },
	},
	{
		ID: "borrowed-slot",
		Reason: "The references copy a persistent object of a command into a slot, and then take the transient handle of that slot for " +
			"one of the object. Nothing is loaded there, so we say TPM_RC_REFERENCE_H1 (Part 1, section \"Transient Object Handles\").",
		Match: func(c *Case) bool {
			ours, _ := c.Codes()
			return ours >= uint32(tpm2.TPMRCReferenceH1) && ours <= uint32(tpm2.TPMRCReferenceH2) && c.handleBetween(0x81000000, 0x81ffffff)
		},
	},
	{
		ID: "cut-encrypted",
		Reason: "An encrypted parameter whose size is cut off, or beyond the end, is the fault of the session that is to decrypt it: " +
			"TPM_RC_INSUFFICIENT or TPM_RC_SIZE with its number, as in the TCG reference code since 1.59. The references complain of " +
			"the parameter.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const session, parameter = 0x800, 0x40
			return isSizeError(ours) && isSizeError(theirs) && ours&session != 0 && theirs&(session|parameter) != 0 && c.decrypts()
		},
	},
	{
		ID: "random-ciphertext",
		Reason: "What the two TPMs decrypt with keys of their own is not the same: one number may be larger than the modulus (TPM_RC_SIZE), " +
			"and the padding of the other wrong (TPM_RC_VALUE; Part 3, section \"TPM2_RSA_Decrypt\").",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const value, size = 0x84, 0x95
			return c.Command() == uint32(tpm2.TPMCCRSADecrypt) && c.OurOutcome.Inputs != c.TheirOutcome.Inputs &&
				(ours == value || ours == size || ours == 0) && (theirs == value || theirs == size || theirs == 0)
		},
	},
	{
		ID: "random-size",
		Reason: "In a command that is cut differently from what it was, the size of a parameter is taken from the middle of a blob that each " +
			"TPM has encrypted for itself: one is too large for the parameter (TPM_RC_SIZE), the other for the command (TPM_RC_INSUFFICIENT), " +
			"or fits and is no secret (TPM_RC_VALUE). Then the parameters after it are other bytes, too.",
		Match: func(c *Case) bool { return c.drawnSize() || c.drawnLayout() },
	},
	{
		ID: "random-policy", Diverges: true,
		Reason: "The digest of a policy has in it the Names of keys that each TPM has made for itself. An index with the digest of the one " +
			"authorizes nothing on the other: TPM_RC_VALUE (Part 3, section \"TPM2_PolicyAuthorizeNV\").",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const value = 0x84
			return c.Command() == uint32(tpm2.TPMCCPolicyAuthorizeNV) && c.OurOutcome.Inputs != c.TheirOutcome.Inputs &&
				(ours == value && theirs == 0 || ours == 0 && theirs == value)
		},
	},
	{
		ID: "number-too-large",
		Reason: "TPM2_RSA_Encrypt without a scheme of a number that is not less than the modulus is TPM_RC_VALUE (Part 3, section " +
			"\"TPM2_RSA_Encrypt\"). The references say TPM_RC_SIZE.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const value, size = 0x84, 0x95
			return c.Command() == uint32(tpm2.TPMCCRSAEncrypt) && ours == value && theirs == size
		},
	},
	{
		ID: "name-of-sequence", Against: []string{"simulator"},
		Reason: "A sequence object has no Name (Part 1, section \"Names\"). The simulator attests, and takes a credential for, the one that " +
			"an object before it in the slot has had.",
		Match: func(c *Case) bool {
			named := []tpm2.TPMCC{tpm2.TPMCCActivateCredential, tpm2.TPMCCCertify, tpm2.TPMCCCertifyCreation, tpm2.TPMCCMakeCredential}
			return c.OurOutcome.OnSequence && slices.Contains(named, tpm2.TPMCC(c.Command()))
		},
	},
	{
		ID: "template-differs",
		Reason: "A second TPM2_PolicyTemplate with another template is TPM_RC_CPHASH (Part 3, section \"TPM2_PolicyTemplate\"), as " +
			"the TCG reference code says since 1.59. The references say TPM_RC_VALUE of the parameter.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			return c.Command() == uint32(tpm2.TPMCCPolicyTemplate) && ours == uint32(tpm2.TPMRCCPHash) && theirs == 0x1c4
		},
	},
	{
		ID: "limited-objects",
		Reason: "TPMA_OBJECT.firmwareLimited and .svnLimited came with 1.83. We know them, and refuse them with TPM_RC_ATTRIBUTES because " +
			"there is no firmware to limit an object to (Part 2, section \"TPMA_OBJECT\"). To the references they are reserved.",
		Match: func(c *Case) bool {
			const number, reservedP, limited = 0xf00, 0xe1, 1<<8 | 1<<9
			_, theirs := c.Codes()
			public, ok := c.publicParameter()
			return theirs&^number == reservedP && ok && public.Attributes&limited != 0
		},
	},
	{
		ID: "derived-auth", Diverges: true,
		Reason: "An object below a derivation parent is derived anew whenever it is wanted, so there is no private area in which " +
			"TPM2_ObjectChangeAuth could put another authValue. The references wrap one that can be loaded nowhere; we say that " +
			"the second handle is not of a parent that could (Part 3, section \"TPM2_ObjectChangeAuth\").",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const typeH2 = 0x28a
			return c.Command() == uint32(tpm2.TPMCCObjectChangeAuth) && ours == typeH2 && theirs == 0
		},
	},
	{
		ID: "changed-after-shutdown", Diverges: true,
		Reason: "A command that is audited, counts a commitment, flushes a saved session or allocates PCRs between TPM2_Shutdown and the " +
			"loss of power changes what was to be saved, so the shutdown was not orderly (Part 3, section \"TPM2_Shutdown\"). The " +
			"references take it for orderly, and have forgotten the command; with new PCRs they resume in banks that are empty.",
		Match: func(c *Case) bool { return c.showsOrderly() && c.changedAfterShutdown() },
	},
	{
		ID: "context-refused-after-shutdown", Diverges: true,
		Reason: "TPM2_ContextSave and TPM2_ContextLoad take the mark of an orderly shutdown away. In the references they do also when they " +
			"are refused, because a session is loaded or there is no room for it; here a command that fails changes nothing.",
		Match: func(c *Case) bool { return c.showsOrderly() && c.contextRefusedAfterShutdown() },
	},
	{
		ID: "da-used-after-shutdown", Against: []string{"simulator"}, Diverges: true,
		Reason: "The use of an object with dictionary attack protection after TPM2_Shutdown makes it not orderly, before it is known whether " +
			"the authorization fails (Part 1, section \"Dictionary Attack Protection\"). The simulator is built without the mark for it.",
		Match: func(c *Case) bool { return c.showsOrderly() && c.usedAfterShutdown() },
	},
	{
		ID: "mode-of-sequence", Against: []string{"swtpm"},
		Reason: "What is no sequence, or not of the right kind, is the handle's fault (Part 3, section \"TPM2_SequenceUpdate\"). libtpms " +
			"gives TPM_RC_MODE the number of a parameter.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const modeH1, modeP1 = 0x189, 0x1c9
			return ours == modeH1 && theirs == modeP1
		},
	},
	{
		ID: "import-unbound", Against: []string{"swtpm"},
		Reason: "TPM2_Import refuses a public and a sensitive area that do not belong together (Part 3, section \"TPM2_Import\"). libtpms " +
			"does not notice where the modulus of an RSA key is another one.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			return c.Command() == uint32(tpm2.TPMCCImport) && ours&0xbf == 0xa5 && theirs == 0
		},
	},
	{
		ID: "tag-of-ticket", Against: []string{"swtpm"},
		Reason: "A ticket with the tag of another kind is TPM_RC_TAG (Part 2, section \"TPMT_TK_CREATION\" and those after it), which " +
			"the simulator answers too. libtpms says TPM_RC_VALUE.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const number, tagP, valueP = 0xf00, 0xd7, 0xc4
			return ours&^number == tagP && theirs == ours&number|valueP
		},
	},
	{
		ID: "tail-of-iv", Against: []string{"swtpm"},
		Reason: "With an incomplete last block there is no vector with which TPM2_EncryptDecrypt could go on. We leave zeros where bytes " +
			"are missing, as the simulator does, and libtpms what was there before (Part 3, section \"TPM2_EncryptDecrypt\").",
		Match: func(c *Case) bool { return c.sameButVector() },
	},
	{
		ID: "longest-name",
		Reason: "The longest Name has an algorithm and a digest of 64 bytes (Part 2, section \"TPM2B_NAME\"). The references take two bytes " +
			"more, because a handle makes their union of names a multiple of four.",
		Match: func(c *Case) bool {
			const number, sizeP, longest = 0xf00, 0xd5, 66
			ours, _ := c.Codes()
			return ours&^number == sizeP && (c.mentions(longest+1) || c.mentions(longest+2))
		},
	},
	{
		ID: "split-max",
		Reason: "TPM_PT_SPLIT_MAX is the number of ephemeral keys for TPM2_Commit, and zero in a TPM without that command " +
			"(Part 2, section \"TPM_PT\").",
		Match: func(c *Case) bool {
			commit := uint32(tpm2.TPMCCCommit)
			return c.asksFor(tpm2.TPMCapTPMProperties) && c.Pair.Ours.Has(commit) != c.Pair.Theirs.Has(commit) && c.propertiesBut(0x128)
		},
	},
	{
		ID: "pin-by-policy", Against: []string{"simulator"}, Diverges: true,
		Reason: "A PIN index counts what is authorized with its authValue (Part 1, section \"PIN Pass Index\"). The simulator counts also what " +
			"a policy authorizes that does not ask for the authValue, as the TCG reference code did before 1.59.",
		Match: func(c *Case) bool { return c.pinByPolicy() },
	},
	{
		ID: "audit-reset",
		Reason: "The references give auditReset of an audit session back in the response, where it has to be CLEAR (Part 2, section " +
			"\"TPMA_SESSION\").",
		Match: func(c *Case) bool { return c.echoesAuditReset() },
	},
	{
		ID: "audit-attributes", Diverges: true,
		Reason: "auditExclusive and auditReset are allowed where audit is SET, else TPM_RC_ATTRIBUTES (Part 2, section \"TPMA_SESSION\"). " +
			"The references pass over them.",
		Match: func(c *Case) bool { return c.refusesAuditAttributes() },
	},
	{
		ID: "pin-limit-by-policy", Diverges: true,
		Reason: "The authValue of a PIN index is locked out from pinLimit on (Part 2, section \"TPMS_NV_PIN_COUNTER_PARAMETERS\"), " +
			"also where a policy asks for it. The references hold only what is authorized without a policy to the limit.",
		Match: func(c *Case) bool { return c.pinLimitByPolicy() },
	},
	{
		ID: "certify-x509-reserved", Against: []string{"simulator", "swtpm"},
		Reason: "The first parameter of TPM2_CertifyX509 is reserved and has to be empty (Part 3, section \"TPM2_CertifyX509\"). The " +
			"references are older than that check.",
		Match: func(c *Case) bool {
			ours, _ := c.Codes()
			const sizeP1 = 0x1d5
			return c.Command() == uint32(tpm2.TPMCCCertifyX509) && ours == sizeP1
		},
	},
	{
		ID: "certify-x509-strict", Against: []string{"simulator", "swtpm"},
		Reason: "The references read a partialCertificate loosely: other encodings than DER, an extension that is there twice, reserved bits " +
			"of keyUsage. A verifier would not read there what the TPM has checked, so it is refused (RFC 5280, section 4.1).",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const valueP3, sizeP3, reservedP3, attributesH1, attributesH2 = 0x3c4, 0x3d5, 0x3e1, 0x182, 0x282
			return c.Command() == uint32(tpm2.TPMCCCertifyX509) && slices.Contains([]uint32{valueP3, sizeP3, reservedP3}, ours) &&
				slices.Contains([]uint32{0, valueP3, sizeP3, attributesH1, attributesH2}, theirs)
		},
	},
	{
		ID: "certify-x509-asymmetric-first", Against: []string{"simulator"},
		Reason: "Of several mistakes in TPM2_CertifyX509 the specification does not say which is reported. The simulator looks first whether " +
			"the public key of the object can be in a certificate, whose handle it numbers 1.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const asymmetricH1 = 0x181
			return c.Command() == uint32(tpm2.TPMCCCertifyX509) && ours != 0 && theirs == asymmetricH1
		},
	},
	{
		ID: "certify-x509-handles", Against: []string{"simulator", "swtpm"},
		Reason: "In the codes of TPM2_CertifyX509 the references exchange the numbers of the two handles, which are those of the handle " +
			"area (Part 1, section \"Response Codes\").",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const number, format1, parameter = 0xf00, 0x80, 0x40
			return c.Command() == uint32(tpm2.TPMCCCertifyX509) && ours&^number == theirs&^number && ours&format1 != 0 &&
				ours&parameter == 0 && ours&number|theirs&number == 0x300
		},
	},
	{
		ID: "epoch", Against: []string{"simulator"}, Diverges: true,
		Reason: "A policy session from before a _TPM_Init, at which Time begins anew, cannot be given a time limit any more: TPM_RC_EXPIRED; " +
			"and a ticket with one is none any more: TPM_RC_TICKET (Part 1, section \"Time\"), as libtpms answers. The simulator's Time goes on.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const expired, ticketP5 = 0xa3, 0x5e0
			late := ours&0xbf == expired && theirs == 0 ||
				c.Command() == uint32(tpm2.TPMCCPolicyTicket) && (ours&0xbf == expired || ours == ticketP5 && theirs == 0)
			return late && slices.ContainsFunc(c.Script[:c.At], func(s conversation.Step) bool { return s.Action == conversation.Init })
		},
	},
	{
		ID: "expired-for-one",
		Reason: "An authorization that ends after seconds has ended for the device that was slower, each counting its own Time (Part 3, " +
			"section \"TPM2_PolicySigned\"): TPM_RC_EXPIRED, before what is wrong otherwise is looked at. Only a busy machine plays a script for so long.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const expiredP4 = 0x4e3
			return (ours == expiredP4) != (theirs == expiredP4) && c.expiresSoon()
		},
	},
	{
		ID: "policy-code-not-there", Diverges: true,
		Reason: "TPM2_PolicyCommandCode refuses the code of a command that the TPM does not have (Part 3, section " +
			"\"TPM2_PolicyCommandCode\"), and here only one of them lists it with TPM2_GetCapability.",
		Match: func(c *Case) bool {
			command, ok := c.Step().Command()
			if !ok || tpm2.TPMCC(command.Code) != tpm2.TPMCCPolicyCommandCode || len(command.Parameters) != 4 {
				return false
			}
			code := wire.Number(command.Parameters)
			return c.Pair.Ours.Has(code) != c.Pair.Theirs.Has(code)
		},
	},
	{
		ID: "policy-other-hash", Diverges: true,
		Reason: "The references compare the cpHashA of an authorization with whatever hash the session has, also with one of names, " +
			"a template or parameters, and take it if it is the same. It is not set then, and contradicts: TPM_RC_CPHASH (Part 3, " +
			"sections \"TPM2_PolicySigned\" and \"TPM2_PolicySecret\").",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			authorizes := []uint32{uint32(tpm2.TPMCCPolicySecret), uint32(tpm2.TPMCCPolicySigned), uint32(tpm2.TPMCCPolicyTicket)}
			return slices.Contains(authorizes, c.Command()) && ours == uint32(tpm2.TPMRCCPHash) && theirs == 0
		},
	},
	{
		ID: "policy-signed", Diverges: true,
		Reason: "Of two negative numbers the references take the larger one for the smaller one, and read the sign of an empty one from the " +
			"bytes after it. Numbers with a sign are in two's complement (Part 2, section \"TPM_EO\"), as the TCG reference code has them since 1.83; " +
			"two empty ones are equal.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const policy = 0x126
			return c.comparesNegative() && (ours == 0 && theirs == policy || ours == policy && theirs == 0)
		},
	},
}

// rcBadTag is TPM_RC_BAD_TAG (Part 2, section "TPM_RC"), which go-tpm lacks.
const rcBadTag = 0x1e

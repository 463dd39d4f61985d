package differential

import (
	"bytes"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// Known lists the differences known between this module's emulator and the
// references. An entry without its own name under Against holds for all of
// them.
func Known() []Difference { return slices.Clone(known) }

var known = []Difference{
	{
		ID: "bad-tag",
		Reason: "A command whose tag is neither TPM_ST_NO_SESSIONS nor TPM_ST_SESSIONS is answered with TPM_ST_RSP_COMMAND " +
			"and TPM_RC_BAD_TAG, so that TPM 1.2 software understands (Part 2, section \"TPM_ST\"; the TCG reference code does so " +
			"since 1.59). The references are older: they keep the tag 0x8001, and libtpms answers TPM_RC_VALUE to most tags.",
		Match: func(c *Case) bool {
			tag := number(c.Step().Data[:min(2, len(c.Step().Data))])
			return c.Step().isCommand() && tag != uint32(conformance.NoSessions) && tag != uint32(conformance.Sessions) &&
				bytes.HasPrefix(c.OurOutcome.Response, []byte{0x00, 0xc4}) && outcomeCode(c.OurOutcome) == rcBadTag
		},
	},
	{
		ID: "tpm12-tag", Against: []string{"simulator"},
		Reason: "A command with a tag of TPM 1.2 (TPM_TAG_RQU_COMMAND and the two for sessions) gets TPM_RC_VALUE in a TPM 2.0 header, " +
			"as libtpms answers it, because OVMF tells the two kinds of TPM apart by the tag of the answer.",
		Match: func(c *Case) bool {
			const rcValue = 0x84
			tag := number(c.Step().Data[:min(2, len(c.Step().Data))])
			ours, theirs := c.Codes()
			return c.Step().isCommand() && tag >= 0xc1 && tag <= 0xc3 && ours == rcValue && theirs == rcBadTag
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
		ID: "needs-test",
		Reason: "As long as a function has not been tested and TPM2_SelfTest has not run, testResult is TPM_RC_NEEDS_TEST " +
			"(Part 3, section \"TPM2_GetTestResult\"). The references test on first use and always answer TPM_RC_SUCCESS.",
		Match: func(c *Case) bool {
			return c.successes(tpm2.TPMCCGetTestResult) &&
				bytes.HasSuffix(c.OurOutcome.Response, []byte{0, 0, 1, 0x53}) && bytes.HasSuffix(c.TheirOutcome.Response, []byte{0, 0, 0, 0})
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
			"Platform TPM Profile; PCR 16 and 21 to 23 is what libtpms has and what we have. So its counter gets ahead " +
			"by one with every startup, and scripts that touch these PCRs drive the counters apart; against swtpm they are " +
			"compared exactly.",
		Match: func(c *Case) bool {
			return c.successes(tpm2.TPMCCPCRRead) && c.sameBut(10, 14) && c.countersExplained() || c.asksFor(tpm2.TPMCapPCRProperties)
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
		ID: "da-used", Against: []string{"simulator"},
		Reason: "The simulator is built without the mark that an object with dictionary attack protection was used, so every " +
			"start without a shutdown before it counts as a failed try (Part 1, section \"Dictionary Attack Protection\"). " +
			"Ours, like swtpm's, counts one only after such a use.",
		Match: func(c *Case) bool { return c.asksFor(tpm2.TPMCapTPMProperties) && c.propertiesBut(0x200, 0x20e) },
	},
	{
		ID: "nv-not-written",
		Reason: "The bytes of an NV index that no write has covered have no value that the specification gives; the references have " +
			"left-overs of their NV memory there (Part 3, section \"TPM2_NV_Write\").",
		Match: func(c *Case) bool { return c.readsUnwritten() },
	},
	{
		ID: "persistent-slot",
		Reason: "The references look for a free object slot before they look for the persistent object to be put there, so with all " +
			"slots taken an object that does not exist gives TPM_RC_OBJECT_MEMORY. We answer TPM_RC_HANDLE, which is what " +
			"freeing a slot would lead to anyway (Part 1, section \"Object Handles\").",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			return c.Step().isCommand() && ours&0x8ff == 0x08b && theirs == uint32(tpm2.TPMRCObjectMemory) && c.handleBetween(0x81000000, 0x81ffffff)
		},
	},
	{
		ID: "clock-not-saved", Against: []string{"swtpm"},
		Reason: "TPM2_ClockSet that crosses the interval at which Clock is saved saves it (Part 3, section \"TPM2_ClockSet\"; Part 1, " +
			"section \"Clock\"), so that Clock does not go back when power is lost. libtpms 0.9 loses the new value.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			behind := c.Command() == uint32(tpm2.TPMCCClockSet) && ours == 0x1c4 && theirs == 0 || c.successes(tpm2.TPMCCReadClock) && c.sameTimeBut(8, 16, 24, 25)
			return behind && c.clockSetAndLost()
		},
	},
	{
		ID: "counts-after-shutdown",
		Reason: "A DRTM sequence, or another change of PCR 16 to 23, between TPM2_Shutdown(STATE) and the loss of power raises the " +
			"restart count and the PCR update counter. The references bring back what TPM2_Shutdown saved and so use the same " +
			"counts twice; ours never repeats one, because the counts tell an attester that something happened in between " +
			"(Part 1, section \"Reset Count, Restart Count\").",
		Match: func(c *Case) bool {
			counts := c.successes(tpm2.TPMCCPCRRead) && c.sameBut(10, 14) ||
				c.successes(tpm2.TPMCCReadClock) && (c.sameTimeBut(20, 24) || c.clockSetAndLost() && c.sameTimeBut(8, 16, 20, 24, 24, 25))
			return counts && c.countedAfterShutdown()
		},
	},
	{
		ID: "retry", Against: []string{"swtpm"}, Diverges: true,
		Reason: "To the first authorization with dictionary attack protection after a start libtpms answers TPM_RC_RETRY, having " +
			"recorded that there was one. Ours records it with the command, before the response leaves (Part 1, section " +
			"\"Dictionary Attack Protection\"), because clients such as go-tpm do not try again.",
		Match: func(c *Case) bool {
			_, theirs := c.Codes()
			return c.Step().isCommand() && theirs == uint32(tpm2.TPMRCRetry)
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
		Reason: "The references know the numbers TPM_CAP_ACT (libtpms) and TPM_CAP_VENDOR_PROPERTY without having anything to report, " +
			"and so look at the parameters behind them first; we refuse a capability we do not have at once. Both say " +
			"TPM_RC_VALUE or what is wrong with the command besides (Part 3, section \"TPM2_GetCapability\").",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			p := afterHeader(c.Step().Data)
			return c.Command() == uint32(tpm2.TPMCCGetCapability) && ours == 0x1c4 && theirs != 0 && len(p) >= 4 &&
				slices.Contains([]uint32{uint32(tpm2.TPMCapACT), 0x100}, number(p[:4]))
		},
	},
	{
		ID: "algorithm-not-there",
		Reason: "TPM2_TestParms and TPM2_IncrementalSelfTest name an algorithm that only one of the devices lists with " +
			"TPM2_GetCapability. The other refuses it with TPM_RC_TYPE or TPM_RC_VALUE, as it has to.",
		Match: func(c *Case) bool { return c.refusesAlgorithm() },
	},
	{
		ID: "size-not-there", Against: []string{"simulator"},
		Reason: "The simulator has neither RSA keys of 3,072 bits nor the curve P-192, and refuses them in TPM2_TestParms with " +
			"TPM_RC_VALUE and TPM_RC_CURVE (Part 3, section \"TPM2_TestParms\"). We have both, as libtpms has.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const valueP1, curveP1 = 0x1c4, 0x1e6
			return c.Command() == uint32(tpm2.TPMCCTestParms) && ours == 0 &&
				(theirs == valueP1 && c.names(uint32(tpm2.TPMAlgRSA), 3072) || theirs == curveP1 && c.names(uint32(tpm2.TPMAlgECC), uint32(tpm2.TPMECCNistP192)))
		},
	},
	{
		ID: "signing-method", Against: []string{"simulator"},
		Reason: "The simulator reports ECDSA as a method, which the TCG Algorithm Registry and libtpms do not.",
		Match: func(c *Case) bool {
			return c.asksFor(tpm2.TPMCapAlgs) && c.elementsBut(tpm2.TPMCapAlgs, uint32(tpm2.TPMAlgECDSA))
		},
	},
	{
		ID: "split-max",
		Reason: "TPM_PT_SPLIT_MAX is the number of ephemeral keys for TPM2_Commit, and zero in a TPM without that command " +
			"(Part 2, section \"TPM_PT\").",
		Match: func(c *Case) bool {
			commit := uint32(tpm2.TPMCCCommit)
			return c.asksFor(tpm2.TPMCapTPMProperties) && c.comparer.ours.has(commit) != c.comparer.theirs.has(commit) && c.propertiesBut(0x128)
		},
	},
	{
		ID: "policy-template",
		Reason: "A templateHash that contradicts another hash of the session is refused with TPM_RC_CPHASH (Part 3, section " +
			"\"TPM2_PolicyTemplate\", as the TCG reference code answers since 1.83). The references are older and answer TPM_RC_VALUE.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			return c.Command() == uint32(tpm2.TPMCCPolicyTemplate) && ours == uint32(tpm2.TPMRCCPHash) && theirs == 0x1c4
		},
	},
	{
		ID: "policy-code-not-there", Diverges: true,
		Reason: "TPM2_PolicyCommandCode refuses the code of a command that the TPM does not have (Part 3, section " +
			"\"TPM2_PolicyCommandCode\"), and here only one of them lists it with TPM2_GetCapability.",
		Match: func(c *Case) bool {
			p := afterHeader(c.Step().Data)
			if c.Command() != uint32(tpm2.TPMCCPolicyCommandCode) || len(p) < 4 {
				return false
			}
			code := number(p[len(p)-4:])
			return c.comparer.ours.has(code) != c.comparer.theirs.has(code)
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
		Reason: "Of two negative numbers the references take the larger one for the smaller one. Numbers with a sign are in two's " +
			"complement (Part 2, section \"TPM_EO\"), as the TCG reference code has them since 1.83.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const policy = 0x126
			return c.comparesNegative() && (ours == 0 && theirs == policy || ours == policy && theirs == 0)
		},
	},
	{
		ID: "policy-short-name",
		Reason: "A keySign of no or one octet has no hash algorithm, and is refused for its size, as in the TCG reference code since " +
			"1.83 (Part 3, section \"TPM2_PolicyAuthorize\"). The references read the algorithm from what is behind it.",
		Match: func(c *Case) bool {
			ours, theirs := c.Codes()
			const sizeP3, hashP3 = 0x3d5, 0x3c3
			return c.Command() == uint32(tpm2.TPMCCPolicyAuthorize) && ours == sizeP3 && theirs == hashP3
		},
	},
}

// rcBadTag is TPM_RC_BAD_TAG (Part 2, section "TPM_RC"), which go-tpm lacks.
const rcBadTag = 0x1e

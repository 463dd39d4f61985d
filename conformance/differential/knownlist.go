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
func Known() []Difference {
	return []Difference{
		{
			ID: "bad-tag",
			Reason: "A command whose tag is neither TPM_ST_NO_SESSIONS nor TPM_ST_SESSIONS is answered with TPM_ST_RSP_COMMAND " +
				"and TPM_RC_BAD_TAG, so that TPM 1.2 software understands (Part 2, section \"TPM_ST\"; the TCG reference code does so " +
				"since 1.59). The references are older: they keep the tag 0x8001, and libtpms answers TPM_RC_VALUE to most tags.",
			Match: func(c *Case) bool {
				tag := number(c.Step().Data[:min(2, len(c.Step().Data))])
				return c.Step().Action == Send && tag != uint32(conformance.NoSessions) && tag != uint32(conformance.Sessions) &&
					bytes.HasPrefix(c.OurOutcome.Response, []byte{0x00, 0xc4}) && outcomeCode(c.OurOutcome) == rcBadTag
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
				"Platform TPM Profile; PCR 16 and 21 to 23 is what libtpms has and what we have. So the counters run apart " +
				"from TPM2_Startup on; against swtpm they are compared exactly.",
			Match: func(c *Case) bool {
				return c.successes(tpm2.TPMCCPCRRead) && c.sameBut(10, 14) || c.asksFor(tpm2.TPMCapPCRProperties)
			},
		},
		{
			ID: "reset-count", Against: []string{"simulator"},
			Reason: "The simulator keeps its reset count when it is manufactured anew, so the counts of its scripts go on from each " +
				"other. Against swtpm they are compared exactly.",
			Match: func(c *Case) bool { return c.successes(tpm2.TPMCCReadClock) && c.sameTimeBut(16, 20) },
		},
		{
			ID: "da-used", Against: []string{"simulator"},
			Reason: "The simulator is built without the mark that an object with dictionary attack protection was used, so every " +
				"start without a shutdown before it counts as a failed try (Part 1, section \"Dictionary Attack Protection\"). " +
				"Ours, like swtpm's, counts one only after such a use.",
			Match: func(c *Case) bool { return c.asksFor(tpm2.TPMCapTPMProperties) && c.propertiesBut(0x200, 0x20e) },
		},
		{
			ID: "persistent-slot",
			Reason: "The references look for a free object slot before they look for the persistent object to be put there, so with all " +
				"slots taken an object that does not exist gives TPM_RC_OBJECT_MEMORY. We answer TPM_RC_HANDLE, which is what " +
				"freeing a slot would lead to anyway (Part 1, section \"Object Handles\").",
			Match: func(c *Case) bool {
				ours, theirs := c.Codes()
				return c.Step().Action == Send && ours&0x8ff == 0x08b && theirs == uint32(tpm2.TPMRCObjectMemory) && c.handleBetween(0x81000000, 0x81ffffff)
			},
		},
		{
			ID: "clock-not-saved", Against: []string{"swtpm"},
			Reason: "TPM2_ClockSet that crosses the interval at which Clock is saved saves it (Part 3, section \"TPM2_ClockSet\"; Part 1, " +
				"section \"Clock\"), so that Clock does not go back when power is lost. libtpms 0.9 loses the new value.",
			Match: func(c *Case) bool {
				ours, theirs := c.Codes()
				behind := c.Command() == uint32(tpm2.TPMCCClockSet) && ours == 0x1c4 && theirs == 0 || c.successes(tpm2.TPMCCReadClock) && c.sameTimeBut(8, 16)
				return behind && c.clockSetAndLost()
			},
		},
		{
			ID: "act-capability", Against: []string{"swtpm"},
			Reason: "libtpms knows TPM_CAP_ACT without having an ACT and blames the second parameter; a TPM that does not implement " +
				"a capability blames the first (Part 3, section \"TPM2_GetCapability\").",
			Match: func(c *Case) bool {
				ours, theirs := c.Codes()
				return c.Command() == uint32(tpm2.TPMCCGetCapability) && ours == 0x1c4 && theirs == 0x2c4
			},
		},
	}
}

// successes says whether both devices executed the command.
func (c *Case) successes(code tpm2.TPMCC) bool {
	ours, theirs := c.Codes()
	return c.Command() == uint32(code) && ours == 0 && theirs == 0
}

// sameBut says whether the responses are equal but for the bytes from..to.
func (c *Case) sameBut(from, to int) bool {
	a, b := c.OurOutcome.Response, c.TheirOutcome.Response
	return len(a) == len(b) && len(a) >= to && bytes.Equal(a[:from], b[:from]) && bytes.Equal(a[to:], b[to:])
}

// sameTimeBut says whether two TPMS_TIME_INFO agree but for the bytes
// from..to.
func (c *Case) sameTimeBut(from, to int) bool {
	a, errA := conformance.ParseResponse(c.Command(), c.OurOutcome.Response)
	b, errB := conformance.ParseResponse(c.Command(), c.TheirOutcome.Response)
	if errA != nil || errB != nil || len(a.Parameters) != 25 || len(b.Parameters) != 25 {
		return false
	}
	patched := bytes.Clone(a.Parameters)
	copy(patched[from:to], b.Parameters[from:to])
	return compareClocks(patched, b.Parameters) == ""
}

// propertiesBut says whether the properties both devices report agree but for
// the given ones.
func (c *Case) propertiesBut(properties ...uint32) bool {
	a, errA := conformance.ParseResponse(c.Command(), c.OurOutcome.Response)
	b, errB := conformance.ParseResponse(c.Command(), c.TheirOutcome.Response)
	if errA != nil || errB != nil {
		return false
	}
	ours, errA := parseCapability(a.Parameters)
	theirs, errB := parseCapability(b.Parameters)
	if errA != nil || errB != nil {
		return false
	}
	without := slices.DeleteFunc(ours.entries, func(e entry) bool { return slices.Contains(properties, e.key) })
	return compareEntries(uint32(tpm2.TPMCapTPMProperties), without, theirs.entries) == ""
}

// handleBetween says whether the command's handle area has a handle in a
// range.
func (c *Case) handleBetween(first, last uint32) bool {
	sent, ok := takeApart(c.Step().Data)
	return ok && slices.ContainsFunc(sent.Handles, func(h uint32) bool { return first <= h && h <= last })
}

// clockSetAndLost says whether the script sets the clock and cuts the power
// afterwards.
func (c *Case) clockSetAndLost() bool {
	set := false
	for _, step := range c.Script[:c.At] {
		code, _ := conformance.CommandCode(step.Data)
		switch {
		case step.Action == Send && tpm2.TPMCC(code) == tpm2.TPMCCClockSet:
			set = true
		case step.Action == Init && set:
			return true
		}
	}
	return false
}

// asksFor says whether the step is a successful question for a capability.
func (c *Case) asksFor(capability tpm2.TPMCap) bool {
	p := afterHeader(c.Step().Data)
	return c.successes(tpm2.TPMCCGetCapability) && len(p) >= 4 && number(p[:4]) == uint32(capability)
}

// rcBadTag is TPM_RC_BAD_TAG (Part 2, section "TPM_RC"), which go-tpm lacks.
const rcBadTag = 0x1e

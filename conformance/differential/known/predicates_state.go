package known

import (
	"bytes"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/comparison"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// What entries of the list of known differences ask about the state that the
// script has made before a case.

// definition gives the handle and the attributes of the index that a
// TPM2_NV_DefineSpace defines.
func definition(p conformance.Packet) (index, attributes uint32, ok bool) {
	_, rest, _ := conformance.CutSized(p.Parameters)
	public, _, ok := conformance.CutSized(rest)
	if !ok || len(public) < 10 {
		return 0, 0, false
	}
	return wire.Number(public[:4]), wire.Number(public[6:10]), true
}

// namesOrderlyLockLost reports whether the command names an orderly NV index that
// the script has locked before a _TPM_Init.
func (c *Case) namesOrderlyLockLost() bool {
	named, ok := c.Step().Command()
	if !ok {
		return false
	}
	orderly, locked, lost := map[uint32]bool{}, map[uint32]bool{}, map[uint32]bool{}
	for _, step := range c.Script[:c.At] {
		if step.Action == conversation.Init {
			for h := range locked {
				lost[h] = true
			}
		}
		command, ok := step.Command()
		if !ok {
			continue
		}
		switch tpm2.TPMCC(command.Code) {
		case tpm2.TPMCCNVDefineSpace:
			if index, attributes, ok := definition(command); ok && attributes&wire.NVOrderly != 0 {
				orderly[index] = true
			}
		case tpm2.TPMCCNVWriteLock, tpm2.TPMCCNVReadLock:
			if h := command.Handles[1]; orderly[h] {
				locked[h] = true
			}
		case tpm2.TPMCCNVGlobalWriteLock:
			for h := range orderly {
				locked[h] = true
			}
		}
	}
	return slices.ContainsFunc(named.Handles, func(h uint32) bool { return lost[h] })
}

// allocationCleared reports whether the script has TPM2_PCR_Allocate, TPM2_Clear
// and a _TPM_Init in this order.
func (c *Case) allocationCleared() bool {
	allocated, cleared := false, false
	for _, step := range c.Script[:c.At] {
		code, _ := conformance.CommandCode(step.Data)
		switch {
		case step.Action == conversation.Init && cleared:
			return true
		case !step.IsCommand():
		case tpm2.TPMCC(code) == tpm2.TPMCCPCRAllocate:
			allocated, cleared = true, false
		case tpm2.TPMCC(code) == tpm2.TPMCCClear:
			cleared = allocated
		}
	}
	return false
}

// showsAllocation reports whether the answer depends on which PCRs there are.
func (c *Case) showsAllocation() bool {
	switch tpm2.TPMCC(c.Command()) {
	case tpm2.TPMCCPCRRead, tpm2.TPMCCPCRAllocate, tpm2.TPMCCPCREvent, tpm2.TPMCCEventSequenceComplete, tpm2.TPMCCPolicyPCR,
		tpm2.TPMCCPolicyGetDigest, tpm2.TPMCCQuote, tpm2.TPMCCCreate, tpm2.TPMCCCreatePrimary:
		return true
	}
	return c.asksFor(tpm2.TPMCapPCRs)
}

// changedAfterShutdown reports whether the script has a command between a
// TPM2_Shutdown and the next _TPM_Init that may be audited, counts commitments,
// allocates PCRs or flushes a session: TPM2_SetCommandCodeAuditStatus and any
// command once it has been sent, and those that do the others.
func (c *Case) changedAfterShutdown() bool {
	shut, changed, any := false, false, false
	for i, step := range c.Script[:c.At] {
		code, _ := conformance.CommandCode(step.Data)
		switch {
		case step.Action == conversation.Init && changed:
			return true
		case step.Action == conversation.Init:
			shut = false
		case !step.IsCommand():
		case tpm2.TPMCC(code) == tpm2.TPMCCShutdown:
			shut, changed = true, changed && !shutsDown(step)
		case tpm2.TPMCC(code) == tpm2.TPMCCSetCommandCodeAuditStatus:
			any, changed = true, shut
		case tpm2.TPMCC(code) == tpm2.TPMCCECEphemeral, tpm2.TPMCC(code) == tpm2.TPMCCCommit, tpm2.TPMCC(code) == tpm2.TPMCCZGen2Phase,
			tpm2.TPMCC(code) == tpm2.TPMCCPCRAllocate,
			flushesSaved(c.Script[:i], step), any && shut:
			changed = shut
		}
	}
	return false
}

// contextRefusedAfterShutdown reports whether the script loads or saves a context
// between a TPM2_Shutdown and the next _TPM_Init, and was refused.
func (c *Case) contextRefusedAfterShutdown() bool {
	shut, refused := false, false
	for i, step := range c.Script[:c.At] {
		code, _ := conformance.CommandCode(step.Data)
		switch {
		case step.Action == conversation.Init && refused:
			return true
		case step.Action == conversation.Init:
			shut = false
		case tpm2.TPMCC(code) == tpm2.TPMCCShutdown:
			shut, refused = true, false
		case tpm2.TPMCC(code) == tpm2.TPMCCContextLoad, tpm2.TPMCC(code) == tpm2.TPMCCContextSave:
			refused = refused || shut && c.Answers[i].Code() != 0
		}
	}
	return false
}

// startedTwice reports whether after a _TPM_Init there are two TPM2_Startup, of
// which the first must have failed.
func (c *Case) startedTwice() bool {
	starts := 0
	for _, step := range c.Script[:c.At] {
		code, _ := conformance.CommandCode(step.Data)
		switch {
		case step.Action == conversation.Init:
			starts = 1
		case step.IsCommand() && tpm2.TPMCC(code) == tpm2.TPMCCStartup && starts > 0:
			if starts++; starts > 2 {
				return true
			}
		}
	}
	return false
}

// startedUnorderly reports whether the script has a _TPM_Init that may not have been
// in order: the command before it is no TPM2_Shutdown(CLEAR), which never fails
// and is not undone before the next one.
func (c *Case) startedUnorderly() bool {
	orderly := false
	for _, step := range c.Script[:c.At] {
		switch {
		case step.Action == conversation.Init && !orderly:
			return true
		case step.IsCommand():
			orderly = shutsDown(step)
		}
	}
	return false
}

// shutsDown reports whether the step is TPM2_Shutdown(CLEAR). The other kind fails if
// TPM2_PCR_Allocate came before it.
func shutsDown(s conversation.Step) bool { return bytes.HasSuffix(s.Data, []byte{0, 0, 1, 0x45, 0, 0}) }

// usedAfterShutdown reports whether the script has a command between a TPM2_Shutdown
// and the next _TPM_Init that uses an object or an NV index with an
// authorization.
func (c *Case) usedAfterShutdown() bool {
	shut, used := false, false
	for _, step := range c.Script[:c.At] {
		command, ok := step.Command()
		switch {
		case step.Action == conversation.Init && used:
			return true
		case step.Action == conversation.Init:
			shut = false
		case !ok:
		case tpm2.TPMCC(command.Code) == tpm2.TPMCCShutdown:
			shut, used = true, used && !shutsDown(step)
		case shut && wire.Number(step.Data[:2]) == uint32(conformance.Sessions):
			used = used || slices.ContainsFunc(command.Handles, func(h uint32) bool { return h>>24 == 0x80 || h>>24 == 0x81 || h>>24 == 0x01 })
		}
	}
	return false
}

// showsOrderly reports whether the answer depends on whether the last shutdown was
// orderly: on counts, and on what TPM Restart keeps and TPM Reset does not.
func (c *Case) showsOrderly() bool {
	switch tpm2.TPMCC(c.Command()) {
	case tpm2.TPMCCStartup, tpm2.TPMCCReadClock, tpm2.TPMCCContextLoad, tpm2.TPMCCPolicyCounterTimer,
		tpm2.TPMCCCommit, tpm2.TPMCCECEphemeral, tpm2.TPMCCZGen2Phase, tpm2.TPMCCStartAuthSession:
		return true
	}
	return c.asksFor(tpm2.TPMCapTPMProperties) || c.asksFor(tpm2.TPMCapHandles) || c.successes(tpm2.TPMCCPCRRead) && c.sameBut(0, 4) ||
		c.handleBetween(0x01000000, 0x03ffffff)
}

// pinByPolicy reports whether the command names a PIN index that a policy session
// has authorized something of before, and so was counted by one of the devices
// perhaps.
func (c *Case) pinByPolicy() bool {
	named, ok := c.Step().Command()
	if !ok {
		return false
	}
	pins, used := map[uint32]bool{}, map[uint32]bool{}
	for _, step := range c.Script[:c.At] {
		command, ok := step.Command()
		if !ok {
			continue
		}
		if tpm2.TPMCC(command.Code) == tpm2.TPMCCNVDefineSpace {
			index, attributes, ok := definition(command)
			pins[index] = ok && attributes>>wire.NVTypeShift&0xf >= 8
			continue
		}
		area, sound := wire.Sessions(step.Data)
		if sound && len(command.Handles) > 0 && pins[command.Handles[0]] {
			used[command.Handles[0]] = used[command.Handles[0]] || slices.ContainsFunc(area, func(s conformance.Session) bool { return s.Handle>>24 == 0x03 })
		}
	}
	return slices.ContainsFunc(named.Handles, func(h uint32) bool { return used[h] })
}

// flushesSaved reports whether the step is a TPM2_FlushContext of a session that a
// step before has saved.
func flushesSaved(before conversation.Script, step conversation.Step) bool {
	code, _ := conformance.CommandCode(step.Data)
	if tpm2.TPMCC(code) != tpm2.TPMCCFlushContext || len(step.Data) < conformance.HeaderSize+4 {
		return false
	}
	handle := step.Data[len(step.Data)-4:] // the last parameter
	return slices.ContainsFunc(before, func(s conversation.Step) bool {
		code, _ := conformance.CommandCode(s.Data)
		return tpm2.TPMCC(code) == tpm2.TPMCCContextSave && (handle[0] == 0x02 || handle[0] == 0x03) && bytes.HasSuffix(s.Data, handle[1:])
	})
}

// pinLimitByPolicy reports whether ours does not let a policy session use the
// authValue of a PIN index.
func (c *Case) pinLimitByPolicy() bool {
	const authUnavailable = 0x12f
	ours, _ := c.Codes()
	command, ok := c.Step().Command()
	area, sound := wire.Sessions(c.Step().Data)
	if ours != authUnavailable || !ok || !sound {
		return false
	}
	byPolicy := map[uint32]bool{}
	for i := range min(len(area), len(command.Handles)) {
		byPolicy[command.Handles[i]] = area[i].Handle>>24 == 0x03
	}
	return slices.ContainsFunc(c.Script[:c.At], func(step conversation.Step) bool {
		defines, ok := step.Command()
		if !ok || tpm2.TPMCC(defines.Code) != tpm2.TPMCCNVDefineSpace {
			return false
		}
		index, attributes, ok := definition(defines)
		return ok && byPolicy[index] && attributes>>wire.NVTypeShift&0xf >= 8
	})
}

// refusesAuditAttributes reports whether ours refuses a session for attributes that
// qualify audit, which it does not have.
func (c *Case) refusesAuditAttributes() bool {
	const attributes, session = 0x082, 0x800
	ours, _ := c.Codes()
	at := int(ours>>8&7) - 1
	area, _ := wire.LeadingSessions(c.Step().Data) // the area may be cut after that session
	return ours&^0x700 == attributes|session && at >= 0 && at < len(area) &&
		area[at].Attributes&wire.AttributeAudit == 0 && area[at].Attributes&(wire.AttributeAuditExclusive|wire.AttributeAuditReset) != 0
}

// echoesAuditReset reports whether two successes differ in nothing but auditReset in
// the response to a command that has it.
func (c *Case) echoesAuditReset() bool {
	ours, errOurs := conformance.ParseResponse(c.Command(), c.OurOutcome.Response)
	theirs, errTheirs := conformance.ParseResponse(c.Command(), c.TheirOutcome.Response)
	if errOurs != nil || errTheirs != nil || ours.Code != 0 || theirs.Code != 0 {
		return false
	}
	detail, echo := comparison.Sessions(ours.Sessions, theirs.Sessions)
	area, sound := wire.Sessions(c.Step().Data)
	return echo && detail == c.Detail && sound && slices.ContainsFunc(area, func(s conformance.Session) bool {
		return s.Attributes&(wire.AttributeAudit|wire.AttributeAuditReset) == wire.AttributeAudit|wire.AttributeAuditReset
	})
}

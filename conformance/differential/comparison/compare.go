package comparison

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Pair compares the outcomes of two devices, whose identities it holds.
type Pair struct {
	Ours, Theirs *Identity
}

// Verdict is the result of comparing one step.
type Verdict uint8

const (
	// Equal outcomes have the same bytes, apart from those that may differ.
	Equal Verdict = iota
	// OneSided outcomes are those of a command that one device does not implement, and
	// refuses with TPM_RC_COMMAND_CODE.
	OneSided
	// Different outcomes are all others.
	Different
)

// Compare compares the outcomes of a step; detail describes a difference.
func (c *Pair) Compare(step conversation.Step, ours, theirs conversation.Outcome) (v Verdict, detail string) {
	if (ours.Err == nil) != (theirs.Err == nil) {
		return Different, "only one of them answered"
	}
	if !step.IsCommand() || ours.Err != nil {
		return Equal, ""
	}
	code, ok := conformance.CommandCode(theirs.Sent)
	if ok && c.Ours.Has(code) != c.Theirs.Has(code) {
		return c.compareOneSided(code, ours, theirs)
	}
	if bytes.Equal(ours.Response, theirs.Response) && ours.Code() != 0 {
		return Equal, ""
	}
	a, errA := conformance.ParseResponse(code, ours.Plain)
	b, errB := conformance.ParseResponse(code, theirs.Plain)
	switch {
	case errA != nil && !bytes.Equal(ours.Response, theirs.Response):
		return Different, "ours: " + errA.Error()
	case errB != nil && !bytes.Equal(ours.Response, theirs.Response):
		return Different, "theirs: " + errB.Error()
	case a.Code != b.Code:
		return Different, fmt.Sprintf("ours %s, theirs %s", conformance.Describe(a.Code), conformance.Describe(b.Code))
	case a.Tag != b.Tag:
		return Different, fmt.Sprintf("tag: ours %#x, theirs %#x", a.Tag, b.Tag)
	case a.Handle != b.Handle:
		return Different, fmt.Sprintf("handle: ours %#x, theirs %#x", a.Handle, b.Handle)
	}
	switch {
	case ours.Problem != "":
		return Different, "ours alone: " + ours.Problem
	case theirs.Problem != "":
		return Different, "theirs alone: " + theirs.Problem
	}
	sessions, echo := Sessions(a.Sessions, b.Sessions)
	if sessions != "" && !echo {
		return Different, sessions
	}
	if ours.Opaque || theirs.Opaque {
		return differentIf(sessions) // what the caller cannot read, it cannot compare
	}
	same := ours.Inputs == theirs.Inputs
	if tpm2.TPMCC(code) == tpm2.TPMCCGetCommandAuditDigest {
		same = ours.History == theirs.History
	}
	if detail := c.compareParameters(code, theirs.Sent, a.Parameters, b.Parameters, same); detail != "" {
		return Different, detail
	}
	return differentIf(sessions)
}

// differentIf returns Different if there is a detail.
func differentIf(detail string) (Verdict, string) {
	if detail == "" {
		return Equal, ""
	}
	return Different, detail
}

// compareOneSided wants TPM_RC_COMMAND_CODE from the device without the
// command, or the same complaint from both about the frame around it.
func (c *Pair) compareOneSided(code uint32, ours, theirs conversation.Outcome) (Verdict, string) {
	if ours.Same(theirs) {
		return Equal, ""
	}
	without, name := ours, c.Ours.name
	if c.Ours.Has(code) {
		without, name = theirs, c.Theirs.name
	}
	if rc, ok := conformance.ResponseCode(without.Response); ok && rc == uint32(tpm2.TPMRCCommandCode) {
		return OneSided, ""
	}
	return Different, fmt.Sprintf("%s does not list %s and answers %s", name, conformance.CommandName(code), without)
}

// Sessions compares authorization areas. The nonces and HMACs of
// sessions other than passwords depend on random values, so only their sizes are
// compared. echo is set if auditReset is the
// only difference, and theirs has it set: then the parameters are compared first.
func Sessions(ours, theirs []conformance.Session) (detail string, echo bool) {
	if len(ours) != len(theirs) {
		return fmt.Sprintf("sessions: ours %d, theirs %d", len(ours), len(theirs)), false
	}
	for i := range ours {
		a, b := ours[i], theirs[i]
		switch {
		case len(a.Nonce) != len(b.Nonce) || len(a.HMAC) != len(b.HMAC) || a.Attributes&^wire.AttributeAuditReset != b.Attributes&^wire.AttributeAuditReset || a.Attributes&^b.Attributes != 0:
			return fmt.Sprintf("session %d: ours %x, theirs %x", i+1, a, b), false
		case a.Attributes != b.Attributes:
			detail, echo = fmt.Sprintf("session %d: attributes: ours %#x, theirs %#x", i+1, a.Attributes, b.Attributes), true
		}
	}
	return detail, echo
}

// compareParameters compares the parameters of two successes.
func (c *Pair) compareParameters(code uint32, command, ours, theirs []byte, same bool) string {
	if tpm2.TPMCC(code) == tpm2.TPMCCGetCapability {
		return c.compareCapability(wire.AfterHeader(command), ours, theirs)
	}
	layout := wire.LayoutOf(code)
	a, okA := layout.Split(ours)
	b, okB := layout.Split(theirs)
	if !okA || !okB {
		return fmt.Sprintf("layout: ours %s, theirs %s", hex.EncodeToString(ours), hex.EncodeToString(theirs))
	}
	for i, kind := range layout {
		if detail := difference(kind, a[i], b[i], same); detail != "" {
			return detail
		}
	}
	return ""
}

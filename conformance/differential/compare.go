package differential

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// comparer compares outcomes of two devices whose identities it knows.
type comparer struct {
	ours, theirs *identity
}

// verdict is the result of comparing one step.
type verdict uint8

const (
	// equal: the same bytes, or the same up to what may differ.
	equal verdict = iota
	// oneSided: one device does not implement the command and says so.
	oneSided
	// different: neither.
	different
)

// compare compares what became of a step; detail explains a difference.
func (c *comparer) compare(step Step, ours, theirs Outcome) (v verdict, detail string) {
	if (ours.Err == nil) != (theirs.Err == nil) {
		return different, "only one of them answered"
	}
	if !step.isCommand() || ours.Err != nil {
		return equal, ""
	}
	code, ok := conformance.CommandCode(theirs.Sent)
	if ok && c.ours.has(code) != c.theirs.has(code) {
		return c.compareOneSided(code, ours, theirs)
	}
	if bytes.Equal(ours.Response, theirs.Response) && outcomeCode(ours) != 0 {
		return equal, ""
	}
	a, errA := conformance.ParseResponse(code, ours.plain)
	b, errB := conformance.ParseResponse(code, theirs.plain)
	switch {
	case errA != nil && !bytes.Equal(ours.Response, theirs.Response):
		return different, "ours: " + errA.Error()
	case errB != nil && !bytes.Equal(ours.Response, theirs.Response):
		return different, "theirs: " + errB.Error()
	case a.Code != b.Code:
		return different, fmt.Sprintf("ours %s, theirs %s", conformance.Describe(a.Code), conformance.Describe(b.Code))
	case a.Tag != b.Tag:
		return different, fmt.Sprintf("tag: ours %#x, theirs %#x", a.Tag, b.Tag)
	case a.Handle != b.Handle:
		return different, fmt.Sprintf("handle: ours %#x, theirs %#x", a.Handle, b.Handle)
	}
	switch {
	case ours.Problem != "":
		return different, "ours alone: " + ours.Problem
	case theirs.Problem != "":
		return different, "theirs alone: " + theirs.Problem
	}
	sessions, echo := compareSessions(a.Sessions, b.Sessions)
	if sessions != "" && !echo {
		return different, sessions
	}
	if ours.opaque || theirs.opaque {
		return differentIf(sessions) // what the caller cannot read, it cannot compare
	}
	same := ours.inputs == theirs.inputs
	if tpm2.TPMCC(code) == tpm2.TPMCCGetCommandAuditDigest {
		same = ours.history == theirs.history
	}
	if detail := c.compareParameters(code, theirs.Sent, a.Parameters, b.Parameters, same); detail != "" {
		return different, detail
	}
	return differentIf(sessions)
}

// differentIf says that two answers differ in the detail, if there is one.
func differentIf(detail string) (verdict, string) {
	if detail == "" {
		return equal, ""
	}
	return different, detail
}

// compareOneSided wants TPM_RC_COMMAND_CODE from the device without the
// command, or the same complaint from both about the frame around it.
func (c *comparer) compareOneSided(code uint32, ours, theirs Outcome) (verdict, string) {
	if ours.same(theirs) {
		return equal, ""
	}
	without, name := ours, c.ours.name
	if c.ours.has(code) {
		without, name = theirs, c.theirs.name
	}
	if rc, ok := conformance.ResponseCode(without.Response); ok && rc == uint32(tpm2.TPMRCCommandCode) {
		return oneSided, ""
	}
	return different, fmt.Sprintf("%s does not list %s and answers %s", name, conformance.CommandName(code), without)
}

// compareSessions compares authorization areas. The nonces and HMACs of
// sessions that are no passwords are random or follow from random values, so
// only their sizes count. echo says that all that is different is auditReset,
// which theirs has set: then the parameters are worth a look first.
func compareSessions(ours, theirs []conformance.Session) (detail string, echo bool) {
	if len(ours) != len(theirs) {
		return fmt.Sprintf("sessions: ours %d, theirs %d", len(ours), len(theirs)), false
	}
	for i := range ours {
		a, b := ours[i], theirs[i]
		switch {
		case len(a.Nonce) != len(b.Nonce) || len(a.HMAC) != len(b.HMAC) || a.Attributes&^auditReset != b.Attributes&^auditReset || a.Attributes&^b.Attributes != 0:
			return fmt.Sprintf("session %d: ours %x, theirs %x", i+1, a, b), false
		case a.Attributes != b.Attributes:
			detail, echo = fmt.Sprintf("session %d: attributes: ours %#x, theirs %#x", i+1, a.Attributes, b.Attributes), true
		}
	}
	return detail, echo
}

// Bits of TPMA_SESSION that qualify audit.
const (
	audit          = 0x80
	auditExclusive = 0x02
	auditReset     = 0x04
)

// exact compares parameters byte by byte.
func exact(ours, theirs []byte) string {
	if bytes.Equal(ours, theirs) {
		return ""
	}
	at := 0
	for at < len(ours) && at < len(theirs) && ours[at] == theirs[at] {
		at++
	}
	return fmt.Sprintf("parameters: %d and %d bytes, from byte %d on ours %s, theirs %s", len(ours), len(theirs), at, excerpt(ours[at:]), excerpt(theirs[at:]))
}

// excerpt writes a few bytes.
func excerpt(b []byte) string {
	if len(b) > 8 {
		return hex.EncodeToString(b[:8]) + "…"
	}
	return hexOrDash(b)
}

// compareParameters compares the parameters of two successes.
func (c *comparer) compareParameters(code uint32, command, ours, theirs []byte, same bool) string {
	if tpm2.TPMCC(code) == tpm2.TPMCCGetCapability {
		return c.compareCapability(afterHeader(command), ours, theirs)
	}
	layout := layoutOf(code)
	a, okA := layout.split(ours)
	b, okB := layout.split(theirs)
	if !okA || !okB {
		return fmt.Sprintf("layout: ours %s, theirs %s", hex.EncodeToString(ours), hex.EncodeToString(theirs))
	}
	for i, kind := range layout {
		if detail := kind.difference(a[i], b[i], same); detail != "" {
			return detail
		}
	}
	return ""
}

// afterHeader gives the parameters of a command without handles; sessions are
// skipped.
func afterHeader(command []byte) []byte {
	rest := command[conformance.HeaderSize:]
	if number(command[:2]) != uint32(conformance.Sessions) || len(rest) < 4 {
		return rest
	}
	size := uint64(number(rest[:4]))
	if size > uint64(len(rest)-4) {
		return nil
	}
	return rest[4+size:]
}

// clockTolerance is how far apart the clocks of two devices may be, in
// milliseconds: scripts are played one after the other, and the machine may be
// busy.
const clockTolerance = 60_000

// compareClocks compares two TPMS_TIME_INFO: time and clock roughly, reset
// count, restart count and safe exactly.
func compareClocks(ours, theirs []byte) string {
	if len(ours) != 25 || len(theirs) != 25 {
		return fmt.Sprintf("TPMS_TIME_INFO has 25 bytes: ours %x, theirs %x", ours, theirs)
	}
	for _, field := range []struct {
		name string
		at   int
	}{{"time", 0}, {"clock", 8}} {
		a := uint64(number(ours[field.at:field.at+4]))<<32 | uint64(number(ours[field.at+4:field.at+8]))
		b := uint64(number(theirs[field.at:field.at+4]))<<32 | uint64(number(theirs[field.at+4:field.at+8]))
		if max(a, b)-min(a, b) > clockTolerance {
			return fmt.Sprintf("%s: ours %d ms, theirs %d ms", field.name, a, b)
		}
	}
	return exact(ours[16:], theirs[16:])
}

package faults

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// Fill has somebody else take the TPM's slots before the command comes to it: with sealed
// objects of the null hierarchy, or with sessions. They are really there: the client gets
// TPM_RC_OBJECT_MEMORY or TPM_RC_SESSION_MEMORY from the TPM when it needs more than is
// left, sees their handles in TPM2_GetCapability, and can flush them.
//
// They stay while the rule is in force, and until power goes. When it is not in force any
// more, the next command finds them flushed.
type Fill struct {
	Sessions bool // and not objects
	Left     int  // how many slots are left
}

var fillKind = Kind{
	Word: "fill", Value: "objects|sessions[:LEFT]", Group: Inside,
	Doc: "Before the command, others load so many objects, or start so many sessions, that LEFT slots (0 if it is not given) are left for the client: " +
		"TPM_RC_OBJECT_MEMORY or TPM_RC_SESSION_MEMORY for what needs more. They are flushed when the rule is no longer in force, and go with the power.",
	Example: "level=kernel..userspace: fill=objects:1",
	parse:   parseFill,
}

// maxFill bounds what is taken: a TPM has fewer slots.
const maxFill = 256

func parseFill(value string) (Fault, error) {
	what, left, has := strings.Cut(value, ":")
	f := Fill{Sessions: what == "sessions"}
	if !f.Sessions && what != "objects" {
		return nil, fmt.Errorf("what fills the slots is objects or sessions, and not %q", what)
	}
	if has {
		n, err := strconv.ParseUint(left, 10, 8)
		if err != nil || n == 0 {
			return nil, errLeft
		}
		f.Left = int(n)
	}
	return f, nil
}

var errLeft = errors.New("the number of slots that are left is one from 1 to 255")

func (Fill) kind() *Kind { return &fillKind }

func (f Fill) String() string {
	text := "fill=objects"
	if f.Sessions {
		text = "fill=sessions"
	}
	if f.Left > 0 {
		text += ":" + strconv.Itoa(f.Left)
	}
	return text
}

func (f Fill) check(*Plan, *Rule) string {
	if f.Left < 0 || f.Left > 255 {
		return errLeft.Error()
	}
	return ""
}

func (f Fill) apply(x *exchange) ([]byte, error) {
	took, err := f.fill(x)
	what := "objects"
	if f.Sessions {
		what = "sessions"
	}
	x.decision.Detail = fmt.Sprintf("%d %s were added", took, what)
	if err != nil {
		x.decision.Detail += ": " + err.Error()
	}
	return x.next()
}

// fill takes slots until so many are left as should be, and returns how many it took.
func (f Fill) fill(x *exchange) (took int, err error) {
	property, full := wire.PTHRTransientAvail, wire.RCObjectMemory
	if f.Sessions {
		property, full = wire.PTHRLoadedAvail, wire.RCSessionMemory
	}
	for ; took < maxFill; took++ {
		left, err := x.ask(0).Property(x.ctx, property)
		if err != nil || left <= uint32(f.Left) {
			return took, err
		}
		handle, err := f.take(x)
		if errors.Is(err, full) {
			return took, nil // TPM_PT_HR_TRANSIENT_AVAIL and its like are estimates
		}
		if err != nil {
			return took, err
		}
		keeps[guests](x.layer).add(x, handle)
	}
	return took, nil
}

// take takes one slot.
func (f Fill) take(x *exchange) (wire.Handle, error) {
	if !f.Sessions {
		return x.seal(nil)
	}
	parameters := wire.NewWriter(nil)
	parameters.Sized(x.bytes(16)) // nonceCaller
	parameters.Sized(nil)         // encryptedSalt
	parameters.U8(uint8(wire.SEHMAC))
	parameters.U16(uint16(wire.AlgNull))
	parameters.U16(uint16(wire.AlgSHA256))
	response, err := x.order(transport.TagNoSessions, wire.CCStartAuthSession, u32(uint32(wire.RHNull)), u32(uint32(wire.RHNull)), parameters.Data())
	if err == nil && len(response) < 4 {
		err = errNoResponse
	}
	if err != nil {
		return 0, fmt.Errorf("TPM2_StartAuthSession: %w", err)
	}
	s := scan{b: response}
	return wire.Handle(s.u32()), nil
}

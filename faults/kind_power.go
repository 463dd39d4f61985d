package faults

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// PowerCut takes the power from the TPM, before the command comes to it or after it was
// executed. Its answer is lost. It needs a device with transport.Power.
type PowerCut struct {
	// Cycle gives the power back at once: Init. Without it the TPM has no power until its
	// platform gives it some.
	Cycle bool
	// After has the TPM execute the command before.
	After bool
	// Shutdown is sent before power goes, Startup after it has come back, at locality 0.
	Shutdown, Startup StartupType
}

// StartupType is a TPM_SU, or none.
type StartupType uint8

// The types (TPM 2.0 Library Part 2, section "TPM_SU").
const (
	NoStartup    StartupType = iota
	StartupClear             // TPM_SU_CLEAR
	StartupState             // TPM_SU_STATE
)

var startupTypes = []string{"", "clear", "state"}

// Cut is the outcome of a PowerCut.
const Cut Outcome = "cut" // the TPM lost power, and the answer was lost

var powerKind = Kind{
	Word: "power", Value: "off|cycle[,after][,shutdown=clear|state][,startup=clear|state]", Group: Availability,
	Doc: "The TPM loses power before the command comes to it, or after it was executed (after), and the answer is lost. " +
		"TPM2_Shutdown is sent before only if that is said. With cycle power is back at once, and TPM2_Startup is sent if that is said.",
	Example: "NV_Write#2: power=cycle,after,startup=clear",
	parse:   parsePower,
}

func parsePower(value string) (Fault, error) {
	words := strings.Split(value, ",")
	var p PowerCut
	switch words[0] {
	case "off":
	case "cycle":
		p.Cycle = true
	default:
		return nil, errPower
	}
	for i, word := range words[1:] {
		key, kind, has := strings.Cut(word, "=")
		su := StartupType(max(0, slices.Index(startupTypes, kind)))
		switch {
		case slices.ContainsFunc(words[1:i+1], func(w string) bool { return strings.HasPrefix(w, key) }):
			return nil, fmt.Errorf("%s is given twice", key)
		case key == "after" && !has:
			p.After = true
		case key == "shutdown" && su != NoStartup:
			p.Shutdown = su
		case key == "startup" && su != NoStartup:
			p.Startup = su
		default:
			return nil, errPower
		}
	}
	if p.Startup != NoStartup && !p.Cycle {
		return nil, errNoStartup
	}
	return p, nil
}

var (
	errPower     = errors.New("it is written off or cycle, and then after, shutdown=clear|state and startup=clear|state as needed, with commas between them")
	errNoStartup = errors.New("a TPM without power cannot be sent TPM2_Startup: write cycle")
)

func (PowerCut) kind() *Kind { return &powerKind }

func (p PowerCut) String() string {
	text := "power=off"
	if p.Cycle {
		text = "power=cycle"
	}
	if p.After {
		text += ",after"
	}
	for _, one := range []struct {
		key string
		su  StartupType
	}{{"shutdown", p.Shutdown}, {"startup", p.Startup}} {
		if one.su > NoStartup && one.su <= StartupState {
			text += "," + one.key + "=" + startupTypes[one.su]
		}
	}
	return text
}

func (p PowerCut) check(*Plan, *Rule) string {
	switch {
	case p.Shutdown > StartupState || p.Startup > StartupState:
		return "there is no such type of TPM2_Startup"
	case p.Startup != NoStartup && !p.Cycle:
		return errNoStartup.Error()
	}
	return ""
}

// needs returns what the device must be able to.
func (PowerCut) needs(d transport.Device) string {
	if _, ok := transport.As[transport.Power](d); !ok {
		return "nobody can take the power from this TPM"
	}
	return ""
}

func (p PowerCut) apply(x *exchange) ([]byte, error) {
	if p.After {
		if response, err := x.next(); x.gone(err) {
			return response, err
		}
	}
	var said []string
	if p.Shutdown != NoStartup {
		response, err := x.send(0, p.Shutdown.command(wire.CCShutdown))
		if x.gone(err) {
			return response, err
		}
		said = append(said, "Shutdown: "+wire.RC(transport.ResponseCode(response)).String())
	}
	x.decision.Outcome = Cut
	l := x.layer
	if !p.Cycle {
		x.decision.Detail = strings.Join(said, ", ")
		return nil, errors.Join(ErrNoPower, l.powerOff())
	}
	err := errors.Join(l.powerOff(), l.initialize())
	if p.Startup != NoStartup && err == nil {
		var response []byte
		response, _, err = l.sendBelow(x.ctx, l.seam.era.Load(), 0, p.Startup.command(wire.CCStartup))
		said = append(said, "Startup: "+wire.RC(transport.ResponseCode(response)).String())
	}
	x.decision.Detail = strings.Join(said, ", ")
	return nil, errors.Join(ErrNoAnswer, err)
}

// command is TPM2_Startup or TPM2_Shutdown of a type.
func (t StartupType) command(code wire.CC) []byte {
	su := wire.SUClear
	if t == StartupState {
		su = wire.SUState
	}
	return transport.NewCommand(transport.TagNoSessions, uint32(code), []byte{byte(su >> 8), byte(su)})
}

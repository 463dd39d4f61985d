package faults

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Flap is a TPM that comes and goes: it is there for so many of the rule's commands and away for
// so many, again and again; or for times, counted from power-on.
type Flap struct {
	On, Off         int           // commands
	OnTime, OffTime time.Duration // if On and Off are 0
}

var flapKind = Kind{
	Word: "flap", Value: "ON/OFF", Group: Availability,
	Doc: "The TPM comes and goes: ON of the rule's commands go on, then OFF are lost at once, with an error (TPM_RC_FAILURE over a socket), and so forth; " +
		"ON and OFF are numbers of commands, or times from power-on.",
	Example: "*: flap=20/3",
	parse:   parseFlap,
}

func parseFlap(value string) (Fault, error) {
	on, off, _ := strings.Cut(value, "/")
	var f Flap
	n, okOn := number(on)
	m, okOff := number(off)
	if okOn && okOff {
		return Flap{On: n, Off: m}, nil
	}
	var errOn, errOff error
	f.OnTime, errOn = time.ParseDuration(on)
	f.OffTime, errOff = time.ParseDuration(off)
	if errOn != nil || errOff != nil || f.OnTime <= 0 || f.OffTime <= 0 {
		return nil, errFlap
	}
	return f, nil
}

var errFlap = errors.New("it is written ON/OFF, with two numbers of commands or two times, such as 20/3 or 5s/1s")

func (Flap) kind() *Kind { return &flapKind }

func (f Flap) String() string {
	if f.On > 0 {
		return fmt.Sprintf("flap=%d/%d", f.On, f.Off)
	}
	return fmt.Sprintf("flap=%s/%s", f.OnTime, f.OffTime)
}

func (f Flap) check(*Plan, *Rule) string {
	byCommands := f.On > 0 && f.Off > 0 && max(f.On, f.Off) <= maxCount && f.OnTime == 0 && f.OffTime == 0
	byTime := f.On == 0 && f.Off == 0 && f.OnTime > 0 && f.OffTime > 0 && f.OnTime+f.OffTime > 0
	if !byCommands && !byTime {
		return errFlap.Error()
	}
	return ""
}

func (f Flap) apply(x *exchange) ([]byte, error) {
	there := false
	if f.On > 0 {
		there = (x.decision.Occurrence-uint64(max(x.rule.When.First, 1)))%uint64(f.On+f.Off) < uint64(f.On)
	} else {
		there = x.layer.sincePower()%(f.OnTime+f.OffTime) < f.OnTime
	}
	if there {
		return x.next()
	}
	return x.lose()
}

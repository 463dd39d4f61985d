package faults

import (
	"errors"
	"strconv"
	"time"
)

// Vanish is a TPM that disappears: neither this command nor those that come later are executed or
// answered, until Init or power-off, or before.
type Vanish struct {
	For      time.Duration // 0 is no bound
	Commands int           // this one is the first; 0 is no bound
}

var goneKind = Kind{
	Word: "gone", Value: "[TIME|N]", Group: Availability,
	Doc: "The TPM disappears: from this command on each is lost at once, with an error (TPM_RC_FAILURE over a socket), until Init or power-off, " +
		"for TIME, or for N commands.",
	Example: "GetRandom#10: gone=2s",
	parse:   parseGone,
}

func parseGone(value string) (Fault, error) {
	if value == "" {
		return Vanish{}, nil
	}
	if n, ok := number(value); ok {
		return Vanish{Commands: n}, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return nil, errGone
	}
	return Vanish{For: d}, nil
}

var errGone = errors.New("it is gone for a time, such as 2s, or for a number of commands")

func (Vanish) kind() *Kind { return &goneKind }

func (v Vanish) String() string {
	switch {
	case v.Commands > 0:
		return "gone=" + strconv.Itoa(v.Commands)
	case v.For > 0:
		return "gone=" + v.For.String()
	}
	return "gone"
}

func (v Vanish) check(*Plan, *Rule) string {
	if v.For < 0 || v.Commands < 0 || v.Commands > maxCount || v.For > 0 && v.Commands > 0 {
		return errGone.Error()
	}
	return ""
}

func (v Vanish) apply(x *exchange) ([]byte, error) {
	if v.Commands != 1 {
		x.begin(v.For, max(0, v.Commands-1))
	}
	return x.lose()
}

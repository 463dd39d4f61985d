package faults

import (
	"errors"
	"strings"
	"time"
)

// Delay makes the command take longer: by Least, or by a time between Least and Most that
// is drawn, each time alike.
type Delay struct {
	Least time.Duration
	Most  time.Duration // 0 is Least
}

var delayKind = Kind{
	Word: "delay", Value: "TIME|TIME..TIME", Group: Availability,
	Doc:     "The command is executed TIME later, or after a time between the two that is drawn. A reset, power-off, new boot or cancel ends the wait before.",
	Example: "NV_Write: delay=150ms..400ms",
	parse:   parseDelay,
}

func parseDelay(value string) (Fault, error) {
	least, most, isRange := strings.Cut(value, "..")
	var d Delay
	var err error
	if d.Least, err = time.ParseDuration(least); err != nil {
		return nil, errDelay
	}
	if isRange {
		if d.Most, err = time.ParseDuration(most); err != nil || d.Most == 0 {
			return nil, errDelay
		}
	}
	if reason := d.check(nil, nil); reason != "" {
		return nil, errors.New(reason)
	}
	return d, nil
}

var errDelay = errors.New("a delay is a time, such as 200ms, or a shorter and a longer one, such as 10ms..200ms; the longest is above 0")

func (Delay) kind() *Kind { return &delayKind }

func (d Delay) String() string {
	text := "delay=" + d.Least.String()
	if d.Most != 0 {
		text += ".." + d.Most.String()
	}
	return text
}

func (d Delay) check(*Plan, *Rule) string {
	if d.Least < 0 || d.Least == 0 && d.Most <= 0 || d.Most != 0 && d.Most <= d.Least {
		return errDelay.Error()
	}
	return ""
}

func (d Delay) apply(x *exchange) ([]byte, error) {
	t := d.Least
	if d.Most > d.Least {
		t += time.Duration(x.random().Int64N(int64(d.Most-d.Least) + 1))
	}
	return x.wait(t, x.next)
}

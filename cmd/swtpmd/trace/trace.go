// Package trace writes a line for each command that a TPM is sent: its name, the
// handles, the sessions and the response code by their names.
package trace

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/message"
	"github.com/swtpmd/swtpmd/transport"
)

// Tracer writes lines. Its methods may be called from several goroutines if out's may.
type Tracer struct {
	Out io.Writer
	// Now gives the times; nil is time.Now.
	Now func() time.Time
}

// Device returns a Device of which every command is traced once it is answered. What
// else d can do is found through transport.As.
func (t *Tracer) Device(d transport.Device) transport.Device { return t.tap(d, "") }

// Own is Device for the commands that a program sends for itself.
func (t *Tracer) Own(d transport.Device) transport.Device { return t.tap(d, " own") }

func (t *Tracer) tap(d transport.Device, mark string) transport.Device {
	return transport.NewTap(d, t.Now, func(e transport.Exchange) {
		_, _ = io.WriteString(t.Out, Line(&e)+mark+"\n")
	})
}

// Line returns the line of an exchange, without its end: time, name and handles,
// what was answered, and what is not as it always is. No authorization, secret or data
// is in it.
func Line(e *transport.Exchange) string {
	var b strings.Builder
	c := message.ParseCommand(e.Command)
	fmt.Fprintf(&b, "%s %s(", e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), c.Name())
	for i, h := range c.All() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(message.Handle(h))
	}
	b.WriteString(")")
	for i, s := range c.Sessions {
		b.WriteString([]string{" auth=", ","}[min(i, 1)] + message.Handle(s.Handle))
	}
	switch r := message.ParseResponse(c.Code, e.Response); {
	case e.Err != nil:
		fmt.Fprintf(&b, " -> no answer: %v", e.Err)
	case r.HasHandle:
		fmt.Fprintf(&b, " -> %v %s", r.Code, message.Handle(r.Handle))
	default:
		fmt.Fprintf(&b, " -> %v", r.Code)
	}
	fmt.Fprintf(&b, " sent=%d received=%d took=%s", len(e.Command), len(e.Response), e.Duration.Round(time.Microsecond))
	for _, mark := range []struct {
		text string
		set  bool
	}{
		{fmt.Sprintf(" locality=%d", e.Locality), e.Locality != 0},
		{" malformed", !c.Sound},
		{" unseen", e.Unseen && e.Err == nil},
		{" probe", e.Probe},
	} {
		if mark.set {
			b.WriteString(mark.text)
		}
	}
	return b.String()
}

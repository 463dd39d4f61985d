package boot

import (
	"fmt"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// MissedCause says what stood between IMA's look and a TPM.
type MissedCause string

// The causes.
const (
	// NoTPM: no device of the machine is a TPM.
	NoTPM MissedCause = "no-tpm"
	// NotProbed: no driver had tried the device yet.
	NotProbed MissedCause = "not-probed"
	// Probing: a driver was at it.
	Probing MissedCause = "probing"
	// Deferred: the probe had ended with -EPROBE_DEFER, and nobody had
	// retried it.
	Deferred MissedCause = "deferred"
	// Failed: the probe had ended with another error, after which the kernel
	// does not try again.
	Failed MissedCause = "failed"
)

// Attempt is a probe of a device.
type Attempt struct {
	Driver string `json:"driver,omitempty"`
	// Level and At are when it began.
	Level initcall.Level `json:"level"`
	At    time.Duration  `json:"at_ns"`
	// Code is the result of the probe, a negative errno; 0 if it was bound, or had
	// not ended.
	Code int `json:"code,omitempty"`
	// Reason is why it was deferred, where the driver core knows.
	Reason string `json:"reason,omitempty"`
	// Refused reports that the TPM answered one of its commands with an error,
	// or not at all.
	Refused bool `json:"refused,omitempty"`

	ended bool
}

// Missed says why IMA found no TPM when it looked: the state of the TPM's device
// or, where that did not exist yet, of the one that it depends on.
type Missed struct {
	Cause MissedCause `json:"cause"`
	// Device is the device, TPM the one that is a TPM if that is another.
	Device string `json:"device,omitempty"`
	TPM    string `json:"tpm,omitempty"`
	// Last is the device's last probe before IMA looked, Next the first one
	// that began afterwards. Nil is none.
	Last *Attempt `json:"last,omitempty"`
	Next *Attempt `json:"next,omitempty"`
}

// missed explains a TPM-bypass from what happened up to IMA's start and after it.
func (k *kernel) missed() *Missed {
	looked := slices.IndexFunc(k.events, func(e Event) bool { return e.Kind == IMAStarted })
	if looked < 0 {
		looked = len(k.events)
	}
	// Of several TPMs the one that was nearest to being there.
	nearest := []MissedCause{Probing, Deferred, Failed, NotProbed}
	var best *Missed
	for _, d := range k.core.devices {
		if d.driver == nil || !d.driver.Kind.tpm() {
			continue
		}
		m := k.missedDevice(d, looked)
		if best == nil || slices.Index(nearest, m.Cause) < slices.Index(nearest, best.Cause) {
			best = m
		}
	}
	if best == nil {
		return &Missed{Cause: NoTPM}
	}
	return best
}

func (k *kernel) missedDevice(tpm *device, looked int) *Missed {
	d := tpm
	before, after := attempts(k.events, d.Name, looked)
	// A device on a bus is not there before its bus is.
	for len(before) == 0 && d.parent != nil {
		up, next := attempts(k.events, d.parent.Name, looked)
		if len(up) > 0 && up[len(up)-1].ended && up[len(up)-1].Code == 0 {
			break // the bus is there; it is the device's own driver that is not
		}
		d, before, after = d.parent, up, next
	}
	m := &Missed{Cause: NotProbed, Device: d.Name}
	if d != tpm {
		m.TPM = tpm.Name
	}
	if len(after) > 0 {
		m.Next = &after[0]
	}
	if len(before) == 0 {
		return m
	}
	m.Last = &before[len(before)-1]
	switch {
	case !m.Last.ended:
		m.Cause = Probing
	case m.Last.Code == -eprobeDefer:
		m.Cause = Deferred
	default:
		m.Cause = Failed
	}
	return m
}

// attempts are the probes of a device that began before the event at looked, as
// they stood then, and those that began after it, as they ended.
func attempts(events []Event, name string, looked int) (before, after []Attempt) {
	running, task := false, ""
	for i := range events {
		e := &events[i]
		list := &before
		if i >= looked {
			if running && len(after) == 0 {
				running = false // how that one ended is not known to IMA
			}
			list = &after
		}
		if e.Kind == TPMCommand && running && e.Task == task && e.Code != 0 {
			(*list)[len(*list)-1].Refused = true
		}
		if e.Name != name {
			continue
		}
		switch e.Kind {
		case ProbeStarted:
			*list = append(*list, Attempt{Driver: e.Text, Level: e.Level, At: e.At})
			running, task = true, e.Task
			continue
		case ProbeDeferred, ProbeFailed, ProbeBound:
		default:
			continue
		}
		if !running {
			if e.Kind != ProbeDeferred || e.Code > 0 {
				continue // the end of one that was running when IMA looked
			}
			// A supplier is missing: the driver was not called.
			*list = append(*list, Attempt{Level: e.Level, At: e.At})
		}
		running = false
		a := &(*list)[len(*list)-1]
		a.ended = true
		switch e.Kind {
		case ProbeDeferred:
			a.Code, a.Reason = -eprobeDefer, e.Text
		case ProbeFailed:
			a.Code = e.Code
		}
	}
	return before, after
}

// String says it in sentences, the last of which is what this boot would have
// needed to be measured.
func (m *Missed) String() string {
	switch m.Cause {
	case NoTPM:
		return "The machine has no TPM."
	case NotProbed:
		return fmt.Sprintf("No driver had tried %s by then%s. To be measured, its driver has to be there before IMA looks.", m.device(), m.first())
	case Probing:
		return fmt.Sprintf("The probe of %s had begun at %s and not ended. To be measured, it has to end before IMA looks, or IMA has to wait for it.",
			m.device(), m.Last.when())
	case Deferred:
		return m.deferred()
	}
	text := fmt.Sprintf("The probe of %s at %s had failed (%d), and the kernel does not retry what has failed. To be measured, ",
		m.device(), m.Last.when(), m.Last.Code)
	if !m.Last.Refused {
		return text + "it has to succeed."
	}
	return text + fmt.Sprintf("the TPM has to answer that probe, at %s; after it is too late, even if before IMA looks.", m.Last.Level)
}

// device names the device, and the TPM if that is another one.
func (m *Missed) device() string {
	if m.TPM == "" {
		return m.Device
	}
	return m.Device + ", on which " + m.TPM + " depends,"
}

func (m *Missed) first() string {
	if m.Next == nil {
		return ""
	}
	return "; the first probe was at " + m.Next.when()
}

func (m *Missed) deferred() string {
	reason := ""
	if m.Last.Reason != "" {
		reason = ", " + m.Last.Reason
	}
	text := fmt.Sprintf("The probe of %s at %s was deferred (%d%s) and ", m.device(), m.Last.when(), m.Last.Code, reason)
	need := ""
	switch {
	case m.Next == nil:
		text += "never retried"
	case m.Next.Code == 0:
		text += "retried only at " + m.Next.when()
	case m.Next.Code == -eprobeDefer:
		text += "retried only at " + m.Next.when() + ", when it was deferred again"
	default:
		text += fmt.Sprintf("retried only at %s, when it failed (%d), which is final", m.Next.when(), m.Next.Code)
		if m.Next.Refused {
			need = ", and the TPM has to answer by then"
		}
	}
	return text + ". To be measured, it has to be retried before IMA looks" + need + "."
}

func (a *Attempt) when() string { return fmt.Sprintf("%s (%.6f s)", a.Level, a.At.Seconds()) }

package boot

import (
	"fmt"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// EventKind says what an Event is about.
type EventKind uint8

// The kinds. The brackets have the fields of an Event besides At, Level
// and Task.
const (
	PowerOn           EventKind = iota
	FirmwareMeasured            // firmware extended a PCR [Code: its index]
	LevelReached                // the boot has come to Level
	InitcallCalled              // [Name]
	InitcallReturned            // [Name, Code: what it returned, Took]
	DriverRegistered            // [Name]
	DeviceAdded                 // [Name]
	ProbeStarted                // [Name: the device, Text: the driver]
	ProbeDeferred               // [Name, Text: why, Code: -517 from the driver core, 517 from the driver, Took]
	ProbeFailed                 // [Name, Code: negative errno, Took]
	ProbeBound                  // [Name, Text: the driver, Took]
	DeferredRetry               // a device is taken from the deferred list [Name]
	DependencyRelaxed           // fw_devlink gives up a supplier [Name: the consumer, Text: the supplier]
	AsyncStarted                // asynchronous work begins [Name]
	AsyncEnded                  // [Name, Took]
	HelperCalled                // the kernel runs a program [Name]
	HelperEnded                 // [Name, Code: 0 or a negative errno, Took]
	TPMCommand                  // [Name: the command, Code: TPM response code, or a negative errno, Took]
	TPMRegistered               // idr_replace: tpm_default_chip finds the chip [Name, Text: what it lacks]
	TPMReset                    // the TPM is reset without the kernel [Name]
	LogLine                     // what the kernel prints [Text]
	IMAStarted                  // [Name: of the boot aggregate's record, Code: what init_ima returned]
	RecordExtended              // a record is in the list and in the PCR [Name, Record]
	RecordUnextended            // a record is in the list only [Name, Record, Code: 0 or what the extend returned]
	RecordLost                  // IMA would have measured this and is not there [Name]
	RecordQueued                // a measurement waits for IMA's start [Name]
	RecordHidden                // an attacker takes a measurement away [Name]
	AccessDenied                // [Name]
	AttackRun                   // an attacker's program runs [Name, Text: what it does]
	UserspaceReached            // init is executed
	Panicked                    // the kernel stops [Text]
)

var eventNames = [...]string{
	PowerOn: "power_on", FirmwareMeasured: "firmware_measured", LevelReached: "level",
	InitcallCalled: "initcall_called", InitcallReturned: "initcall_returned",
	DriverRegistered: "driver_registered", DeviceAdded: "device_added",
	ProbeStarted: "probe_started", ProbeDeferred: "probe_deferred", ProbeFailed: "probe_failed", ProbeBound: "probe_bound",
	DeferredRetry: "deferred_retry", DependencyRelaxed: "dependency_relaxed",
	AsyncStarted: "async_started", AsyncEnded: "async_ended",
	HelperCalled: "helper_called", HelperEnded: "helper_ended",
	TPMCommand: "tpm_command", TPMRegistered: "tpm_registered", TPMReset: "tpm_reset", LogLine: "log",
	IMAStarted: "ima_started", RecordExtended: "record_extended", RecordUnextended: "record_unextended",
	RecordLost: "record_lost", RecordQueued: "record_queued", RecordHidden: "record_hidden",
	AccessDenied: "access_denied", AttackRun: "attack_run",
	UserspaceReached: "userspace", Panicked: "panic",
}

func (k EventKind) String() string { return nameOf(eventNames[:], k, "EventKind") }

// MarshalText returns the kind's name.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the kind's name.
func (k *EventKind) UnmarshalText(text []byte) (err error) {
	*k, err = parseName[EventKind](eventNames[:], string(text), "kind of event")
	return err
}

// Event is something that happened in a boot. Which fields it has depends on
// its kind.
type Event struct {
	// At is the virtual time since power-on, Level how far the boot had
	// come.
	At    time.Duration  `json:"at_ns"`
	Level initcall.Level `json:"level"`
	Kind  EventKind      `json:"kind"`
	// Task is the thread: "firmware", "init" for pid 1, "kworker", "async",
	// a helper's name.
	Task   string        `json:"task,omitempty"`
	Name   string        `json:"name,omitempty"`
	Text   string        `json:"text,omitempty"`
	Code   int           `json:"code,omitempty"`
	Record int           `json:"record,omitempty"` // from 1
	Took   time.Duration `json:"took_ns,omitempty"`
}

// Line returns the event as a line of a kernel's log. kernel reports whether the
// kernel prints it (with initcall_debug and the debug messages of dd.c); for
// other events the line is this simulation's own. The time stamp counts from
// power-on; LineSince gives it as the kernel has it.
func (e *Event) Line() (line string, kernel bool) { return e.LineSince(0) }

// LineSince is Line with a time stamp that counts from start, which for a
// kernel's own stamps is Summary.KernelAt. What was before has 0.
func (e *Event) LineSince(start time.Duration) (line string, kernel bool) {
	text, kernel := e.text()
	at := max(e.At-start, 0)
	return fmt.Sprintf("[%5d.%06d] %s", at/time.Second, at%time.Second/time.Microsecond, text), kernel
}

// printsLevel reports whether kernels with initcall_debug print a level: the buckets
// of do_initcalls, which the _sync levels and rootfs are parts of.
func printsLevel(l initcall.Level) bool {
	return l >= initcall.Early && l <= initcall.Late && l != initcall.RootFS && !strings.HasSuffix(l.String(), "_sync")
}

func (e *Event) text() (text string, kernel bool) {
	usecs := e.Took.Microseconds()
	switch e.Kind {
	case LogLine:
		return e.Text, true
	case LevelReached:
		return "entering initcall level: " + e.Level.String(), printsLevel(e.Level)
	case InitcallCalled:
		return fmt.Sprintf("calling  %s @ 1", e.Name), true
	case InitcallReturned:
		return fmt.Sprintf("initcall %s returned %d after %d usecs", e.Name, e.Code, usecs), true
	case ProbeDeferred, ProbeFailed, ProbeBound:
		// really_probe has the driver's own errors positive.
		code := e.Code
		if e.Kind == ProbeFailed {
			code = -code
		}
		return fmt.Sprintf("probe of %s returned %d after %d usecs", e.Name, code, usecs), true
	case DeferredRetry:
		return fmt.Sprintf("platform %s: Retrying from deferred list", e.Name), true
	case UserspaceReached:
		return "Run " + e.Name + " as init process", true
	case Panicked:
		return "Kernel panic - not syncing: " + e.Text, true
	case TPMCommand:
		return fmt.Sprintf("-- %s: TPM2_%s -> %s after %d usecs", e.Task, e.Name, codeText(e.Code), usecs), false
	case RecordExtended, RecordUnextended:
		return fmt.Sprintf("-- %s %d %s", e.Kind, e.Record, e.Name), false
	}
	text = "-- " + e.Kind.String()
	for _, part := range []string{e.Name, e.Text} {
		if part != "" {
			text += " " + part
		}
	}
	if e.Code != 0 {
		text += fmt.Sprintf(" (%d)", e.Code)
	}
	return text, false
}

// codeText shows TPM response codes in hex and errnos in decimal.
func codeText(code int) string {
	if code < 0 {
		return fmt.Sprint(code)
	}
	return fmt.Sprintf("%#x", code)
}

package fleet

import (
	"fmt"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/fleet/machine"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// A takeover: one fleet hands all that it has to another one in another process, on the same
// directory. HandOver and Take are its two ends. They say, in this order:
//
//	Take      HandOver
//	hello                which directory, and which version of this conversation
//	          begin      how many TPMs come; no client is served from here on
//	          tpm        a TPM, its open files with it, ...
//	took                 ... after each of them
//	          last       the lock of the directory, and what the caller passes
//	serves               everything is there, and nothing has been read yet
//	          bye        nothing will be read any more: now it is Take's
//
// An end that cannot go on says failed, with its cause. Until it has read serves, the old
// fleet can go on, and does if the new one fails, ends or says nothing; until it has read
// bye, or the end of the old process, the new one has touched nothing.

// takeoverVersion changes when a fleet could not go on from what an older one says.
const takeoverVersion = 1

// Patience of a takeover.
const (
	// messageTime is how long the other end may take for one message.
	messageTime = 30 * time.Second
	// freezeTime is how long clients wait for the longest command that is in execution;
	// if that takes longer they are served again, and it is tried once more after
	// thawTime.
	freezeTime = 2 * time.Second
	thawTime   = 250 * time.Millisecond
)

// message is what an end of a takeover says.
type message struct {
	Kind    string `json:"kind"`
	Version int    `json:"version,omitempty"`
	PID     int    `json:"pid,omitempty"`
	Dir     string `json:"dir,omitempty"`
	State   string `json:"state,omitempty"`
	Count   int    `json:"count,omitempty"`
	Error   string `json:"error,omitempty"`

	TPM *tpmState `json:"tpm,omitempty"`
	// Refused are the TPMs that are left out, Passed the names of what the caller passes.
	Refused map[string]string `json:"refused,omitempty"`
	Passed  []string          `json:"passed,omitempty"`
}

// The kinds of messages.
const (
	saysHello  = "hello"
	saysBegin  = "begin"
	saysTPM    = "tpm"
	saysTook   = "took"
	saysLast   = "last"
	saysServes = "serves"
	saysBye    = "bye"
	saysFailed = "failed"
)

// tpmState is a TPM with what is around it. Its files are those that Files names, in their
// order.
type tpmState struct {
	Name   string `json:"name"`
	Config string `json:"config"`

	Engine   engineState        `json:"engine"`
	Server   swtpm.State        `json:"server"`
	Clock    initcall.Event     `json:"clock"`
	Booted   *time.Duration     `json:"booted_ns,omitempty"` // how long ago the boot has begun
	Guest    machine.GuestState `json:"guest"`
	Rules    faults.LayerState  `json:"rules"`
	Panel    control.PanelState `json:"panel"`
	Console  []byte             `json:"console,omitempty"`
	Read     int64              `json:"console_read,omitempty"`
	Commands uint64             `json:"commands,omitempty"`
	Errors   uint64             `json:"errors,omitempty"`

	Connections []connectionState `json:"connections,omitempty"`
	Files       []string          `json:"files"`
}

// connectionState is a swtpm.Connection without its descriptors.
type connectionState struct {
	Channel   swtpm.Channel `json:"channel"`
	Unread    []byte        `json:"unread,omitempty"`
	Unsent    []byte        `json:"unsent,omitempty"`
	Asked     bool          `json:"asked,omitempty"`
	Pipelines bool          `json:"pipelines,omitempty"`
	FDs       int           `json:"fds,omitempty"`
}

// Files of a TPM. Those of connections are in the order of the connections, each before
// the descriptors that came over it.
const (
	fileLock       = "lock"
	fileControl    = "control"
	fileData       = "data"
	fileConsole    = "console"
	fileConsoleEnd = "console connection"
	fileConnection = "connection"
	filePassed     = "descriptor"
)

// BusyError is why a fleet cannot be handed over now: commands are in execution, or held by
// fault rules, and do not end.
type BusyError struct {
	TPMs []string
}

// Error names the TPMs.
func (e *BusyError) Error() string {
	return fmt.Sprintf("the fleet goes on: a command of %s takes too long, or a rule holds it; let it go (swtpmd ctl --tpm NAME rules) or try again later",
		strings.Join(e.TPMs, ", "))
}

// TakeoverError is why a fleet was not taken over. The old one goes on.
type TakeoverError struct {
	Reason string
	Err    error // the cause, if there is one
}

// Error tells it.
func (e *TakeoverError) Error() string {
	text := "the fleet was not taken over: " + e.Reason
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *TakeoverError) Unwrap() error { return e.Err }

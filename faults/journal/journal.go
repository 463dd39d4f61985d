// Package journal keeps what fault rules have decided, and what made them decide so, as
// lines of JSON, and repeats a run from them.
//
// A journal has no wall-clock time and no duration that was measured: the same seed, rules
// and commands give the same bytes, in process and over a socket. Its first line is a
// Header, each other one a Line. With the commands in it, and with a TPM whose entropy and
// clock come from a seed (Entropy, Ticks), Replay repeats the run to the same bytes.
//
// What one client after the other does has one order. Commands that come at the same time
// are in the journal in the order in which they came, which the next run need not have.
package journal

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// Format is the form of journals that this package writes and reads.
const Format = 1

// Header is the first line of a journal.
type Header struct {
	Format  int    `json:"journal"`
	Version string `json:"version"` // of the program that has written it
	// Seed, Dangerous and Rules are those of the plan; the rules are as a plan's file
	// has them.
	Seed      uint64   `json:"seed"`
	Dangerous bool     `json:"dangerous,omitempty"`
	Rules     []string `json:"rules"`
	// TPMSeed is that of Entropy, nil for a TPM of which the bytes cannot be had again.
	TPMSeed *uint64 `json:"tpm_seed,omitempty"`
	// Profile is the text of the TPM's profile, empty for the default one.
	Profile string `json:"profile,omitempty"`
	// Commands reports whether commands and answers are in the journal.
	Commands bool `json:"commands,omitempty"`
}

// HeaderOf returns the header of a plan.
func HeaderOf(version string, plan *faults.Plan) Header {
	h := Header{Format: Format, Version: version, Seed: plan.Seed, Dangerous: plan.Dangerous, Rules: []string{}}
	for _, r := range plan.Rules {
		h.Rules = append(h.Rules, r.String())
	}
	return h
}

// Line is a line after the first. One field is there.
type Line struct {
	Decision *Decision `json:"decision,omitempty"`
	Level    *Level    `json:"level,omitempty"`
	Power    string    `json:"power,omitempty"` // init, off
	Rules    *Change   `json:"rules,omitempty"`
	Command  *Command  `json:"command,omitempty"`
	Answer   *Answer   `json:"answer,omitempty"`
	// Other is something that was done to the TPM and that Replay cannot do.
	Other string `json:"other,omitempty"`
	// Lost is how many writes are missing in the journal, up to here: the disk was too
	// slow.
	Lost uint64 `json:"lost,omitempty"`
}

// Decision has those fields of a faults.Decision that are always the same.
type Decision struct {
	Number     uint64         `json:"number"`
	Boot       int            `json:"boot"`
	Level      initcall.Level `json:"level"`
	Rule       string         `json:"rule"`
	Fault      string         `json:"fault"`
	Occurrence uint64         `json:"occurrence"`
	Command    uint32         `json:"command"`
	Locality   uint8          `json:"locality"`
	Outcome    faults.Outcome `json:"outcome"`
	Code       uint32         `json:"code,omitempty"`
	Detail     string         `json:"detail,omitempty"`
	Cause      string         `json:"cause,omitempty"`
}

// Level is where the boot has come to.
type Level struct {
	Boot  int            `json:"boot"`
	Level initcall.Level `json:"level"`
}

// Change is what was done to the rules at run time.
type Change struct {
	Change string   `json:"change"` // added, removed, enabled, disabled
	Rules  []string `json:"rules"`  // texts of those that were added, otherwise names
}

// Command is a command that was sent. Bytes are hexadecimal digits.
type Command struct {
	Number   uint64 `json:"n"` // from 1; own commands are counted too
	Locality uint8  `json:"locality"`
	Client   string `json:"client,omitempty"`
	Probe    bool   `json:"probe,omitempty"` // the transport's own question
	Own      bool   `json:"own,omitempty"`   // sent beneath the faults
	Bytes    string `json:"bytes"`
}

// Answer is the answer to a command, or why there was none.
type Answer struct {
	Number uint64 `json:"n"`
	Bytes  string `json:"bytes,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Writer writes a journal. It writes in the goroutine of whoever tells it something: out is
// memory, or a queue that never waits. After the first error it writes nothing more.
type Writer struct {
	commands bool
	number   atomic.Uint64

	mu  sync.Mutex
	out io.Writer
	err error
}

// NewWriter returns a writer that has written the header.
func NewWriter(out io.Writer, h Header) *Writer {
	w := &Writer{out: out, commands: h.Commands}
	w.write(h)
	return w
}

// Head returns the line of a header.
func (h Header) Head() []byte {
	text, _ := json.Marshal(h) // it has strings and numbers alone
	return append(text, '\n')
}

// Err returns the first error of the output.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *Writer) write(line any) {
	text, err := json.Marshal(line)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	if err == nil {
		_, err = w.out.Write(append(text, '\n'))
	}
	w.err = err
}

// Decided writes a decision: it is a Plan.Journal.
func (w *Writer) Decided(d faults.Decision) {
	w.write(Line{Decision: &Decision{
		Number: d.Number, Boot: d.Boot, Level: d.Level, Rule: d.Rule, Fault: d.Fault, Occurrence: d.Occurrence,
		Command: d.Command, Locality: d.Locality, Outcome: d.Outcome, Code: d.Code, Detail: d.Detail, Cause: d.Cause,
	}})
}

// Reached writes a movement of the clock: it is a subscriber of initcall.Clock.
func (w *Writer) Reached(e initcall.Event) { w.write(Line{Level: &Level{e.Boot, e.Level}}) }

// Changed writes that rules have changed: what is added, removed, enabled or disabled.
func (w *Writer) Changed(what string, rules []string) { w.write(Line{Rules: &Change{what, rules}}) }

// Other writes that something was done to the TPM that Replay cannot do.
func (w *Writer) Other(what string) { w.write(Line{Other: what}) }

// Device returns a device whose power is in the journal, and whose commands are if the
// header says so. It stands in front of the faults.
func (w *Writer) Device(next transport.Device) transport.Device {
	d := &recorded{Device: next, to: w, watcher: transport.NewWatcher(next)}
	if power, ok := transport.As[transport.Power](next); ok {
		return &switched{d, power}
	}
	return d
}

// Own returns a device for commands that are sent beneath the faults.
func (w *Writer) Own(next transport.Device) transport.Device {
	return &recorded{Device: next, to: w, own: true}
}

type recorded struct {
	transport.Device
	to      *Writer
	watcher transport.Watcher
	own     bool
}

// Unwrap returns the device below.
func (r *recorded) Unwrap() transport.Device { return r.Device }

// Send writes the command before it is sent, and its answer.
func (r *recorded) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	ctx, _ = r.watcher.Watch(ctx)
	if !r.to.commands {
		return r.Device.Send(ctx, locality, command)
	}
	n := r.to.number.Add(1)
	r.to.write(Line{Command: &Command{
		Number: n, Locality: locality, Client: transport.ClientOf(ctx), Probe: transport.IsProbe(ctx), Own: r.own, Bytes: hex.EncodeToString(command),
	}})
	response, err := r.Device.Send(ctx, locality, command)
	a := Answer{Number: n, Bytes: hex.EncodeToString(response)}
	if err != nil {
		a.Error = err.Error()
	}
	r.to.write(Line{Answer: &a})
	return response, err
}

type switched struct {
	*recorded
	power transport.Power
}

// Init writes that it is about to reset the device.
func (s *switched) Init() error {
	s.to.write(Line{Power: powerInit})
	return s.power.Init()
}

// PowerOff writes that it is about to take the power.
func (s *switched) PowerOff() error {
	s.to.write(Line{Power: powerOff})
	return s.power.PowerOff()
}

// Powered reports whether the device has power.
func (s *switched) Powered() bool { return s.power.Powered() }

const (
	powerInit = "init"
	powerOff  = "off"
)

// Ticks is a clock that stands but for a tick with each command: an emulator.Clock.
type Ticks struct{ ticks atomic.Int64 }

// Tick is how far a command moves Ticks.
const Tick = time.Millisecond

// Now moves the clock by a tick: the emulator reads it once per command.
func (t *Ticks) Now() time.Duration { return time.Duration(t.ticks.Add(1)) * Tick }

// Time returns the time and does not move it: a Plan.Time.
func (t *Ticks) Time() time.Duration { return time.Duration(t.ticks.Load()) * Tick }

// Entropy returns what a TPM draws from that has the same bytes for the same seed. With it
// and with Ticks the emulator answers the same commands with the same bytes (an
// emulator.Platform has both). Its keys are no secrets.
func Entropy(seed uint64) io.Reader {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// errLost is why a journal with a gap is not repeated.
var errLost = errors.New("lines are missing: the disk was too slow when it was written")

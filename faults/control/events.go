package control

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// EventKind says which field of an Event is there.
type EventKind string

// The kinds of events.
const (
	DecisionEvent EventKind = "decision" // a rule has decided about a command
	LevelEvent    EventKind = "level"    // the boot has come further, or begun
	RulesEvent    EventKind = "rules"    // rules have changed
	PowerEvent    EventKind = "power"    // the power was switched
	RestoreEvent  EventKind = "restore"  // the TPM has become one that was saved
	CommandEvent  EventKind = "command"  // a client's command was answered
	LostEvent     EventKind = "lost"     // events are missing here
)

// Event is what has happened.
type Event struct {
	Kind     EventKind        `json:"event"`
	Decision *faults.Decision `json:"decision,omitempty"`
	Level    *initcall.Event  `json:"level,omitempty"`
	Rules    *RuleChange      `json:"rules,omitempty"`
	Power    Power            `json:"power,omitempty"`
	Command  *Command         `json:"command,omitempty"`
	// Lost is how many events should stand here: the client has read too slowly.
	Lost uint64 `json:"lost,omitempty"`
}

// RuleChange is what was done to rules.
type RuleChange struct {
	// Change is one of the words below.
	Change string `json:"change"`
	// Rules are the texts of those that were added; otherwise the names.
	Rules []string `json:"rules"`
}

// The changes of rules.
const (
	RuleAdded    = "added"
	RuleRemoved  = "removed"
	RuleEnabled  = "enabled"
	RuleDisabled = "disabled"
)

// Command is a command and its answer, as its client has them.
type Command struct {
	Time time.Time `json:"time"` // of the answer
	// Command is the TPM_CC, 0 if the command was too short to have one.
	Command  uint32 `json:"command"`
	Locality uint8  `json:"locality"`
	Client   string `json:"client,omitempty"` // the transport's name for the sender
	Code     uint32 `json:"code"`             // TPM_RC of the answer
	// Took is how long the answer took, Error why there was none.
	Took  time.Duration `json:"took_ns"`
	Error string        `json:"error,omitempty"`
}

// eventRoom is how many events wait for a client; what comes then is lost, and counted.
const eventRoom = 1024

// reader is a client of GET /events. Who adds to it never waits.
type reader struct {
	commands bool
	wake     chan struct{} // has a token if there is something to take

	mu      sync.Mutex
	waiting []Event
	lost    uint64 // after those
}

func (r *reader) add(e Event) {
	if e.Kind == CommandEvent && !r.commands {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost > 0 || len(r.waiting) >= eventRoom {
		r.lost++
		return
	}
	r.waiting = append(r.waiting, e)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take returns what waits.
func (r *reader) take() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.waiting
	r.waiting = nil
	if r.lost > 0 {
		list = append(list, Event{Kind: LostEvent, Lost: r.lost})
		r.lost = 0
	}
	return list
}

// tell gives an event to who reads them.
func (p *Panel) tell(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.publish(e)
}

// publish is tell for a caller that holds mu.
func (p *Panel) publish(e Event) {
	for r := range p.readers {
		r.add(e)
	}
}

// listen makes a reader of what happens from now on. leave ends it.
func (p *Panel) listen(commands bool) (r *reader, leave func()) {
	r = &reader{commands: commands, wake: make(chan struct{}, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers == nil {
		p.readers = make(map[*reader]struct{})
	}
	p.readers[r] = struct{}{}
	if commands {
		p.commandReaders.Add(1)
	}
	return r, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.readers, r)
		if commands {
			p.commandReaders.Add(-1)
		}
	}
}

// serveEvents writes events as they come. A client that does not read for answerTime is
// left.
func (p *Panel) serveEvents(w http.ResponseWriter, r *http.Request) {
	deadline := http.NewResponseController(w)
	// The deadline of the request would end the stream.
	_ = deadline.SetReadDeadline(time.Time{})
	events, leave := p.listen(r.URL.Query().Get("commands") == "yes")
	defer leave()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	encoder := json.NewEncoder(w)
	for {
		// Where there are no deadlines, as in tests, nobody fails to read.
		_ = deadline.SetWriteDeadline(time.Now().Add(answerTime))
		for _, e := range events.take() {
			if encoder.Encode(e) != nil {
				return
			}
		}
		if deadline.Flush() != nil {
			return
		}
		select {
		case <-events.wake:
		case <-r.Context().Done():
			return
		}
	}
}

// Device returns next with its commands told to those who read events and ask for
// commands. Where nobody does, it costs nothing.
func (p *Panel) Device(next transport.Device) transport.Device { return &watched{next, p} }

type watched struct {
	transport.Device
	panel *Panel
}

// Unwrap returns the device below.
func (w *watched) Unwrap() transport.Device { return w.Device }

// Send tells the command once it is answered.
func (w *watched) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if w.panel.commandReaders.Load() == 0 || transport.IsProbe(ctx) {
		return w.Device.Send(ctx, locality, command)
	}
	begun := time.Now()
	code, _ := transport.CommandCode(command)
	response, err := w.Device.Send(ctx, locality, command)
	c := Command{Time: time.Now(), Command: code, Locality: locality, Client: transport.ClientOf(ctx), Took: time.Since(begun)}
	if err != nil {
		c.Error = err.Error()
	} else {
		c.Code = transport.ResponseCode(response)
	}
	w.panel.tell(Event{Kind: CommandEvent, Command: &c})
	return response, err
}

// Package control is the window into a running TPM's faults: how far the boot has come,
// which rules there are, what they did, what the PCRs hold; and the levers to move the boot
// on, to change the rules, to switch the power, and to save the TPM and have it again.
//
// It stands beside the TPM's own protocols because QEMU keeps the swtpm control
// channel for itself for as long as the guest lives. The protocol is HTTP with
// JSON bodies, so that curl speaks it; openapi.json describes all of it:
//
//	GET  /status        Status
//	GET  /journal       []Entry, oldest first, the last JournalLength decisions
//	GET  /pcrs          PCRs, read beneath the faults
//	POST /level         {"level":"late_sync"}: move the boot on; answers Status
//	GET  /rules         []RuleStatus
//	POST /rules         {"rules":["PCR_Extend#3: rc=TPM_RC_FAILURE"]}: add rules after those
//	                    that there are; answers []RuleStatus, as the next two do
//	POST /rules/remove  {"name":"…"}
//	POST /rules/enable  {"name":"…","enabled":false}
//	POST /power         {"power":"reset"}, or on, or off; answers Status
//	GET  /snapshot      Snapshot: the whole TPM, with its secrets
//	POST /snapshot      a Snapshot: the TPM becomes the one that it is of; answers Status
//	GET  /events        Event, an object a line, as they happen; with ?commands=yes each
//	                    command too
//
// An error is answered as {"error":"…"} with status 400 (the request is wrong),
// 404 (there is no such rule), 409 (the boot cannot go back, or the rules cannot be
// together) or 502 (the TPM refused, or cannot do it).
package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// How much is kept. A guest that asks a deferred TPM over and over must not
// make the daemon grow.
const (
	JournalLength = 4096 // decisions
	LevelsLength  = 256  // movements of the clock
)

// PCRs are the values of a TPM's banks: bank name in the kernel's spelling
// ("sha256"), PCR number, lower-case hex.
type PCRs map[string]map[int]string

// Status is how things stand.
type Status struct {
	// Now is the last movement of the clock.
	Now initcall.Event `json:"now"`
	// Levels are the movements of the clock, oldest first, the last
	// LevelsLength ones.
	Levels []initcall.Event `json:"levels"`
	Rules  []RuleStatus     `json:"rules"`
	// Seed is what the chance of rules is drawn from.
	Seed uint64 `json:"seed"`
	// Held are the commands that rules hold now, oldest first.
	Held []faults.Decision `json:"held"`
	// Outcomes counts the decisions of all rules.
	Outcomes map[faults.Outcome]uint64 `json:"outcomes"`
	Powered  bool                      `json:"powered"`
	// Failure is why the TPM is in failure mode, empty if it is not.
	Failure string `json:"failure,omitempty"`
	// Sandbox names what confines the process: "full" (Landlock and
	// seccomp), "landlock", "seccomp", "off"; empty if it has not said.
	Sandbox string `json:"sandbox,omitempty"`
	// LogLost counts the lines of the log that nobody read in time.
	LogLost uint64 `json:"log_lost,omitempty"`
}

// Panel keeps what the window shows. Its fields are set before use and not
// changed afterwards.
type Panel struct {
	Clock *initcall.Clock
	// Layer has the rules. Without one there are none, and none can be added.
	Layer *faults.Layer
	// Seed is the status's.
	Seed uint64
	// Powered reports whether the TPM has power.
	Powered func() bool
	// Failure, if set, is why the TPM is in failure mode, nil if it is not. It
	// does not wait for a command in execution.
	Failure func() error
	// Sandbox is the status's.
	Sandbox string
	// LogLost, if set, returns how many lines of the log are lost.
	LogLost func() uint64
	// PCRs reads the TPM's PCRs beneath the faults.
	PCRs func(context.Context) (PCRs, error)
	// Changed, if set, is told each change of rules.
	Changed func(RuleChange)
	// Switch, if set, switches the power.
	Switch func(Power) error
	// Save and Restore, if set, save the TPM and make it the one that was saved.
	Save    func() (Snapshot, error)
	Restore func(Snapshot) error

	// commandReaders counts the subscribers that want commands.
	commandReaders atomic.Int32
	changes        sync.Mutex // held while rules change, so that events tell the order

	mu       sync.Mutex
	levels   ring[initcall.Event]
	journal  ring[faults.Decision]
	decided  uint64 // decisions that were recorded, ever
	outcomes map[faults.Outcome]uint64
	held     []faults.Decision // that rules hold now
	readers  map[*reader]struct{}
}

// RecordLevel takes down a movement of the clock: a subscriber of Clock.
func (p *Panel) RecordLevel(e initcall.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.levels.add(e, LevelsLength)
	p.publish(Event{Kind: LevelEvent, Level: &e})
}

// RecordDecision takes down a decision: a Journal of a faults.Plan.
func (p *Panel) RecordDecision(d faults.Decision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.outcomes == nil {
		p.outcomes = make(map[faults.Outcome]uint64)
	}
	p.outcomes[d.Outcome]++
	p.decided++
	p.journal.add(d, JournalLength)
	p.held = slices.DeleteFunc(p.held, func(h faults.Decision) bool { return h.Number == d.Number && h.Rule == d.Rule })
	if d.Outcome == faults.Held {
		p.held = append(p.held, d)
	}
	p.publish(Event{Kind: DecisionEvent, Decision: &d})
}

// Status tells how things stand now.
func (p *Panel) Status() Status {
	now := p.Clock.Now()
	s := Status{Now: now, Sandbox: p.Sandbox, Rules: p.Rules(), Seed: p.Seed, Held: []faults.Decision{}, Outcomes: map[faults.Outcome]uint64{}}
	if p.Powered != nil {
		s.Powered = p.Powered()
	}
	if p.Failure != nil {
		if failure := p.Failure(); failure != nil {
			s.Failure = failure.Error()
		}
	}
	if p.LogLost != nil {
		s.LogLost = p.LogLost()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Levels = p.levels.all()
	s.Held = append(s.Held, p.held...)
	for outcome, n := range p.outcomes {
		s.Outcomes[outcome] = n
	}
	return s
}

// Journal returns the decisions that are kept, oldest first.
func (p *Panel) Journal() []faults.Decision {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.journal.all()
}

// route is a request that the panel answers.
type route struct {
	method, path string
	serve        func(*Panel, http.ResponseWriter, *http.Request)
}

// routes are those of openapi.json.
var routes = []route{
	{"GET", "/status", func(p *Panel, w http.ResponseWriter, _ *http.Request) { answer(w, p.Status()) }},
	{"GET", "/journal", (*Panel).serveJournal},
	{"GET", "/pcrs", (*Panel).servePCRs},
	{"POST", "/level", (*Panel).serveLevel},
	{"GET", "/rules", func(p *Panel, w http.ResponseWriter, _ *http.Request) { answer(w, p.Rules()) }},
	{"POST", "/rules", (*Panel).serveAdd},
	{"POST", "/rules/remove", (*Panel).serveRemove},
	{"POST", "/rules/enable", (*Panel).serveEnable},
	{"POST", "/power", (*Panel).servePower},
	{"GET", "/snapshot", (*Panel).serveSave},
	{"POST", "/snapshot", (*Panel).serveRestore},
	{"GET", "/events", (*Panel).serveEvents},
}

// Handler answers the requests of the package comment.
func (p *Panel) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, q *http.Request) { r.serve(p, w, q) })
	}
	return mux
}

func (p *Panel) servePCRs(w http.ResponseWriter, r *http.Request) {
	if p.PCRs == nil {
		refuse(w, http.StatusBadGateway, errors.New("this TPM's PCRs cannot be read from here"))
		return
	}
	values, err := p.PCRs(r.Context())
	if err != nil {
		refuse(w, http.StatusBadGateway, err)
		return
	}
	answer(w, values)
}

// levelRequest is the body of POST /level.
type levelRequest struct {
	Level *initcall.Level `json:"level"`
}

// Why the body of a request is refused.
var (
	errNoLevel  = errors.New(`the request names no level; send {"level":"late_sync"}`)
	errTrailing = errors.New("the request goes on after its JSON object; send one object")
)

// read takes a request from its body: one JSON object with the fields of into and nothing
// else.
func read(body io.Reader, into any) error {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errTrailing
	}
	return nil
}

// maxRequest bounds the body of a request, in bytes.
const maxRequest = 4096

func (p *Panel) serveLevel(w http.ResponseWriter, r *http.Request) {
	var request levelRequest
	err := read(http.MaxBytesReader(w, r.Body, maxRequest), &request)
	if err == nil && request.Level == nil {
		err = errNoLevel
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	err = p.Clock.Advance(*request.Level, initcall.NoTime, "by hand")
	var backwards *initcall.BackwardsError
	switch {
	case errors.As(err, &backwards):
		refuse(w, http.StatusConflict, err)
	case err != nil:
		refuse(w, http.StatusBadRequest, err)
	default:
		answer(w, p.Status())
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// The value is one of this package's own and marshals; what can fail is
	// the connection, and then there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(v)
}

type errorBody struct {
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(errorBody{err.Error()})
}

// ring keeps the last entries that were added.
type ring[T any] struct {
	entries []T
	next    int // where the next entry goes once the ring is full
}

func (r *ring[T]) add(entry T, limit int) {
	if len(r.entries) < limit {
		r.entries = append(r.entries, entry)
		return
	}
	r.entries[r.next] = entry
	r.next = (r.next + 1) % limit
}

func (r *ring[T]) all() []T { return r.slice(0, len(r.entries)) }

// slice returns n entries from the one at index on, the oldest of which is 0.
func (r *ring[T]) slice(index, n int) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = r.entries[(r.next+index+i)%len(r.entries)]
	}
	return list
}

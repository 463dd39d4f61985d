//go:build linux

package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/transport/dial"
	"github.com/swtpmd/swtpmd/transport/mssim"
)

// TransportPlan says how long clients are at work over every socket transport.
type TransportPlan struct {
	Program string
	Time    time.Duration
	Clients int // at least one for each transport
	Seed    uint64
	Say     func(format string, a ...any)
}

// TransportReport is what became of the clients.
type TransportReport struct {
	Seed       uint64         `json:"seed"`
	Seconds    float64        `json:"seconds"`
	Clients    int            `json:"clients"`
	Transports []Transport    `json:"transports"`
	Servers    []ServerReport `json:"servers"`
	Failures   []string       `json:"failures,omitempty"`
}

// Transport is what the clients of one transport have done.
type Transport struct {
	Name         string        `json:"name"`
	Clients      int           `json:"clients"`
	Connections  int           `json:"connections"` // that were dialed
	Commands     uint64        `json:"commands"`
	Acknowledged uint64        `json:"writes_acknowledged"`
	Lost         uint64        `json:"writes_lost"`
	P50          time.Duration `json:"p50_ns"`
	P99          time.Duration `json:"p99_ns"`
	Max          time.Duration `json:"max_ns"`
}

// ServerReport is what a daemon took before its clients began and after they rested,
// with the same connections. Goroutines are without those of Go's runtime.
type ServerReport struct {
	Name             string `json:"name"`
	Before           Size   `json:"before"`
	Middle           Size   `json:"middle"`
	Last             Size   `json:"last"`
	GoroutinesBefore int    `json:"goroutines_before"`
	Goroutines       int    `json:"goroutines"`
}

// server is a way to start swtpmd.
type server struct {
	name   string
	launch func(dir, port string) launch
	ways   []way
}

// way is a transport by which its clients reach it.
type way struct {
	name string
	url  func(d *daemon, port string) string
	// single takes one client at a time, which stays: a server has one data channel that was
	// passed to it, and is told of its end when it is told.
	single bool
}

// servers are all of them, with every socket transport there is.
var servers = []server{
	{"swtpmd", func(dir, port string) launch {
		number, _ := strconv.Atoi(port)
		return launch{words: []string{
			"--server=type=unixio,path=" + filepath.Join(dir, "tpm.sock"), "--ctrl=type=unixio,path=" + filepath.Join(dir, "tpm.sock.ctrl"),
			"--server=type=tcp,port=" + port, fmt.Sprintf("--ctrl=type=tcp,port=%d", number+1),
		}}
	}, []way{
		{name: "commands, unix", url: func(d *daemon, _ string) string { return "unix:" + d.ready.Data }},
		{name: "commands, TCP", url: func(_ *daemon, port string) string { return "tcp:127.0.0.1:" + port }},
		{name: "swtpm, unix", url: func(d *daemon, _ string) string { return "swtpm:path=" + d.ready.Data }},
		{name: "swtpm, TCP", url: func(_ *daemon, port string) string { return "swtpm:host=127.0.0.1,port=" + port }},
		{name: "swtpm, a descriptor that is passed", url: func(d *daemon, _ string) string { return "swtpm:ctrl=" + d.ready.Control }, single: true},
	}},
	{"swtpmd mssim", func(_, port string) launch {
		return launch{before: []string{"mssim"}, words: []string{"--port=" + port}}
	}, []way{
		{name: "mssim, TCP", url: func(d *daemon, _ string) string { return d.ready.TCTI }},
		{name: "commands, mssim's port", url: func(_ *daemon, port string) string { return "tcp:127.0.0.1:" + port }},
	}},
	{"swtpmd mssim --unix", func(dir, _ string) launch {
		return launch{before: []string{"mssim"}, words: []string{"--unix=" + filepath.Join(dir, "mssim.sock")}}
	}, []way{
		{name: "mssim, unix", url: func(d *daemon, _ string) string { return d.ready.TCTI }},
	}},
}

// transporting is one run.
type transporting struct {
	TransportPlan
	dir     string
	report  TransportReport
	running []*served
	clients []*client

	mu sync.Mutex // of report.Failures
}

// served is a daemon that runs.
type served struct {
	*daemon
	server *server
	port   string
}

// Transports has clients send commands over every socket transport, each client to one
// TPM, look at each answer, and connect anew from time to time. Nobody reads the
// daemons' stderr. The error is one of the soak itself.
func Transports(ctx context.Context, p TransportPlan) (TransportReport, error) {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return TransportReport{}, err
	}
	defer os.RemoveAll(dir)
	t := &transporting{TransportPlan: p, dir: dir}
	if t.Say == nil {
		t.Say = func(string, ...any) {}
	}
	t.report.Seed, t.report.Clients = p.Seed, p.Clients
	before, err := t.goroutinesAtRest(ctx)
	if err != nil {
		return t.report, err
	}
	if err = t.start(ctx, "run"); err == nil {
		err = t.work(ctx)
	}
	if err == nil {
		err = t.end(before)
	}
	return t.report, errors.Join(err, t.kill())
}

// goroutinesAtRest counts those of the same daemons with the same clients, which have
// done nothing.
func (t *transporting) goroutinesAtRest(ctx context.Context) (counts []int, err error) {
	defer func() { err = errors.Join(err, t.kill()) }()
	if err := t.start(ctx, "rest"); err != nil {
		return nil, err
	}
	for _, s := range t.running {
		now, err := size(s.ready.PID)
		if err != nil {
			return nil, err
		}
		n, said, err := s.goroutines(now.Descriptors)
		if err == nil && len(n) == 0 {
			err = fmt.Errorf("no goroutines in what swtpmd said after SIGQUIT: %.1000s", said)
		}
		if err != nil {
			return nil, err
		}
		counts = append(counts, n.sum())
	}
	return counts, nil
}

// start starts the daemons and connects the clients.
func (t *transporting) start(ctx context.Context, name string) error {
	t.report.Transports = nil
	for i := range servers {
		s := &served{server: &servers[i]}
		dir := filepath.Join(t.dir, fmt.Sprint(name, i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		ports, err := mssim.ListenTCP(ctx, 0, "127.0.0.1")
		if err != nil {
			return err
		}
		s.port = strconv.Itoa(ports.Port())
		if err := ports.Close(); err != nil {
			return err
		}
		l := s.server.launch(dir, s.port)
		l.program, l.dir, l.stateful, l.blocked = t.Program, dir, true, true
		l.words = append(l.words, "--flags=startup-clear", "--log=level=5")
		if s.daemon, err = l.start(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.server.name, err)
		}
		t.running = append(t.running, s)
		for _, w := range s.server.ways {
			t.report.Transports = append(t.report.Transports, Transport{Name: w.name})
		}
	}
	return t.connect(ctx)
}

// connect connects the clients, one after the other to each transport.
func (t *transporting) connect(ctx context.Context) error {
	for len(t.clients) < t.Clients {
		way := 0
		for _, s := range t.running {
			for _, w := range s.server.ways {
				n := len(t.clients)
				if n == t.Clients {
					return nil
				}
				if w.single && t.report.Transports[way].Clients > 0 {
					way++
					continue
				}
				url := w.url(s.daemon, s.port)
				c, err := dialClient(ctx, url, n, rand.New(rand.NewPCG(t.Seed, uint64(n))))
				if err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
				if c.way = way; w.single {
					c.again = nil
				}
				t.clients = append(t.clients, c)
				t.report.Transports[way].Clients++
				way++
			}
		}
	}
	return nil
}

// work has the clients work until time is over, and rest.
func (t *transporting) work(ctx context.Context) error {
	for _, s := range t.running {
		now, err := size(s.ready.PID)
		if err != nil {
			return err
		}
		t.report.Servers = append(t.report.Servers, ServerReport{Name: s.server.name, Before: now})
	}
	begin := time.Now()
	working, stop := context.WithTimeout(ctx, t.Time)
	defer stop()
	var clients sync.WaitGroup
	for _, c := range t.clients {
		clients.Go(func() {
			if err := c.run(working); err != nil {
				t.failed(fmt.Errorf("%s: %w", t.report.Transports[c.way].Name, err))
			}
		})
	}
	wait(working, t.Time/2)
	for i, s := range t.running {
		now, err := size(s.ready.PID)
		if err != nil {
			t.failed(fmt.Errorf("%s: %w", s.server.name, err))
		}
		t.report.Servers[i].Middle = now
		t.Say("half of the time: %s has RSS %d KiB, %d descriptors, %d threads", s.server.name, now.RSS, now.Descriptors, now.Threads)
	}
	clients.Wait()
	t.report.Seconds = time.Since(begin).Seconds()
	return ctx.Err()
}

func (t *transporting) failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Failures = append(t.report.Failures, err.Error())
	t.Say("FAILED: %v", err)
}

// end sums up what the clients have done, and looks at what is left in the daemons.
func (t *transporting) end(before []int) error {
	took := make([][]time.Duration, len(t.report.Transports))
	for _, c := range t.clients {
		r := &t.report.Transports[c.way]
		r.Connections += c.dialed
		r.Commands += c.commands
		r.Acknowledged += c.acknowledged
		r.Lost += c.lost
		took[c.way] = append(took[c.way], c.took...)
	}
	for i := range t.report.Transports {
		r := &t.report.Transports[i]
		r.P50, r.P99, r.Max = percentile(took[i], 50), percentile(took[i], 99), percentile(took[i], 100)
	}
	for i, s := range t.running {
		r := &t.report.Servers[i]
		var err error
		if r.Last, err = settle(context.Background(), s.ready.PID, r.Before.Descriptors); err != nil {
			t.failed(fmt.Errorf("%s: %w", s.server.name, err))
		}
		n, said, err := s.goroutines(r.Before.Descriptors)
		if err != nil {
			t.failed(fmt.Errorf("%s: %w", s.server.name, err))
		}
		r.GoroutinesBefore, r.Goroutines = before[i], n.sum()
		if r.Goroutines > r.GoroutinesBefore {
			t.failed(fmt.Errorf("%s: %d goroutines are left, and a daemon whose clients have done nothing has %d: %v", s.server.name, r.Goroutines, r.GoroutinesBefore, n))
		}
		if at := strings.Index(said, "DATA RACE"); at >= 0 {
			t.failed(fmt.Errorf("%s: a data race: %.4000s", s.server.name, said[at:]))
		}
	}
	return nil
}

// kill ends what is still there.
func (t *transporting) kill() error {
	var all []error
	for _, c := range t.clients {
		if err := c.tpm.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			all = append(all, err)
		}
	}
	for _, s := range t.running {
		s.kill()
	}
	t.clients, t.running = nil, nil
	return errors.Join(all...)
}

// dialClient connects a client by an address of package dial.
func dialClient(ctx context.Context, url string, n int, rnd *rand.Rand) (*client, error) {
	connect := func(ctx context.Context) (dial.TPM, error) { return dial.Dial(ctx, url) }
	tpm, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	c, err := makeClient(ctx, tpm, n, rnd)
	if err != nil {
		return nil, err
	}
	c.again, c.dialed = connect, 1
	return c, nil
}

package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func serve(t *testing.T, panel *control.Panel) *control.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := &http.Server{Handler: panel.Handler()}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); transporttest.Receive(t, done) })
	return control.NewClient(path)
}

// layerOf returns the rules of a plan before a device that always answers.
func layerOf(t *testing.T, plan faults.Plan) *faults.Layer {
	t.Helper()
	device, err := faults.Wrap(new(transporttest.TPM), plan)
	require.NoError(t, err)
	layer, ok := faults.Of(device)
	require.True(t, ok)
	return layer
}

func TestStatusFollowsTheClockAndTheRules(t *testing.T) {
	clock := new(initcall.Clock)
	var failure error
	panel := &control.Panel{
		Clock:   clock,
		Layer:   layerOf(t, faults.Plan{Clock: clock, Rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Fail)}}),
		Powered: func() bool { return true },
		Failure: func() error { return failure },
	}
	defer clock.Subscribe(panel.RecordLevel)()
	client := serve(t, panel)

	status, err := client.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, initcall.Firmware, status.Now.Level)
	assert.False(t, status.Rules[0].InForce, "firmware is not deferred")
	assert.True(t, status.Powered)
	assert.Empty(t, status.Failure)
	failure = errors.New("no entropy")
	status, err = client.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "no entropy", status.Failure)

	status, err = client.Advance(t.Context(), initcall.Late)
	require.NoError(t, err)
	assert.Equal(t, initcall.Late, clock.Level())
	assert.True(t, status.Rules[0].InForce)
	assert.Equal(t, "by hand", status.Now.Cause)

	_, err = client.Advance(t.Context(), initcall.Core)
	var refused *control.RequestError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, http.StatusConflict, refused.Status)
	assert.Equal(t, initcall.Late, clock.Level())

	status, err = client.Advance(t.Context(), initcall.LateSync)
	require.NoError(t, err)
	assert.False(t, status.Rules[0].InForce)
	assert.Len(t, status.Levels, 2)
}

func TestJournalKeepsTheLastDecisions(t *testing.T) {
	panel := &control.Panel{Clock: new(initcall.Clock)}
	const extra = 10
	for i := range uint32(control.JournalLength + extra) {
		panel.RecordDecision(faults.Decision{Command: i, Outcome: faults.Answered})
	}
	client := serve(t, panel)
	journal, err := client.Journal(t.Context())
	require.NoError(t, err)
	require.Len(t, journal, control.JournalLength)
	for i, d := range journal {
		require.Equal(t, uint32(i+extra), d.Command)
	}
	status, err := client.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, uint64(control.JournalLength+extra), status.Outcomes[faults.Answered])
}

func TestPCRs(t *testing.T) {
	values := control.PCRs{"sha256": {0: "00", 10: "ab"}}
	fail := errors.New("TPM_RC_INITIALIZE")
	var err error
	panel := &control.Panel{Clock: new(initcall.Clock), PCRs: func(context.Context) (control.PCRs, error) { return values, err }}
	client := serve(t, panel)
	got, gotErr := client.PCRs(t.Context())
	require.NoError(t, gotErr)
	assert.Equal(t, values, got)

	err = fail
	_, gotErr = client.PCRs(t.Context())
	var refused *control.RequestError
	require.ErrorAs(t, gotErr, &refused)
	assert.Equal(t, http.StatusBadGateway, refused.Status)
	assert.Equal(t, "GET /pcrs: TPM_RC_INITIALIZE", refused.Error())

	_, gotErr = serve(t, &control.Panel{Clock: new(initcall.Clock)}).PCRs(t.Context())
	assert.ErrorAs(t, gotErr, &refused)
}

func TestBadRequestsChangeNothing(t *testing.T) {
	clock := new(initcall.Clock)
	panel := &control.Panel{Clock: clock}
	for name, c := range map[string]struct {
		method, path, body string
		status             int
	}{
		"unknown level":  {"POST", "/level", `{"level":"latest"}`, http.StatusBadRequest},
		"unknown field":  {"POST", "/level", `{"level":"late","force":true}`, http.StatusBadRequest},
		"no level":       {"POST", "/level", `{}`, http.StatusBadRequest},
		"level null":     {"POST", "/level", `{"level":null}`, http.StatusBadRequest},
		"null":           {"POST", "/level", `null`, http.StatusBadRequest},
		"empty":          {"POST", "/level", ``, http.StatusBadRequest},
		"two objects":    {"POST", "/level", `{"level":"late"}{}`, http.StatusBadRequest},
		"trailing bytes": {"POST", "/level", `{"level":"late"} late`, http.StatusBadRequest},
		"trailing brace": {"POST", "/level", `{"level":"late"}}`, http.StatusBadRequest},
		"not JSON":       {"POST", "/level", `late`, http.StatusBadRequest},
		"too long":       {"POST", "/level", `{"level":"` + string(bytes.Repeat([]byte("a"), 1<<16)) + `"}`, http.StatusBadRequest},
		"wrong method":   {"GET", "/level", ``, http.StatusMethodNotAllowed},
		"unknown path":   {"GET", "/secrets", ``, http.StatusNotFound},
		"level a number": {"POST", "/level", `{"level":3}`, http.StatusBadRequest},
	} {
		w := httptest.NewRecorder()
		panel.Handler().ServeHTTP(w, httptest.NewRequest(c.method, c.path, bytes.NewReader([]byte(c.body))))
		assert.Equal(t, c.status, w.Code, name)
		assert.Equal(t, initcall.Firmware, clock.Level(), name)
	}
}

// A client that asks for the journal and does not read it costs no more than a
// piece, and others are served.
func TestJournalOfManyPieces(t *testing.T) {
	panel := &control.Panel{Clock: new(initcall.Clock)}
	for _, n := range []int{0, 1, 63, 64, 65, 1000} {
		for panelLength(panel) < n {
			panel.RecordDecision(faults.Decision{Command: uint32(panelLength(panel)), Outcome: faults.Answered})
		}
		journal, err := serve(t, panel).Journal(t.Context())
		require.NoError(t, err)
		require.Len(t, journal, n)
		for i, d := range journal {
			require.Equal(t, uint32(i), d.Command)
		}
	}
}

// busyWriter is a client that reads so slowly that others go on meanwhile.
type busyWriter struct {
	*httptest.ResponseRecorder
	meanwhile func()
}

func (w *busyWriter) Write(p []byte) (int, error) {
	w.meanwhile()
	return w.ResponseRecorder.Write(p)
}

// Decisions that are replaced while a client reads are counted where they are missing.
func TestJournalTellsItsGaps(t *testing.T) {
	const kept, first = control.JournalLength, 64 // what a piece has
	for _, more := range []int{0, 1, first, first + 1, kept / 2, kept, kept + 100} {
		panel := &control.Panel{Clock: new(initcall.Clock)}
		next := uint32(0)
		record := func(n int) {
			for range n {
				panel.RecordDecision(faults.Decision{Command: next, Outcome: faults.Answered})
				next++
			}
		}
		record(kept + 10)
		w := &busyWriter{httptest.NewRecorder(), sync.OnceFunc(func() { record(more) })}
		panel.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/journal", nil))
		var journal []control.Entry
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &journal), "%d", more)
		at := uint32(10)
		var lost uint64
		for _, e := range journal {
			if e.Lost > 0 {
				assert.Equal(t, control.Entry{Lost: e.Lost}, e)
				lost += e.Lost
				at += uint32(e.Lost)
				continue
			}
			require.Equal(t, at, e.Command)
			at++
		}
		assert.EqualValues(t, kept+10, at, "%d", more)
		assert.EqualValues(t, min(max(more-first, 0), kept-first), lost, "%d", more)
		if lost > 0 {
			assert.Contains(t, w.Body.String(), fmt.Sprintf(`{"lost":%d}`, lost))
		}
	}
}

func panelLength(p *control.Panel) int { return len(p.Journal()) }

func TestServerLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	told := make(chan int, 10)
	server := control.NewServer(&control.Panel{Clock: new(initcall.Clock)}, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(control.Limit(l, func(limit int) { told <- limit }))
	}()
	t.Cleanup(func() { _ = server.Close(); transporttest.Receive(t, done) })

	ask := func() (net.Conn, error) {
		c, err := net.Dial("unix", path)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			return nil, err
		}
		_, err = io.WriteString(c, "GET /status HTTP/1.1\r\nHost: swtpmd\r\n\r\n")
		if err == nil {
			_, err = c.Read(make([]byte, 4096))
		}
		return c, err
	}
	var open []net.Conn
	for range control.MaxConnections {
		c, err := ask()
		require.NoError(t, err)
		open = append(open, c)
	}
	for range 3 {
		_, err := ask()
		require.Error(t, err)
	}
	assert.Len(t, told, 1)
	assert.Equal(t, control.MaxConnections, transporttest.Receive(t, told))
	require.NoError(t, open[0].Close())
	require.Eventually(t, func() bool { _, err := ask(); return err == nil }, 20*time.Second, time.Millisecond)
}

// fullListener has no descriptor left for its first connection.
type fullListener struct {
	net.Listener
	once sync.Once
}

func (l *fullListener) Accept() (conn net.Conn, err error) {
	l.once.Do(func() { err = &net.OpError{Op: "accept", Err: syscall.EMFILE} })
	if err == nil {
		conn, err = l.Listener.Accept()
	}
	return conn, err
}

// What goes wrong in the server is for the log alone: stderr may be a pipe that is
// full and that nobody reads.
func TestServerWritesToItsLogAlone(t *testing.T) {
	var stderr, said lockedText
	old := log.Writer()
	log.SetOutput(&stderr)
	defer log.SetOutput(old)
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := control.NewServer(&control.Panel{Clock: new(initcall.Clock)}, slog.New(slog.NewTextHandler(&said, nil)))
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(&fullListener{Listener: l}) }()
	t.Cleanup(func() { _ = server.Close(); transporttest.Receive(t, done) })
	_, err = control.NewClient(path).Status(t.Context())
	require.NoError(t, err)
	assert.Contains(t, said.String(), "too many open files")
	assert.Contains(t, said.String(), "level=WARN")
	assert.Empty(t, stderr.String())
}

// lockedText is a log that a test reads while others write.
type lockedText struct {
	mu   sync.Mutex
	text []byte
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func TestNobodyListens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.sock")
	_, err := control.NewClient(path).Status(t.Context())
	require.Error(t, err)
	assert.Contains(t, err.Error(), path)
}

func TestDecisionJSONNamesLevelAndOutcome(t *testing.T) {
	encoded, err := json.Marshal(faults.Decision{Level: initcall.LateSync, Outcome: faults.Released})
	require.NoError(t, err)
	assert.Contains(t, string(encoded), `"level":"late_sync"`)
	assert.Contains(t, string(encoded), `"outcome":"released"`)
}

package control_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

type ctxt = context.Context

func withCancel(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

// listening returns the events that a client of the panel gets.
func listening(t *testing.T, client *control.Client, commands bool) <-chan control.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	events, ready, ended := make(chan control.Event, 2*control.EventRoom), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- client.Events(ctx, commands, func() { close(ready) }, func(e control.Event) error { events <- e; return nil })
	}()
	t.Cleanup(func() { cancel(); assert.ErrorIs(t, transporttest.Receive(t, ended), context.Canceled) })
	transporttest.Receive(t, ready)
	return events
}

// What happens is told in its order: levels, decisions, rules, power, commands.
func TestEvents(t *testing.T) {
	clock := new(initcall.Clock)
	panel := &control.Panel{Clock: clock, Restore: func(control.Snapshot) error { return nil }}
	defer clock.Subscribe(panel.RecordLevel)()
	tpm := new(transporttest.TPM)
	require.NoError(t, tpm.Init())
	device, err := faults.Wrap(tpm, faults.Plan{Clock: clock, Journal: panel.RecordDecision})
	require.NoError(t, err)
	panel.Layer, _ = faults.Of(device)
	device = panel.Device(device)
	client := serve(t, panel)
	events := listening(t, client, true)
	few := listening(t, client, false)

	require.NoError(t, clock.Advance(initcall.Late, initcall.NoTime, "test"))
	rules, err := client.AddRules(t.Context(), "name=a GetRandom: rc=TPM_RC_RETRY")
	require.NoError(t, err)
	require.Len(t, rules, 1)
	ctx := transport.WithClient(t.Context(), "me")
	_, err = device.Send(ctx, 3, transport.NewCommand(transport.TagNoSessions, 0x17B, []byte{0, 8}))
	require.NoError(t, err)
	_, err = client.EnableRule(t.Context(), "a", false)
	require.NoError(t, err)
	panel.RecordPower(control.PowerReset)
	_, err = client.Restore(t.Context(), control.Snapshot{Permanent: []byte{1}})
	require.NoError(t, err)
	_, err = client.RemoveRule(t.Context(), "a")
	require.NoError(t, err)

	kinds := func(events <-chan control.Event, n int) (list []control.EventKind) {
		for range n {
			e := transporttest.Receive(t, events)
			list = append(list, e.Kind)
			if e.Kind == control.CommandEvent {
				assert.Equal(t, control.Command{Time: e.Command.Time, Command: 0x17B, Locality: 3, Client: "me", Code: 0x922, Took: e.Command.Took}, *e.Command)
			}
		}
		return list
	}
	assert.Equal(t, []control.EventKind{"level", "rules", "decision", "command", "rules", "power", "restore", "rules"}, kinds(events, 8))
	assert.Equal(t, []control.EventKind{"level", "rules", "decision", "rules", "power", "restore", "rules"}, kinds(few, 7))
}

// A client that does not read costs nobody anything, and is told how much it has missed.
func TestAReaderThatIsSlow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	panel := &control.Panel{Clock: new(initcall.Clock)}
	server := control.NewServer(panel, nil)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); transporttest.Receive(t, done) })

	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: swtpmd\r\n\r\n")
	require.NoError(t, err)
	head := make([]byte, 1)
	_, err = io.ReadFull(conn, head) // it is served
	require.NoError(t, err)
	// The socket's buffers take some, and the queue the next: none waits for the client.
	for i := range 100 * control.EventRoom {
		panel.RecordDecision(faults.Decision{Number: uint64(i + 1), Rule: "r", Outcome: faults.Answered})
	}
	assert.Equal(t, uint64(100*control.EventRoom), panel.Status().Outcomes[faults.Answered])
	response, err := http.ReadResponse(bufio.NewReader(&begun{conn, head}), nil)
	require.NoError(t, err)
	decoder := json.NewDecoder(response.Body) // it has no end, so the connection alone is closed
	var last, lost uint64
	for last < 100*control.EventRoom {
		var e control.Event
		require.NoError(t, decoder.Decode(&e))
		if e.Kind == control.LostEvent {
			lost += e.Lost
			last += e.Lost
			continue
		}
		require.Equal(t, last+1, e.Decision.Number, "what is missing is told where it is missing")
		last++
	}
	assert.Positive(t, lost)
}

// begun is a connection of which bytes were read.
type begun struct {
	net.Conn
	head []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.head) > 0 {
		n := copy(p, b.head)
		b.head = b.head[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}

// Held commands are in the status until they are let go.
func TestWhatIsHeld(t *testing.T) {
	panel := &control.Panel{Clock: new(initcall.Clock)}
	for i := range 3 {
		panel.RecordDecision(faults.Decision{Number: uint64(i), Rule: "r", Outcome: faults.Held})
	}
	panel.RecordDecision(faults.Decision{Number: 1, Rule: "r", Outcome: faults.Released})
	panel.RecordDecision(faults.Decision{Number: 2, Rule: "other", Outcome: faults.Answered})
	held := panel.Status().Held
	require.Len(t, held, 2)
	assert.Equal(t, []uint64{0, 2}, []uint64{held[0].Number, held[1].Number})
}

// Power and snapshots go to who has the switch, and what goes wrong there is told.
func TestPowerAndSnapshots(t *testing.T) {
	var switched []control.Power
	saved := control.Snapshot{Permanent: []byte("p"), Volatile: []byte("v")}
	var restored control.Snapshot
	fail := errors.New("the disk is full")
	panel := &control.Panel{
		Clock:   new(initcall.Clock),
		Switch:  func(p control.Power) error { switched = append(switched, p); return nil },
		Save:    func() (control.Snapshot, error) { return saved, nil },
		Restore: func(s control.Snapshot) error { restored = s; return fail },
	}
	client := serve(t, panel)
	for _, p := range []control.Power{control.PowerOff, control.PowerOn, control.PowerReset} {
		_, err := client.Power(t.Context(), p)
		require.NoError(t, err)
	}
	assert.Equal(t, []control.Power{"off", "on", "reset"}, switched)
	got, err := client.Save(t.Context())
	require.NoError(t, err)
	assert.Equal(t, saved, got)
	_, err = client.Restore(t.Context(), got)
	var refused *control.RequestError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, http.StatusBadGateway, refused.Status)
	assert.Equal(t, "POST /snapshot: the disk is full", fmt.Sprint(err))
	assert.Equal(t, saved, restored)
}

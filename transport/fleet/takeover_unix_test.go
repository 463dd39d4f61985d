//go:build unix

package fleet_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/fleet/handover"
	"github.com/swtpmd/swtpmd/transport/fleet/machine"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// socketPair returns a connection within this process.
func socketPair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	conns := make([]*net.UnixConn, 2)
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		conns[i] = conn.(*net.UnixConn)
	}
	return conns[0], conns[1]
}

// takeOver has a fleet be taken over, and returns the one that has.
func takeOver(t testing.TB, old *fleet.Fleet, o fleet.Options) *fleet.Fleet {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, b := socketPair(t)
	handed := make(chan error, 1)
	go func() { handed <- old.HandOver(ctx, a, nil) }()
	f, passed, err := fleet.Take(ctx, b, o)
	require.NoError(t, err)
	assert.Empty(t, passed)
	require.NoError(t, transporttest.Receive(t, handed))
	require.NoError(t, old.Close(ctx), "it is closed")
	return f
}

// extender extends PCR 0 of a TPM again and again.
type extender struct {
	name  string
	conn  transport.Device
	times atomic.Int64
}

var extend = append([]byte{0x80, 0x02, 0, 0, 0, 0x41, 0, 0, 0x01, 0x82, 0, 0, 0, 0, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x0b}, make([]byte, 32)...)

var readPCR = []byte{0x80, 0x01, 0, 0, 0, 20, 0, 0, 0x01, 0x7e, 0, 0, 0, 1, 0, 0x0b, 3, 1, 0, 0}

// run extends until stop, and compares the PCR with what it has to be.
func (e *extender) run(stop <-chan struct{}) error {
	var pcr [32]byte
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		response, err := e.conn.Send(context.Background(), 0, extend)
		if err != nil || transport.ResponseCode(response) != 0 {
			return fmt.Errorf("extend %d: %x, %w", e.times.Load(), response, err)
		}
		pcr = sha256.Sum256(append(pcr[:], make([]byte, 32)...))
		e.times.Add(1)
		response, err = e.conn.Send(context.Background(), 0, readPCR)
		if err != nil || transport.ResponseCode(response) != 0 || string(response[len(response)-32:]) != string(pcr[:]) {
			return fmt.Errorf("read after extend %d: %x, not %x, %w", e.times.Load(), response, pcr, err)
		}
	}
}

// Clients notice nothing of a takeover: no error, no extend lost, on sockets of both kinds.
// New clients come to the same sockets. The directories are locked all the time.
func TestTakeoverUnderClients(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := transporttest.Dir(t)
	o := fleet.Options{Dir: dir, State: filepath.Join(dir, "state"), NoSync: true, Idle: 5 * time.Millisecond}
	f, err := fleet.New(o)
	require.NoError(t, err)
	defer func() { assert.NoError(t, f.Close(ctx)) }()
	var clients sync.WaitGroup
	defer transporttest.Wait(t, &clients)
	stop := make(chan struct{})
	var all []*extender
	for i := range 6 {
		name := fmt.Sprint("guest", i)
		c := fleet.Config{}
		if i%3 == 2 {
			c.State = fleet.InMemory
		}
		s := add(t, f, name, c)
		e := &extender{name: name}
		if i%2 == 0 {
			tpm, err := swtpm.Dial(ctx, s.Control) // as QEMU does
			require.NoError(t, err)
			t.Cleanup(func() { _ = tpm.Close() })
			require.NoError(t, tpm.Init())
			require.NoError(t, ask.TPM{Device: tpm}.Startup(ctx, wire.SUClear))
			e.conn = tpm
		} else {
			g := connect(t, s)
			g.power(t)
			e.conn = g.commands
		}
		all = append(all, e)
		clients.Go(func() { assert.NoError(t, e.run(stop), name) })
	}
	add(t, f, "idle", fleet.Config{})
	defer close(stop)
	for range 8 {
		before := make([]int64, len(all))
		for i, e := range all {
			before[i] = e.times.Load()
		}
		f = takeOver(t, f, o)
		for i, e := range all {
			require.Eventually(t, func() bool { return e.times.Load() > before[i]+3 }, time.Minute, time.Millisecond, e.name)
		}
		_, err := fleet.New(o)
		var inUse *fleet.InUseError
		require.ErrorAs(t, err, &inUse)
		assert.Len(t, f.List(), 7)
		s, _ := f.Status("guest1")
		assert.Equal(t, 1, s.DataClients)
		assert.GreaterOrEqual(t, s.Commands, uint64(2*before[1]))
		newcomer, err := raw.Dial(ctx, "unix", s.Data)
		require.NoError(t, err)
		response, err := newcomer.Send(ctx, 0, readPCR)
		require.NoError(t, err)
		assert.Zero(t, transport.ResponseCode(response))
		require.NoError(t, newcomer.Close())
		require.Eventually(t, func() bool { s, _ := f.Status("guest1"); return s.DataClients == 1 }, time.Minute, time.Millisecond)
	}
	s, _ := f.Status("idle")
	connect(t, s).power(t)
}

// Whenever the new process ends, the old one goes on, and its clients notice nothing.
func TestATakeoverThatFails(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir := transporttest.Dir(t)
	o := fleet.Options{Dir: dir, State: filepath.Join(dir, "state"), NoSync: true}
	f := open(t, o)
	g := connect(t, add(t, f, "web", fleet.Config{}))
	g.power(t)
	connect(t, add(t, f, "db", fleet.Config{Rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Retry)}})).close()
	var clients sync.WaitGroup
	defer transporttest.Wait(t, &clients)
	stop := make(chan struct{})
	defer close(stop)
	e := &extender{conn: g.commands}
	clients.Go(func() { assert.NoError(t, e.run(stop)) })
	goesOn := func(name string) {
		t.Helper()
		before := e.times.Load()
		require.Eventually(t, func() bool { return e.times.Load() > before+2 }, time.Minute, time.Millisecond, name)
		_, err := fleet.New(o)
		var inUse *fleet.InUseError
		require.ErrorAs(t, err, &inUse, name)
		s, ok := f.Status("web")
		require.True(t, ok)
		connect(t, s).close()
	}
	failed := func(err error) {
		t.Helper()
		var failed *fleet.TakeoverError
		require.ErrorAs(t, err, &failed)
	}

	t.Log("it ends before it says anything")
	a, b := socketPair(t)
	require.NoError(t, b.Close())
	failed(f.HandOver(ctx, a, nil))
	goesOn("ended")

	t.Log("its directories are others")
	other := o
	other.State = ""
	a, b = socketPair(t)
	handed := make(chan error, 1)
	go func() { handed <- f.HandOver(ctx, a, nil) }()
	_, _, err := fleet.Take(ctx, b, other)
	failed(err)
	assert.Contains(t, err.Error(), "other directories")
	failed(transporttest.Receive(t, handed))
	goesOn("directories")

	t.Log("it ends after each of the messages")
	for said := range 4 {
		a, b := socketPair(t)
		go func() { handed <- f.HandOver(ctx, a, nil) }()
		fleet.TakeUntil(b, o, said)
		failed(transporttest.Receive(t, handed))
		goesOn(fmt.Sprint("ended after message ", said))
	}

	t.Log("the next one has it")
	f2 := takeOver(t, f, o)
	t.Cleanup(func() { assert.NoError(t, f2.Close(context.Background())) })
	before := e.times.Load()
	require.Eventually(t, func() bool { return e.times.Load() > before+2 }, time.Minute, time.Millisecond)
}

// A process of another version, or with other directories, does not get the fleet; one that
// hands over what is no TPM of a fleet is not believed, and leaves nothing.
func TestATakeoverByAStranger(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := transporttest.Dir(t)
	f, err := fleet.New(fleet.Options{Dir: dir, NoSync: true})
	require.NoError(t, err)
	defer func() { assert.NoError(t, f.Close(ctx)) }()
	require.NoError(t, f.Add(ctx, "1", fleet.Config{}))
	for says, hello := range map[string]map[string]any{
		"it is of version 2":       {"kind": "hello", "version": 2, "dir": dir},
		"it has other directories": {"kind": "hello", "version": 1, "dir": dir + "/another"},
		"unknown field":            {"kind": "hello", "version": 1, "dir": dir, "more": true},
		"the other process says":   {"kind": "serves"},
	} {
		a, b := socketPair(t)
		require.NoError(t, handover.New(b, time.Minute).Send(hello))
		require.ErrorContains(t, f.HandOver(ctx, a, nil), says)
		require.NoError(t, b.Close())
	}
	assert.Len(t, f.List(), 1, "the fleet goes on")

	empty := transporttest.Dir(t)
	for _, name := range []string{"../web", "a/b", "", ".hidden"} {
		a, b := socketPair(t)
		other := handover.New(a, time.Minute)
		require.NoError(t, other.Send(map[string]any{"kind": "begin", "version": 1, "count": 1}))
		require.NoError(t, other.Send(map[string]any{"kind": "tpm", "tpm": map[string]any{"name": name, "config": ""}}))
		_, _, err := fleet.Take(ctx, b, fleet.Options{Dir: empty, NoSync: true})
		var wrong *fleet.TakeoverError
		require.ErrorAs(t, err, &wrong, name)
		assert.ErrorContains(t, err, "no TPM", name)
		require.NoError(t, a.Close())
		left, err := os.ReadDir(empty)
		require.NoError(t, err)
		assert.Empty(t, left, name)
	}
}

// A command that a rule holds is answered before, or the fleet goes on.
func TestATakeoverWaitsForAHeldCommand(t *testing.T) {
	t.Parallel()
	dir := transporttest.Dir(t)
	o := fleet.Options{Dir: dir}
	f := open(t, o)
	hold, err := faults.ParseRule("GetRandom#1: hold=1h")
	require.NoError(t, err)
	g := connect(t, add(t, f, "held", fleet.Config{Rules: []faults.Rule{hold}}))
	g.power(t)
	answered := make(chan error, 1)
	go func() {
		_, err := g.commands.Send(context.Background(), 0, []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 16})
		answered <- err
	}()
	require.Eventually(t, func() bool { return len(f.Panel("held").Status().Held) == 1 }, time.Minute, time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	a, b := socketPair(t)
	handed := make(chan error, 1)
	go func() { handed <- f.HandOver(ctx, a, nil) }()
	_, _, err = fleet.Take(context.Background(), b, o)
	require.ErrorContains(t, err, "a command of held takes too long")
	err = transporttest.Receive(t, handed)
	var busy *fleet.BusyError
	require.ErrorAs(t, err, &busy)
	assert.Equal(t, []string{"held"}, busy.TPMs)

	name := f.Panel("held").Rules()[0].Name
	require.NoError(t, f.Panel("held").Layer.Enable(name, false))
	require.NoError(t, transporttest.Receive(t, answered))
	f = takeOver(t, f, o)
	defer func() { assert.NoError(t, f.Close(context.Background())) }()
	rules := f.Panel("held").Rules()
	require.Len(t, rules, 1)
	assert.False(t, rules[0].Enabled)
	assert.Equal(t, uint64(1), rules[0].Fitted)
	assert.Zero(t, g.code(t))
	assert.Equal(t, uint64(1), f.Panel("held").Rules()[0].Fired)
	assert.NotEmpty(t, f.Panel("held").Journal())
}

// The boot goes on where it was: a console that QEMU is connected to, in the middle of a
// line, and the level at which the TPM comes.
func TestATakeoverInTheMiddleOfABoot(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := transporttest.Dir(t)
	o := fleet.Options{Dir: dir}
	f, err := fleet.New(o)
	require.NoError(t, err)
	defer func() { assert.NoError(t, f.Close(ctx)) }()
	s := add(t, f, "late", fleet.Config{Rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Fail)}})
	g := connect(t, s)
	console, err := net.Dial("unix", s.Console)
	require.NoError(t, err)
	defer console.Close()
	require.NoError(t, g.Init(ctx, 0))
	say := func(text string) {
		t.Helper()
		_, err := console.Write([]byte(text))
		require.NoError(t, err)
	}
	reached := func(level initcall.Level) {
		t.Helper()
		require.Eventually(t, func() bool { s, _ := f.Status("late"); return s.Level == level }, time.Minute, time.Millisecond, level.String())
	}
	text, err := os.ReadFile("../../faults/initcall/testdata/x86_64-minimal-6.1-tpm-on-time.log")
	require.NoError(t, err)
	var want []initcall.Event
	clock := new(initcall.Clock)
	clock.Subscribe(func(e initcall.Event) { want = append(want, e) })
	whole, err := initcall.NewConsole(clock)
	require.NoError(t, err)
	whole.Reset(machine.InitCause)
	_, _ = whole.Write(text)
	require.Equal(t, initcall.Userspace, clock.Level())

	startup := []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0}
	const pieces = 9
	for i := range pieces {
		say(string(text[len(text)*i/pieces : len(text)*(i+1)/pieces]))
		f = takeOver(t, f, o)
		if i == 0 {
			require.Eventually(t, func() bool { s, _ := f.Status("late"); return s.Level >= initcall.Kernel }, time.Minute, time.Millisecond)
			response, err := g.commands.Send(ctx, 0, startup)
			require.NoError(t, err)
			assert.Equal(t, uint32(wire.RCFailure), transport.ResponseCode(response), "it is deferred")
		}
	}
	reached(initcall.Userspace)
	assert.Equal(t, want, f.Panel("late").Status().Levels, "as without takeovers")
	response, err := g.commands.Send(ctx, 0, startup)
	require.NoError(t, err)
	assert.Zero(t, transport.ResponseCode(response))
	// QEMU's console is closed, and another one's connects.
	require.NoError(t, console.Close())
	f = takeOver(t, f, o)
	require.Eventually(t, func() bool {
		console, err = net.Dial("unix", s.Console)
		return err == nil
	}, time.Minute, time.Millisecond)
	require.NoError(t, g.Init(ctx, 0))
	say("[    0.000000] Linux version 6.12.0 (x) #1\n")
	reached(initcall.Kernel)
}

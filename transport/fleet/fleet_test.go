package fleet_test

import (
	"context"
	"encoding/binary"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func open(t testing.TB, o fleet.Options) *fleet.Fleet {
	t.Helper()
	f, err := fleet.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close(context.Background())) })
	return f
}

func add(t testing.TB, f *fleet.Fleet, name string, c fleet.Config) fleet.Status {
	t.Helper()
	require.NoError(t, f.Add(context.Background(), name, c))
	s, ok := f.Status(name)
	require.True(t, ok)
	return s
}

// guest is a machine with connections to both sockets of its TPM.
type guest struct {
	*swtpm.Client
	ask.TPM
	commands *raw.Client
}

func connect(t testing.TB, s fleet.Status) *guest {
	t.Helper()
	ctx := context.Background()
	control, err := swtpm.DialControl(ctx, "unix", s.Control)
	require.NoError(t, err)
	t.Cleanup(func() { _ = control.Close() })
	commands, err := raw.Dial(ctx, "unix", s.Data)
	require.NoError(t, err)
	t.Cleanup(func() { _ = commands.Close() })
	return &guest{control, ask.TPM{Device: commands}, commands}
}

func (g *guest) close() { _ = g.Client.Close(); _ = g.commands.Close() }

// power is INIT and TPM2_Startup.
func (g *guest) power(t testing.TB) {
	t.Helper()
	require.NoError(t, g.Init(context.Background(), 0))
	require.NoError(t, g.Startup(context.Background(), wire.SUClear))
}

// code is the response code of TPM2_GetRandom.
func (g *guest) code(t testing.TB) uint32 {
	t.Helper()
	response, err := g.commands.Send(context.Background(), 0, []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 16})
	require.NoError(t, err)
	return transport.ResponseCode(response)
}

func TestAddAndRemove(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := transporttest.Dir(t)
	f := open(t, fleet.Options{Dir: dir})
	s := add(t, f, "web", fleet.Config{Profile: "hardware-like"})
	for path, mode := range map[string]fs.FileMode{
		s.Control: fs.ModeSocket | 0o600, s.Data: fs.ModeSocket | 0o600, filepath.Dir(s.Data): fs.ModeDir | 0o700,
		filepath.Join(dir, "web.tpm"): 0o600, dir: fs.ModeDir | 0o700,
	} {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode(), path)
	}
	assert.ErrorIs(t, f.Add(ctx, "web", fleet.Config{}), fleet.ErrTaken)
	for _, name := range []string{"", ".", "..", "a/b", "a.b", "-a", "/a", "ä", strings.Repeat("a", 65)} {
		assert.ErrorIs(t, f.Add(ctx, name, fleet.Config{}), fleet.ErrName, name)
	}
	assert.ErrorIs(t, f.Remove(ctx, "db", false), fleet.ErrNone)

	g := connect(t, s)
	g.power(t)
	assert.ErrorIs(t, f.Remove(ctx, "web", false), fleet.ErrInUse)
	assert.Equal(t, uint32(0), g.code(t))
	require.NoError(t, f.Remove(ctx, "web", false), "asked twice")
	_, err := g.commands.Send(ctx, 0, []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 16})
	assert.Error(t, err)
	assert.NoDirExists(t, filepath.Join(dir, "web"))
	assert.NoFileExists(t, filepath.Join(dir, "web.tpm"))
	assert.Empty(t, f.List())

	g = connect(t, add(t, f, "web", fleet.Config{}))
	g.power(t)
	require.NoError(t, f.Remove(ctx, "web", true))
}

// A later fleet on the directory finds the TPMs, and their state.
func TestTheNextFleet(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := transporttest.Dir(t)
	o := fleet.Options{Dir: dir, State: filepath.Join(dir, "state"), NoSync: true}
	f, err := fleet.New(o)
	require.NoError(t, err)
	rule := faults.Defer(initcall.LateSync, faults.Retry)
	add(t, f, "late", fleet.Config{Rules: []faults.Rule{rule}, Timeline: true, State: fleet.InMemory})
	g := connect(t, add(t, f, "web", fleet.Config{}))
	g.power(t)

	_, err = fleet.New(o)
	var taken *fleet.InUseError
	require.ErrorAs(t, err, &taken)
	assert.Equal(t, os.Getpid(), taken.PID)

	require.NoError(t, f.Close(ctx))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "wrong.tpm"), []byte("# no such word\nprofil=tiny\n"), 0o600))
	f = open(t, o)
	list := f.List()
	require.Len(t, list, 3)
	assert.Equal(t, []string{"late", "web", "wrong"}, []string{list[0].Name, list[1].Name, list[2].Name})
	assert.Contains(t, list[2].Refused, "wrong.tpm:2: \"profil\": unknown word")
	assert.Empty(t, list[0].State)
	assert.Equal(t, rule.String(), f.Panel("late").Rules()[0].Rule)
	g = connect(t, list[1])
	require.NoError(t, g.Init(ctx, 0))
	assert.Equal(t, uint32(wire.RCInitialize), g.code(t))
	assert.FileExists(t, filepath.Join(dir, "state", "web", "tpm2.state"))
	require.NoError(t, f.Remove(ctx, "wrong", false))
	assert.Len(t, f.List(), 2)
}

// SHUTDOWN ends the power, and not the TPM's sockets.
func TestTheNextGuest(t *testing.T) {
	t.Parallel()
	f := open(t, fleet.Options{Dir: transporttest.Dir(t)})
	s := add(t, f, "web", fleet.Config{})
	for range 3 {
		g := connect(t, s)
		g.power(t)
		require.NoError(t, g.Client.Shutdown(context.Background()))
		s, _ = f.Status("web")
		assert.False(t, s.Powered)
		g.close()
	}
}

// A TPM that is put away goes on as if it had not been, its PCRs and its clock included.
func TestPutAway(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := open(t, fleet.Options{Dir: transporttest.Dir(t), Idle: time.Millisecond})
	s := add(t, f, "web", fleet.Config{})
	assert.False(t, s.InMemory, "before INIT")
	g := connect(t, s)
	g.power(t)
	extend := append([]byte{0x80, 0x02, 0, 0, 0, 0x41, 0, 0, 0x01, 0x82, 0, 0, 0, 16, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x0b}, make([]byte, 32)...)
	read := []byte{0x80, 0x01, 0, 0, 0, 20, 0, 0, 0x01, 0x7e, 0, 0, 0, 1, 0, 0x0b, 3, 0, 0, 1}
	var last []byte
	for range 5 {
		awayed(t, f, "web")
		response, err := g.commands.Send(ctx, 0, extend)
		require.NoError(t, err)
		require.Zero(t, transport.ResponseCode(response))
		awayed(t, f, "web")
		response, err = g.commands.Send(ctx, 0, read)
		require.NoError(t, err)
		assert.Zero(t, transport.ResponseCode(response))
		assert.NotEqual(t, last, response)
		last = response
	}
	// TPM2_ReadClock: Time goes on while the TPM is away.
	clock := func() uint64 {
		response, err := g.commands.Send(ctx, 0, []byte{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x81})
		require.NoError(t, err)
		return binary.BigEndian.Uint64(response[10:])
	}
	before := clock()
	began := time.Now()
	for range 20 {
		awayed(t, f, "web")
		clock()
	}
	passed := time.Since(began)
	assert.GreaterOrEqual(t, clock()-before+1, uint64(passed.Milliseconds()))
}

// awayed waits until a TPM is put away.
func awayed(t *testing.T, f *fleet.Fleet, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		s, ok := f.Status(name)
		return ok && !s.InMemory && s.Powered
	}, 30*time.Second, time.Millisecond)
}

// lines is a log that goroutines write.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// panics is entropy that panics when it is asked for the second time, in a command.
type panics struct{ asked int }

func (p *panics) Read(b []byte) (int, error) {
	if p.asked++; p.asked == 2 {
		panic("on purpose")
	}
	return len(b), nil
}

// A panic in one TPM is its failure mode until INIT, and nobody else's.
func TestAPanicIsTheFailureModeOfOneTPM(t *testing.T) {
	t.Parallel()
	var log lines
	f := open(t, fleet.Options{Dir: transporttest.Dir(t), Log: slog.New(slog.NewTextHandler(&log, nil)), Idle: 10 * time.Millisecond})
	s := add(t, f, "bad", fleet.Config{})
	f.SetEntropy("bad", new(panics))
	bad, good := connect(t, s), connect(t, add(t, f, "good", fleet.Config{}))
	bad.power(t)
	good.power(t)
	stir := []byte{0x80, 0x01, 0, 0, 0, 14, 0, 0, 0x01, 0x46, 0, 2, 1, 2}
	response, err := bad.commands.Send(context.Background(), 0, stir)
	require.NoError(t, err)
	assert.Equal(t, uint32(wire.RCFailure), transport.ResponseCode(response))
	assert.Equal(t, uint32(wire.RCFailure), bad.code(t), "every command fails")
	assert.Zero(t, good.code(t))
	s, _ = f.Status("bad")
	assert.Contains(t, s.Failure, "panic: on purpose")
	assert.Contains(t, log.String(), "tpm=bad cause=\"on purpose\" stack=")
	assert.Contains(t, log.String(), "panics).Read")

	bad.power(t)
	assert.Zero(t, bad.code(t))
	s, _ = f.Status("bad")
	assert.Empty(t, s.Failure)
}

// A command that is held, a flood and a client that does not read are no other TPM's.
func TestATPMDoesNotWaitForAnother(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	f := open(t, fleet.Options{Dir: transporttest.Dir(t)})
	hold, err := faults.ParseRule("GetRandom: hold=1h")
	require.NoError(t, err)
	held := connect(t, add(t, f, "held", fleet.Config{Rules: []faults.Rule{hold}}))
	deaf := connect(t, add(t, f, "deaf", fleet.Config{}))
	flood := connect(t, add(t, f, "flood", fleet.Config{}))
	good := connect(t, add(t, f, "good", fleet.Config{}))
	for _, g := range []*guest{held, deaf, flood, good} {
		g.power(t)
	}
	var running sync.WaitGroup
	defer transporttest.Wait(t, &running)
	defer cancel()
	s, _ := f.Status("deaf")
	conn, err := net.Dial("unix", s.Data)
	require.NoError(t, err)
	defer conn.Close()
	running.Go(func() { // until its socket is full
		_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
		for ctx.Err() == nil {
			if _, err := conn.Write([]byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 16}); err != nil {
				return
			}
		}
	})
	defer conn.Close()
	waits := make(chan struct{})
	running.Go(func() {
		defer close(waits)
		_, _ = held.commands.Send(ctx, 0, []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 16})
	})
	running.Go(func() {
		for ctx.Err() == nil {
			_, _ = flood.commands.Send(ctx, 0, []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 16})
		}
	})
	for range 100 {
		assert.Zero(t, good.code(t))
	}
	select {
	case <-waits:
		t.Error("the held command was answered")
	default:
	}
}

// More clients than a TPM takes are refused, and another TPM has its own limit.
func TestTheLimitOfClients(t *testing.T) {
	t.Parallel()
	f := open(t, fleet.Options{Dir: transporttest.Dir(t)})
	s := add(t, f, "web", fleet.Config{Clients: 2})
	connect(t, s).power(t)
	connect(t, s)
	require.Eventually(t, func() bool {
		s, _ := f.Status("web")
		return s.DataClients == 2
	}, 30*time.Second, time.Millisecond)
	refused, err := net.Dial("unix", s.Data)
	require.NoError(t, err)
	defer refused.Close()
	require.NoError(t, refused.SetReadDeadline(time.Now().Add(30*time.Second)))
	_, err = refused.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
	connect(t, add(t, f, "db", fleet.Config{})).power(t)
}

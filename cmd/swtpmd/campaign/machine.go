package campaign

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/rundir"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/campaign"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// runDirectory makes the directory of a campaign's sockets.
func runDirectory() (string, error) { return rundir.Make() }

// machine is the TPM of one run, with its sockets.
type machine struct {
	dir     string
	device  transport.Device
	server  *swtpm.Server
	serving sync.WaitGroup
	// boot begins a boot; the server calls it once at a time. unfollow ends what follows
	// a guest's console, nil for a command.
	boot     func(cause string)
	unfollow context.CancelFunc
}

// closeTime is how long commands may take to let go at the end of a run.
const closeTime = 5 * time.Second

// entropy is a stream of bytes that depends on the seed alone: the TPM of a run is the same
// when the run is repeated.
func entropy(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// newMachine makes a TPM under a plan, in a directory that it makes, and serves it. Where
// sent is not nil it counts the commands that come.
func newMachine(ctx context.Context, dir string, seed uint64, plan faults.Plan, w *subject, tests *crypt.SelfTests, sent *sentCommands) (*machine, error) {
	tpm, err := emulator.New(emulator.Platform{Entropy: entropy(seed), SelfTest: tests.SelfTest}, w.profile.Config())
	if err != nil {
		return nil, err
	}
	if err := w.powerOn(ctx, tpm); err != nil {
		return nil, err
	}
	plan.Clock = new(initcall.Clock)
	device, err := faults.Wrap(tpm, plan)
	if err != nil {
		return nil, err
	}
	if sent != nil {
		device = &counted{device, sent}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	m := &machine{dir: dir, device: device}
	if m.boot, err = m.boots(plan.Clock, w.guest); err != nil {
		return nil, errors.Join(err, m.close())
	}
	m.server = swtpm.NewServer(device, swtpm.Options{Events: func(e swtpm.Event) {
		if e.Kind == swtpm.EventInit && !e.Resumes {
			m.boot("INIT on the control channel")
		}
	}})
	for name, serve := range map[string]func(net.Listener) error{rundir.Data: m.server.ServeData, rundir.Control: m.server.ServeControl} {
		l, err := transport.ListenUnix(ctx, filepath.Join(dir, name), transport.Access{Mode: 0o600})
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		m.serving.Go(func() { _ = serve(l) })
	}
	return m, nil
}

// powerOn has the TPM as a command finds it. That of a guest has no power before the guest
// has.
func (w *subject) powerOn(ctx context.Context, tpm *emulator.TPM) error {
	if w.guest {
		return nil
	}
	if err := tpm.Init(); err != nil || w.noStartup {
		return err
	}
	return (ask.TPM{Device: tpm}).Startup(ctx, wire.SUClear)
}

// boots returns what begins a boot, at the TPM's power-on. A command runs in userspace; how
// far a guest is its console tells.
func (m *machine) boots(clock *initcall.Clock, guest bool) (begin func(cause string), err error) {
	if !guest {
		begin = func(cause string) {
			clock.PowerOn(cause)
			// No level is beyond userspace.
			_ = clock.Advance(initcall.Userspace, initcall.NoTime, "a command runs")
		}
		begin("the run begins")
		return begin, nil
	}
	source, err := initcall.ParseSource("file:" + filepath.Join(m.dir, consoleFile))
	if err != nil {
		return nil, err
	}
	console, err := initcall.NewConsole(clock)
	if err != nil {
		return nil, err
	}
	feed, err := source.Open()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m.unfollow = stop
	m.serving.Go(func() { _ = feed.Follow(ctx, console, nil) })
	on := false
	return func(cause string) {
		// A reset while the last boot is in firmware is no boot of its own: SeaBIOS
		// resets twice in a row.
		if on && clock.Level() == initcall.Firmware {
			return
		}
		on = true
		console.Reset(cause)
	}, nil
}

// close ends the server, the commands that are held first, and removes the directory.
func (m *machine) close() error {
	if power, ok := transport.As[transport.Power](m.device); ok {
		_ = power.PowerOff()
	}
	if m.unfollow != nil {
		m.unfollow()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var err error
	if m.server != nil {
		err = m.server.Close(ctx)
	}
	if err == nil {
		m.serving.Wait()
	}
	return errors.Join(err, os.RemoveAll(m.dir))
}

// environment returns the variables by which a command finds the TPM and knows its run.
func (m *machine) environment(seed uint64) []string {
	tcti := "swtpm:path=" + filepath.Join(m.dir, rundir.Data)
	return []string{
		"TPM2TOOLS_TCTI=" + tcti, "TPM2OPENSSL_TCTI=" + tcti, "TPM2_PKCS11_TCTI=" + tcti, "TCTI=" + tcti,
		"SWTPMD_SOCKET=" + filepath.Join(m.dir, rundir.Data),
		"SWTPMD_CONTROL=" + filepath.Join(m.dir, rundir.Control),
		"SWTPMD_CONSOLE=" + filepath.Join(m.dir, consoleFile),
		"SWTPMD_DIR=" + m.dir,
		"SWTPMD_SEED=" + strconv.FormatUint(seed, 10),
		"SWTPMD_PLAN=" + filepath.Join(m.dir, planFile),
	}
}

// The files of a run, in its directory: its plan, and a guest's console.
const (
	planFile    = "plan"
	consoleFile = "console"
)

// sentCommands counts commands by their code.
type sentCommands struct {
	mu    sync.Mutex
	count map[uint32]int
}

func (s *sentCommands) add(command []byte) {
	code, ok := transport.CommandCode(command)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == nil {
		s.count = make(map[uint32]int)
	}
	s.count[code]++
}

// targets returns the commands in the order of their codes.
func (s *sentCommands) targets() []campaign.Target {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []campaign.Target
	for code, n := range s.count {
		list = append(list, campaign.Target{Code: wire.CC(code), Count: n})
	}
	slices.SortFunc(list, func(a, b campaign.Target) int { return int(int64(a.Code) - int64(b.Code)) })
	return list
}

// counted is a device whose commands are counted.
type counted struct {
	transport.Device
	sent *sentCommands
}

// Unwrap returns the device.
func (c *counted) Unwrap() transport.Device { return c.Device }

// Send counts the command and sends it on.
func (c *counted) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if !transport.IsProbe(ctx) {
		c.sent.add(command)
	}
	return c.Device.Send(ctx, locality, command)
}

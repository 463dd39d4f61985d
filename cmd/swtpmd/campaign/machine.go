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

// newMachine makes a TPM with power under a plan, in a directory that it makes, and serves
// it. Where sent is not nil it counts the commands that come.
func newMachine(ctx context.Context, dir string, seed uint64, plan faults.Plan, w *subject, tests *crypt.SelfTests, sent *sentCommands) (*machine, error) {
	tpm, err := emulator.New(emulator.Platform{Entropy: entropy(seed), SelfTest: tests.SelfTest}, w.profile.Config())
	if err != nil {
		return nil, err
	}
	if err := tpm.Init(); err != nil {
		return nil, err
	}
	if !w.noStartup {
		if err := (ask.TPM{Device: tpm}).Startup(ctx, wire.SUClear); err != nil {
			return nil, err
		}
	}
	clock := new(initcall.Clock)
	plan.Clock = clock
	device, err := faults.Wrap(tpm, plan)
	if err != nil {
		return nil, err
	}
	begin(clock, "the run begins")
	if sent != nil {
		device = &counted{device, sent}
	}
	m := &machine{dir: dir, device: device, server: swtpm.NewServer(device, swtpm.Options{Events: func(e swtpm.Event) {
		if e.Kind == swtpm.EventInit && !e.Resumes {
			begin(clock, "INIT on the control channel")
		}
	}})}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	for name, serve := range map[string]func(net.Listener) error{rundir.Data: m.server.ServeData, rundir.Control: m.server.ServeControl} {
		l, err := transport.ListenUnix(ctx, filepath.Join(dir, name), transport.Access{Mode: 0o600})
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		m.serving.Go(func() { _ = serve(l) })
	}
	return m, nil
}

// begin begins a boot, and ends it: a command runs in userspace.
func begin(clock *initcall.Clock, cause string) {
	clock.PowerOn(cause)
	// No boot is beyond userspace.
	_ = clock.Advance(initcall.Userspace, initcall.NoTime, "a command runs")
}

// close ends the server, the commands that are held first, and removes the directory.
func (m *machine) close() error {
	if power, ok := transport.As[transport.Power](m.device); ok {
		_ = power.PowerOff()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := m.server.Close(ctx)
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
		"SWTPMD_DIR=" + m.dir,
		"SWTPMD_SEED=" + strconv.FormatUint(seed, 10),
		"SWTPMD_PLAN=" + filepath.Join(m.dir, planFile),
	}
}

// planFile is the plan of a run, in its directory.
const planFile = "plan"

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

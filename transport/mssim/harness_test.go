package mssim_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// simulated is a test TPM with the signals of a simulator's platform.
type simulated struct {
	transporttest.TPM

	mu      sync.Mutex
	signals []string
	cancel  chan bool // gets the cancel signal, if it is not nil
}

func (d *simulated) signal(name string, on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	word := " off"
	if on {
		word = " on"
	}
	d.signals = append(d.signals, name+word)
}

// taken returns the signals since it was called last.
func (d *simulated) taken() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.signals
	d.signals = nil
	return taken
}

func (d *simulated) SetPresence(on bool)    { d.signal("presence", on) }
func (d *simulated) SetNVAvailable(on bool) { d.signal("nv", on) }
func (d *simulated) FailNextSelfTest()      { d.signal("failure", true) }
func (d *simulated) SetCancel(on bool) {
	d.signal("cancel", on)
	if d.cancel != nil {
		d.cancel <- on
	}
}

// rig is a server on unix sockets.
type rig struct {
	*mssim.Server
	t                 *testing.T
	command, platform string // socket paths
}

// serve runs a server until the end of the test.
func serve(t *testing.T, device transport.Device, options mssim.Options) *rig {
	t.Helper()
	r := &rig{Server: mssim.NewServer(device, options), t: t, command: transporttest.SocketPath(t)}
	var err error
	r.platform, err = mssim.PlatformAddress("unix", r.command)
	require.NoError(t, err)
	ports, err := mssim.ListenUnix(t.Context(), r.command, transport.Access{Mode: 0o700})
	require.NoError(t, err)
	served := make(chan error, 2)
	go func() { served <- r.ServeCommand(ports.Command[0]) }()
	go func() { served <- r.ServePlatform(ports.Platform[0]) }()
	t.Cleanup(func() {
		r.close()
		for range 2 {
			assert.NoError(t, transporttest.Receive(t, served))
		}
	})
	return r
}

func (r *rig) close() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	assert.NoError(r.t, r.Close(ctx))
}

func (r *rig) dialCommand() *transporttest.Peer {
	r.t.Helper()
	return transporttest.Dial(r.t, "unix", r.command)
}

func (r *rig) dialPlatform() *transporttest.Peer {
	r.t.Helper()
	return transporttest.Dial(r.t, "unix", r.platform)
}

// on returns a test TPM with power.
func on(t *testing.T) *simulated {
	t.Helper()
	d := new(simulated)
	require.NoError(t, d.Init())
	return d
}

// play plays lines of question and answer.
func play(t *testing.T, p *transporttest.Peer, lines [][2]string) {
	t.Helper()
	for i, line := range lines {
		require.Equal(t, line[1], p.Ask(line[0]), "line %d: %s", i+1, line[0])
	}
}

// Requests and responses of the tests, in hexadecimal digits.
const (
	startup   = "8001 0000000C 00000144 0000"
	sent      = "00000008 00 0000000C" + startup // SEND_COMMAND at locality 0
	rcSuccess = "80010000000a00000000"
	answered  = "0000000a" + rcSuccess + "00000000"
	noPower   = "0000000000000000"
	ack       = "00000000"
	powerOn   = "00000001"
	powerOff  = "00000002"
)

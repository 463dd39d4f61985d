package swtpm_test

import (
	"context"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// Commands and responses of the tests, in hexadecimal digits.
const (
	readClock  = "8001 0000000A 00000181"
	startup    = "8001 0000000C 00000144 0000"
	rcSuccess  = "80010000000a00000000"
	rcFailure  = "80010000000a00000101"
	rcSize     = "80010000000a00000142"
	rcCanceled = "80010000000a00000909"
)

// rig is a server on unix sockets.
type rig struct {
	*swtpm.Server
	t             *testing.T
	control, data string // socket paths
}

// serve runs a server until the end of the test, which fails if the server
// leaves something behind.
func serve(t *testing.T, device transport.Device, opts swtpm.Options) *rig {
	t.Helper()
	return start(t, swtpm.NewServer(device, opts))
}

// servePatiently runs a server whose clients may be slow, as they are on a busy
// machine.
func servePatiently(t *testing.T, device transport.Device) *rig {
	t.Helper()
	server := swtpm.NewServer(device, swtpm.Options{})
	server.NeverStall()
	return start(t, server)
}

func start(t *testing.T, server *swtpm.Server) *rig {
	t.Helper()
	r := &rig{
		Server:  server,
		t:       t,
		control: transporttest.SocketPath(t),
		data:    transporttest.SocketPath(t),
	}
	served := make(chan error, 2)
	control, err := transport.ListenUnix(context.Background(), r.control, transport.Access{Mode: 0o700})
	require.NoError(t, err)
	data, err := transport.ListenUnix(context.Background(), r.data, transport.Access{Mode: 0o700})
	require.NoError(t, err)
	go func() { served <- r.ServeControl(control) }()
	go func() { served <- r.ServeData(data) }()
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

func (r *rig) dialControl() *transporttest.Peer {
	r.t.Helper()
	return transporttest.Dial(r.t, "unix", r.control)
}

func (r *rig) dialData() *transporttest.Peer {
	r.t.Helper()
	return transporttest.Dial(r.t, "unix", r.data)
}

// ended waits for the end of the server.
func (r *rig) ended() swtpm.Reason {
	r.t.Helper()
	select {
	case <-r.Done():
	case <-time.After(time.Minute):
		require.Fail(r.t, "the server does not end")
	}
	return r.Reason()
}

// play plays lines of question and answer.
func play(t *testing.T, p *transporttest.Peer, lines [][2]string) {
	t.Helper()
	for i, line := range lines {
		require.Equal(t, line[1], p.Ask(line[0]), "line %d: %s", i+1, line[0])
	}
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

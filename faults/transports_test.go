package faults_test

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// listening serves on a unix socket until the end of the test, and returns a client.
func listening(t *testing.T, serve func(net.Listener) error, end func(context.Context) error) *transporttest.Peer {
	t.Helper()
	l, err := net.Listen("unix", transporttest.SocketPath(t))
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		assert.NoError(t, end(ctx))
		assert.NoError(t, transporttest.Receive(t, served))
	})
	return transporttest.Dial(t, "unix", l.Addr().String())
}

// hears returns n bytes in digits, or "closed".
func hears(t *testing.T, p *transporttest.Peer, n int) string {
	t.Helper()
	require.NoError(t, p.SetReadDeadline(time.Now().Add(time.Minute)))
	got := make([]byte, n)
	if _, err := io.ReadFull(p, got); err != nil {
		return "closed"
	}
	return hex.EncodeToString(got)
}

// What the clients of each transport get when a TPM does not answer: the table of docs/faults.md.
func TestTransportsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	stir := "80010000000e000001460002aabb" // TPM2_StirRandom
	for _, test := range []struct {
		fault string
		err   error
		raw   string // of a raw socket and swtpm's data channel
		mssim string
		node  string // of a vTPM proxy and CUSE
	}{
		{"absent=20ms", faults.ErrNoAnswer, failed, "0000000a" + failed + "00000000", failed},
		{"drop=20ms", faults.ErrNoAnswer, failed, "0000000a" + failed + "00000000", failed},
		{"stall=20ms", nil, success, "0000000a" + success + "00000000", success},
		{"gone", faults.ErrNoAnswer, failed, "0000000a" + failed + "00000000", failed},
		{"flap=1/5", nil, success, "0000000a" + success + "00000000", success},
		{"power=cycle", faults.ErrNoAnswer, failed, "0000000a" + failed + "00000000", failed},
		{"power=off", faults.ErrNoPower, failed, "00000000" + "00000000", failed},
		{"split=3", nil, success, "0000000a" + success + "00000000", success},
		{"close", transport.ErrHangUp, "closed", "closed", failed},
	} {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			device := func() transport.Device {
				return wrap(t, emulatortest.New(t).TPM, faults.Plan{Dangerous: true, Rules: rules(t, "StirRandom: "+test.fault)})
			}
			_, err := device().Send(t.Context(), 0, unhex(stir))
			if test.err == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, test.err)
			}

			plain := raw.NewServer(device(), raw.Options{})
			p := listening(t, plain.Serve, plain.Close)
			p.Say(stir)
			assert.Equal(t, test.raw, hears(t, p, 10), "raw")

			daemon := swtpm.NewServer(device(), swtpm.Options{})
			p = listening(t, daemon.ServeData, daemon.Close)
			p.Say(stir)
			assert.Equal(t, test.raw, hears(t, p, 10), "swtpm")

			node := swtpm.NewServer(device(), swtpm.Options{})
			assert.Equal(t, test.node, hex.EncodeToString(node.Respond(t.Context(), unhex(stir))), "vTPM proxy")
			require.NoError(t, node.Close(t.Context()))

			simulator := mssim.NewServer(device(), mssim.Options{})
			p = listening(t, simulator.ServeCommand, simulator.Close)
			p.Say("00000008" + "00" + "0000000e" + stir)
			assert.Equal(t, test.mssim, hears(t, p, max(len(test.mssim)/2, 8)), "mssim")
		})
	}
}

package mssim_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func seed(f *testing.F, digits ...string) {
	f.Helper()
	for _, d := range digits {
		f.Add(transporttest.Hex(f, d))
	}
}

// talk says something to a server and returns all that it answers until the client's end
// is known to it.
func talk(t *testing.T, serve func(net.Conn), message []byte) string {
	t.Helper()
	client, server := transporttest.Conns(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(server)
	}()
	go func() {
		_, _ = client.Write(message)
		_ = client.(interface{ CloseWrite() error }).CloseWrite()
	}()
	answer, err := io.ReadAll(client)
	if err != nil {
		require.ErrorContains(t, err, "reset", "unread bytes at the end")
	}
	transporttest.Receive(t, done)
	_ = client.Close()
	return hex.EncodeToString(answer)
}

// FuzzCommandPort: no bytes on the command port break the server, which still serves the
// next client, of either protocol.
func FuzzCommandPort(f *testing.F) {
	seed(f, sent, startup, "0000000500000006000000036162630000000700000014", "0000000F00000001", "0000001000000000",
		"000000080000000000", "0000000800ffffffff", "00000008000000200080010000", "00000015", "80", "00c10000000a000000f1")
	f.Fuzz(func(t *testing.T, message []byte) {
		s, device := fuzzed(t)
		talk(t, s.ServeCommandConn, message)
		for _, c := range device.Calls() {
			require.LessOrEqual(t, len(c.Data), transporttest.MaxBuffer)
		}
		if s.Reason() == "" { // it was no STOP
			assert.Equal(t, answered, talk(t, s.ServeCommandConn, transporttest.Hex(t, sent)))
		}
	})
}

// FuzzPlatformPort is the same for the platform port.
func FuzzPlatformPort(f *testing.F) {
	seed(f, powerOn+"0000000B"+powerOff+"00000014", "0000001100000009"+"0000000A", "000000190000001A00000000",
		"0000000500", "0000000200000000", "00000012"+"0000000000000001"+"0000000000000000", "00000023", "00", "00000015")
	f.Fuzz(func(t *testing.T, message []byte) {
		s, _ := fuzzed(t)
		talk(t, s.ServePlatformConn, message)
		if s.Reason() == "" {
			assert.Equal(t, ack, talk(t, s.ServePlatformConn, transporttest.Hex(t, "0000000B")))
		}
	})
}

// fuzzed returns a server for both protocols.
func fuzzed(t *testing.T) (*mssim.Server, *simulated) {
	device := on(t)
	const soon = time.Millisecond
	s := mssim.NewServer(device, mssim.Options{
		StallTime: soon,
		Swtpm:     swtpm.NewServer(device, swtpm.Options{StallTime: soon}),
	})
	t.Cleanup(func() { assert.NoError(t, s.Close(context.Background())) })
	return s, device
}

// FuzzClient: whatever a server answers, a client gives back no more than that, and after
// an error its connection is not used again.
func FuzzClient(f *testing.F) {
	seed(f, answered, noPower, "0000000a"+rcSuccess+"00000001", "ffffffff", "00010000", answered+answered, "")
	f.Fuzz(func(t *testing.T, answer []byte) {
		tpm, far := against(t)
		go func() {
			_, _ = io.ReadFull(far, make([]byte, 9+12))
			_, _ = far.Write(answer)
			_ = far.Close()
		}()
		response, err := tpm.Send(context.Background(), 0, transporttest.Hex(t, startup))
		require.LessOrEqual(t, len(response), len(answer))
		var refused *mssim.AckError
		if err == nil || errors.As(err, &refused) || errors.Is(err, mssim.ErrNoPower) {
			return
		}
		var lost *mssim.BrokenError
		require.ErrorAs(t, err, &lost)
		_, again := tpm.Send(context.Background(), 0, transporttest.Hex(t, startup))
		assert.Equal(t, err, again)
	})
}

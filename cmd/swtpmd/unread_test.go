package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/rundir"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// blocked is a stderr or stdout that nobody reads.
type blocked struct{ never chan struct{} }

func (b blocked) Write([]byte) (int, error) { <-b.never; return 0, io.ErrClosedPipe }

// TestUnreadStreamsStopNothing: with stdout and stderr that nobody reads the TPM
// answers any number of deferred commands, and the daemon ends when it is asked
// to.
func TestUnreadStreamsStopNothing(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	dir, err := os.MkdirTemp("", "d")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--dir", dir, "--defer-until=late", "--defer-from=firmware", "--flags=startup-clear", "--log=level=5"},
			cli.Streams{In: strings.NewReader(""), Out: blocked{never}, Err: blocked{never}}, nil)
	}()
	// There is no ready line to wait for.
	data := filepath.Join(dir, rundir.Data)
	require.Eventually(t, func() bool {
		conn, err := net.Dial("unix", data)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, time.Minute, time.Millisecond)
	client := connect(t, data)
	for range 15000 {
		require.Equal(t, "80010000000a00000101", asked(t, client, selfTest10, 10))
	}
	status, err := control.NewClient(filepath.Join(dir, rundir.Admin)).Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, initcall.Firmware, status.Now.Level)
	assert.NotZero(t, status.LogLost)
	stop()
	select {
	case code := <-ended:
		assert.Equal(t, exitOK, code)
	case <-time.After(time.Minute):
		require.Fail(t, "the daemon does not end")
	}
}

//go:build cgo && linux

package reference

import (
	"context"
	"encoding/hex"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// processed is a reference in a process that a test ends or stops.
type processed interface {
	Send(context.Context, uint8, []byte) ([]byte, error)
	Init() error
	Manufacture() error
	Close() error
}

// started gives a reference that waits for d, and its process.
func started(t *testing.T, name string, d time.Duration) (device processed, process func() *os.Process) {
	t.Helper()
	if name == "simulator" {
		s, err := OpenSimulator()
		require.NoError(t, err)
		s.patience = d
		device, process = s, func() *os.Process { return s.worker.process.Process }
	} else {
		if _, err := exec.LookPath("swtpm"); err != nil {
			t.Skip("no swtpm program in PATH; install the package swtpm")
		}
		s, err := StartSWTPM("swtpm", t.TempDir())
		require.NoError(t, err)
		s.patience = d
		device, process = s, func() *os.Process { return s.process.Process }
	}
	t.Cleanup(func() { assert.NoError(t, device.Close()) })
	return device, process
}

// A process that ends, or does not answer, is told from one that refuses; what
// comes after it fails the same way, until another one is started.
func TestAProcessThatEnds(t *testing.T) {
	for _, name := range []string{"simulator", "swtpm"} {
		for how, signal := range map[string]syscall.Signal{"ended": syscall.SIGKILL, "stopped": syscall.SIGSTOP} {
			t.Run(name+" "+how, func(t *testing.T) {
				wait := patience
				if signal == syscall.SIGSTOP {
					wait = 100 * time.Millisecond
				}
				device, process := started(t, name, wait)
				startup, err := hex.DecodeString("80010000000c000001440000")
				require.NoError(t, err)
				first := process().Pid
				require.NoError(t, process().Signal(signal))

				_, err = device.Send(t.Context(), 0, startup)
				var ended *EndedError
				require.ErrorAs(t, err, &ended)
				assert.True(t, Ended(err))
				assert.Equal(t, name, ended.TPM)
				if signal == syscall.SIGKILL {
					assert.Equal(t, "signal: killed", ended.Status)
					assert.Contains(t, err.Error(), name+" ended (signal: killed)")
				} else {
					assert.Equal(t, wait, ended.Patience)
					assert.Contains(t, err.Error(), "no answer within 100ms")
				}
				_, err = device.Send(t.Context(), 0, startup)
				assert.True(t, Ended(err))
				assert.Error(t, device.Init())

				setPatience(device, patience)
				require.NoError(t, device.Manufacture())
				assert.NotEqual(t, first, process().Pid)
				response, err := device.Send(t.Context(), 0, startup)
				require.NoError(t, err)
				assert.Equal(t, "80010000000a00000000", hex.EncodeToString(response))
				assert.False(t, Ended(nil))
			})
		}
	}
}

func setPatience(device processed, d time.Duration) {
	switch device := device.(type) {
	case *Simulator:
		device.patience = d
	case *SWTPM:
		device.patience = d
	}
}

// Who does not want to wait any more has not seen an end.
func TestSWTPMGivesUpWithTheContext(t *testing.T) {
	device, process := started(t, "swtpm", patience)
	require.NoError(t, process().Signal(syscall.SIGSTOP))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	startup, err := hex.DecodeString("80010000000c000001440000")
	require.NoError(t, err)
	_, err = device.Send(ctx, 0, startup)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.False(t, Ended(err))
	_, err = device.Send(t.Context(), 0, startup)
	assert.ErrorIs(t, err, context.DeadlineExceeded, "the next answer could be to the wrong command")

	require.NoError(t, device.Manufacture())
	response, err := device.Send(t.Context(), 0, startup)
	require.NoError(t, err)
	assert.Equal(t, "80010000000a00000000", hex.EncodeToString(response), "another process is as good as the first was")
}

// A process that has ended is no reason for Close to fail.
func TestCloseAfterTheEnd(t *testing.T) {
	device, process := started(t, "simulator", patience)
	require.NoError(t, process().Kill())
	_, err := device.Send(t.Context(), 0, []byte{0})
	assert.True(t, Ended(err))
	assert.NoError(t, device.Close())
}

// The worker goes when nobody can ask it any more.
func TestTheWorkerGoesWithItsUser(t *testing.T) {
	s, err := OpenSimulator()
	require.NoError(t, err)
	require.NoError(t, s.Close())
	assert.True(t, s.worker.process.ProcessState.Success(), s.worker.process.ProcessState)
}

// What makes a process a worker does nothing where no socket is.
func TestNoWorkerWithoutASocket(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	command := exec.Command(program, "-test.run=^$")
	command.Env = append(os.Environ(), workerVariable+"=1")
	out, err := command.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "unset "+workerVariable)
}

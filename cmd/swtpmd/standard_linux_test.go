package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// selfTested is the answer to selfTest10 of a TPM that has been started.
const selfTested = "80010000000a00000000"

// A service manager passes the socket as standard input; with inherit it is standard
// output and standard error too, and still nothing but answers is on it.
func TestStandardStreamsAsSockets(t *testing.T) {
	for _, taken := range [][]int{{0}, {1}, {2}, {0, 1, 2}} {
		t.Run(fmt.Sprint(taken), func(t *testing.T) {
			fds, err := socketpairs(2)
			require.NoError(t, err)
			dir := t.TempDir()
			cmd := program(t, "socket", "--tpm2", "--ctrl", fmt.Sprintf("type=unixio,clientfd=%d,terminate", taken[0]),
				"--server", "type=tcp,fd=3", "--flags=startup-clear", "--pid=file="+filepath.Join(dir, "pid"))
			for _, fd := range taken {
				switch fd {
				case 0:
					cmd.Stdin = fds[0].theirs
				case 1:
					cmd.Stdout = fds[0].theirs
				case 2:
					cmd.Stderr = fds[0].theirs
				}
			}
			cmd.ExtraFiles = []*os.File{fds[1].theirs}
			require.NoError(t, cmd.Start())
			for _, p := range fds {
				p.theirs.Close()
			}
			assert.Equal(t, "00000000", asked(t, fds[0].ours, "00000001", 8)[:8])
			assert.Equal(t, "00000000", asked(t, fds[0].ours, "00000005 00", 4))
			assert.Equal(t, selfTested, asked(t, fds[1].ours, selfTest10, 10))
			require.NoError(t, fds[0].ours.Close())
			require.NoError(t, cmd.Wait())
			rest, err := io.ReadAll(fds[1].ours)
			assert.NoError(t, err)
			assert.Empty(t, rest)
		})
	}
}

// In the background it keeps the socket that is standard input.
func TestADaemonOnStandardInput(t *testing.T) {
	fds, err := socketpairs(1)
	require.NoError(t, err)
	cmd := program(t, "socket", "--tpm2", "--daemon", "--ctrl", "type=unixio,clientfd=0,terminate")
	cmd.Stdin = fds[0].theirs
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	fds[0].theirs.Close()
	assert.Equal(t, "00000000", asked(t, fds[0].ours, cmdInit, 4))
	assert.Equal(t, "00000000", asked(t, fds[0].ours, cmdShutdown, 4))
	_, err = fds[0].ours.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF, "it has ended")
}

// What is no socket is refused, whatever its number.
func TestDescriptorsThatAreNoSockets(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	defer file.Close()
	for _, args := range [][]string{
		{"--ctrl", "type=unixio,clientfd=0"},
		{"--ctrl", "type=unixio,fd=1"},
		{"--server", "type=tcp,fd=3"},
		{"--fd", "3"},
		{"--fd", "77"},
	} {
		cmd := program(t, append([]string{"socket", "--tpm2"}, args...)...)
		cmd.ExtraFiles = []*os.File{file}
		said, err := cmd.CombinedOutput()
		assert.Equal(t, exitFailed, cmd.ProcessState.ExitCode(), "%v: %v", args, err)
		assert.Contains(t, string(said), "is not an open socket", "%v", args)
	}
}

// A data connection that is passed is swtpm_setup's: when it is gone, so is the TPM.
func TestTheEndOfAPassedDataConnection(t *testing.T) {
	for _, args := range [][]string{{"--server", "type=tcp,fd=3"}, {"--server", "type=unixio,fd=3"}, {"--fd", "3"}} {
		fds, err := socketpairs(2)
		require.NoError(t, err)
		cmd := program(t, append([]string{"socket", "--tpm2", "--flags=not-need-init", "--ctrl", "type=unixio,clientfd=4"}, args...)...)
		cmd.ExtraFiles = []*os.File{fds[0].theirs, fds[1].theirs}
		require.NoError(t, cmd.Start())
		for _, p := range fds {
			p.theirs.Close()
		}
		assert.Equal(t, "80010000000a00000100", asked(t, fds[0].ours, selfTest10, 10))
		require.NoError(t, fds[0].ours.Close())
		require.NoError(t, cmd.Wait(), "%v", args)
	}
}

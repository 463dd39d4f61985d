package main

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"golang.org/x/sys/unix"
)

// pair is a connected pair of sockets: our end and the one to inherit.
type pair struct {
	ours   net.Conn
	theirs *os.File
}

func socketpairs(n int) ([]pair, error) {
	var pairs []pair
	for range n {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		file := os.NewFile(uintptr(fds[0]), "ours")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			return nil, err
		}
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{conn, os.NewFile(uintptr(fds[1]), "theirs")})
	}
	return pairs, nil
}

func TestInheritedDescriptors(t *testing.T) {
	// As swtpm_setup starts swtpm: two connected sockets.
	fds, err := socketpairs(2)
	require.NoError(t, err)
	cmd := program(t, "socket", "--tpm2", "--server", "type=tcp,fd=3", "--ctrl", "type=unixio,clientfd=4", "--flags", "not-need-init,startup-clear")
	cmd.ExtraFiles = []*os.File{fds[0].theirs, fds[1].theirs}
	var said lockedBuffer
	cmd.Stderr = &said
	require.NoError(t, cmd.Start())
	for _, p := range fds {
		p.theirs.Close()
	}
	assert.Equal(t, "80010000000a00000000", asked(t, fds[0].ours, selfTest10, 10), said.String())
	assert.Equal(t, "00000000", asked(t, fds[1].ours, cmdShutdown, 4))
	require.NoError(t, cmd.Wait(), said.String())
}

// A log that nobody would ever see is found out at once.
func TestLogIntoADescriptorThatIsNotOpen(t *testing.T) {
	// 3 to 9 are where the runtime opens its own.
	for _, fd := range []int{3, 4, 5, 6, 7, 8, 9, 77} {
		cmd := program(t, "--dir", t.TempDir(), "--log=fd="+strconv.Itoa(fd))
		said, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		assert.Equal(t, exitFailed, exit.ExitCode())
		assert.Contains(t, string(said), "--log=fd="+strconv.Itoa(fd)+": the descriptor is not open; open it for swtpmd")
	}
}

// until starts a process and waits for its ready line.
func until(t *testing.T, cmd *exec.Cmd) daemon.Ready {
	t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	var r daemon.Ready
	require.NoError(t, json.Unmarshal(line, &r))
	return r
}

func TestLogIntoADescriptor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(path)
	require.NoError(t, err)
	cmd := program(t, "--json", "--log=fd=3")
	cmd.ExtraFiles = []*os.File{file}
	until(t, cmd)
	require.NoError(t, file.Close())
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(text), "cause=signal")
}

// A terminal that is closed leaves nothing behind, as SIGTERM does.
func TestHangupEndsTheDaemonInOrder(t *testing.T) {
	// What ignores the signal has children that do; what handles it has not.
	handled := make(chan os.Signal, 1)
	signal.Notify(handled, syscall.SIGHUP)
	defer signal.Stop(handled)
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		cmd := program(t, "--json")
		r := until(t, cmd)
		require.DirExists(t, r.Dir)
		require.NoError(t, cmd.Process.Signal(signal))
		require.NoError(t, cmd.Wait(), "%v", signal)
		assert.NoDirExists(t, r.Dir, "%v", signal)
	}
}

// Under nohup(1) it stays.
func TestHangupThatIsIgnored(t *testing.T) {
	cmd := program(t)
	cmd.Args = append([]string{"nohup", cmd.Path}, "--json")
	path, err := exec.LookPath("nohup")
	require.NoError(t, err)
	cmd.Path = path
	cmd.Stderr = new(strings.Builder)
	r := until(t, cmd)
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	conn := connect(t, r.Control)
	assert.Equal(t, "00000000", asked(t, conn, cmdInit, 4))
	assert.Equal(t, "00000000", asked(t, conn, cmdShutdown, 4))
	require.NoError(t, cmd.Wait())
}

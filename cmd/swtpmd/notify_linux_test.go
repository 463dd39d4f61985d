package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// manager is a service manager that listens to a daemon (sd_notify(3)).
type manager struct {
	*net.UnixConn
	env string // what a daemon has in its environment
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	return &manager{conn, "NOTIFY_SOCKET=" + path}
}

// told returns the next thing that a daemon tells.
func (m *manager) told(t *testing.T) string {
	t.Helper()
	buffer := make([]byte, 4096)
	n, err := m.Read(buffer)
	require.NoError(t, err)
	return string(buffer[:n])
}

// shortDir is a new directory with room for a socket's path of 107 bytes.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Type=notify: every socket accepts when the manager is told, and it is told of the
// end before the sockets go. Both commands tell it, and so does the background.
func TestTheServiceManagerIsToldOfStartAndEnd(t *testing.T) {
	for _, name := range []string{"plain", "socket", "background"} {
		t.Run(name, func(t *testing.T) {
			m, dir := newManager(t), shortDir(t)
			ctrl := filepath.Join(dir, "tpm.sock.ctrl")
			args := []string{"--dir", dir, "--log=file=" + filepath.Join(dir, "log")}
			switch name {
			case "socket":
				args = []string{"socket", "--tpm2", "--ctrl=type=unixio,path=" + ctrl, "--log=file=" + filepath.Join(dir, "log")}
			case "background":
				args = append(args, "--daemon")
			}
			cmd := program(t, args...)
			cmd.Env = append(cmd.Env, m.env)
			require.NoError(t, cmd.Start())
			pid := cmd.Process.Pid
			said := m.told(t)
			if name == "background" {
				require.NoError(t, cmd.Wait())
				ready, number, found := strings.Cut(said, "\nMAINPID=")
				require.True(t, found, said)
				said = ready
				_, err := fmt.Sscan(number, &pid)
				require.NoError(t, err)
			}
			assert.Equal(t, "READY=1", said)
			assert.Equal(t, "00000000", asked(t, connect(t, ctrl), cmdInit, 4))
			require.NoError(t, unix.Kill(pid, unix.SIGTERM))
			assert.Equal(t, "STOPPING=1", m.told(t))
			if name != "background" {
				require.NoError(t, cmd.Wait())
			}
		})
	}
}

// A manager that is not there is in the log, and the daemon serves.
func TestAServiceManagerThatIsNotThere(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	d := daemonWith(t)
	d.log.until(t, "the service manager cannot be told")
	assert.Equal(t, "00000000", asked(t, connect(t, d.ready.Control), cmdInit, 4))
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}

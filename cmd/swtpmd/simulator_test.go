package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// linked is a program that runs by the name of a simulator.
type linked struct {
	*exec.Cmd
	announced []string
	stderr    strings.Builder
}

// startLinked starts the program in a directory, and waits until it listens.
func startLinked(t *testing.T, dir, name string, args ...string) *linked {
	t.Helper()
	p := link(t, dir, name, args...)
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	lines := bufio.NewScanner(out)
	for len(p.announced) < 2 && lines.Scan() {
		p.announced = append(p.announced, lines.Text())
	}
	if len(p.announced) < 2 {
		_ = p.Wait()
		require.Fail(t, "it does not listen", "%s", &p.stderr)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return p
}

// link makes the link, and the command.
func link(t *testing.T, dir, name string, args ...string) *linked {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(dir, name)
	if err := os.Symlink(self, path); !errors.Is(err, os.ErrExist) {
		require.NoError(t, err)
	}
	p := &linked{Cmd: exec.CommandContext(t.Context(), path, args...)}
	p.Dir, p.Env, p.Stderr = dir, append(os.Environ(), asProgram+"=1"), &p.stderr
	return p
}

// end ends it as its users do.
func (p *linked) end(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.Wait(), p.stderr.String())
}

// portsTaken counts the calls of freePort.
var portsTaken atomic.Int64

// freePort returns a port that is free, with the one after it, and that no other test gets.
// The system gives no connection a port below 32768 of its own accord, so both stay free
// until a program listens there.
func freePort(t *testing.T) int {
	t.Helper()
	const first, pairs = 20000, 6000
	for range pairs {
		port := first + 2*int((int64(os.Getpid())*64+portsTaken.Add(1))%pairs)
		ports, err := mssim.ListenTCP(t.Context(), port, "127.0.0.1")
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		require.NoError(t, err)
		require.NoError(t, ports.Close())
		return port
	}
	require.Fail(t, "there are no two free ports")
	return 0
}

const (
	defineIndex = "8002 0000002D 0000012A 40000001 00000009 40000009 0000 00 0000 0000 000E 01500016 000B 00020002 0000 0004"
	readIndex   = "8001 0000000E 00000169 01500016" // TPM2_NV_ReadPublic
)

// hasIndex gives the TPM power, has it started, and reports whether it has the index. If it
// has not, it has it from then on.
func hasIndex(t *testing.T, port int) bool {
	t.Helper()
	tpm := dialMSSIM(t, "tcp", net.JoinHostPort("localhost", strconv.Itoa(port)))
	require.False(t, tpm.Powered(), "it is off until POWER_ON")
	require.NoError(t, tpm.Init())
	require.Equal(t, "00000000", answers(t, tpm, startupClear10)[12:20])
	if answers(t, tpm, readIndex)[12:20] == "00000000" {
		return true
	}
	require.Equal(t, "00000000", answers(t, tpm, defineIndex)[12:20])
	return false
}

// The state of tpm_server is in NVChip of the working directory, and without that file the
// TPM is a new one.
func TestTPMServer(t *testing.T) {
	t.Parallel()
	dir := transporttest.Dir(t)
	port := freePort(t)
	began := func(args ...string) bool {
		t.Helper()
		p := startLinked(t, dir, "tpm_server", append([]string{"-port", strconv.Itoa(port)}, args...)...)
		assert.Equal(t, "TPM command server listening on port "+strconv.Itoa(port), p.announced[0])
		if comm, err := os.ReadFile("/proc/" + strconv.Itoa(p.Process.Pid) + "/comm"); err == nil {
			assert.Equal(t, "tpm_server\n", string(comm), "what ss -p shows")
		}
		had := hasIndex(t, port)
		p.end(t)
		return had
	}
	require.False(t, began())
	require.True(t, began())
	require.FileExists(t, filepath.Join(dir, "NVChip"))
	require.False(t, began("-rm"))
	require.True(t, began())
	require.NoError(t, os.Remove(filepath.Join(dir, "NVChip")))
	require.False(t, began())

	// STOP ends it too.
	p := startLinked(t, dir, "tpm_server", "-port", strconv.Itoa(port))
	tpm, err := mssim.Dial(t.Context(), "tcp", net.JoinHostPort("::1", strconv.Itoa(port)))
	if err != nil { // a machine without IPv6
		tpm = dialMSSIM(t, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	require.NoError(t, tpm.Stop())
	require.NoError(t, p.Wait())
}

// Nothing is written to standard input, which a terminal has open for writing too: no
// option names a descriptor.
func TestSimulatorsLeaveStandardInputAlone(t *testing.T) {
	t.Parallel()
	for name, words := range map[string]string{"tpm_server": "-port P", "tpm2-simulator": "P -m"} {
		dir, port := transporttest.Dir(t), freePort(t)
		terminal, err := os.Create(filepath.Join(dir, "terminal"))
		require.NoError(t, err)
		defer terminal.Close()
		p := link(t, dir, name, strings.Fields(strings.ReplaceAll(words, "P", strconv.Itoa(port)))...)
		p.Stdin = terminal
		require.NoError(t, p.Start())
		require.Eventually(t, func() bool {
			conn, err := net.Dial("tcp", net.JoinHostPort("localhost", strconv.Itoa(port)))
			if err != nil {
				return false
			}
			// A connection to a port that nobody listens at may be one with itself.
			itself := conn.LocalAddr().String() == conn.RemoteAddr().String()
			return conn.Close() == nil && !itself
		}, time.Minute, time.Millisecond)
		require.False(t, hasIndex(t, port))
		p.end(t)
		info, err := terminal.Stat()
		require.NoError(t, err)
		assert.Zero(t, info.Size(), "%s has written to its standard input", name)
	}
}

// A file that is no state of swtpmd stays as it is, unless a new TPM is asked for.
func TestTPMServerAndAnothersNVChip(t *testing.T) {
	t.Parallel()
	dir := transporttest.Dir(t)
	name := filepath.Join(dir, "NVChip")
	require.NoError(t, os.WriteFile(name, make([]byte, 16384), 0o600))
	port := strconv.Itoa(freePort(t))
	p := link(t, dir, "tpm_server", "-port", port)
	require.Error(t, p.Run())
	assert.Equal(t, exitFailed, p.ProcessState.ExitCode())
	assert.Contains(t, p.stderr.String(), "NVChip")
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, make([]byte, 16384), content)
	startLinked(t, dir, "tpm_server", "-port", port, "-rm").end(t)
}

func TestTPM2Simulator(t *testing.T) {
	t.Parallel()
	dir := transporttest.Dir(t)
	port := freePort(t)
	began := func(args ...string) bool {
		t.Helper()
		p := startLinked(t, dir, "tpm2-simulator", args...)
		had := hasIndex(t, port)
		p.end(t)
		return had
	}
	number := strconv.Itoa(port)
	require.False(t, began("-e", number))
	require.NoFileExists(t, filepath.Join(dir, "NVChip"))
	require.False(t, began(number))
	require.True(t, began(number))
	require.False(t, began(number, "--manufacture"))

	first := startLinked(t, dir, "tpm2-simulator", number)
	second := startLinked(t, transporttest.Dir(t), "tpm2-simulator", number, "-p")
	picked, err := os.ReadFile(filepath.Join(second.Dir, "command.port"))
	require.NoError(t, err)
	platform, err := os.ReadFile(filepath.Join(second.Dir, "platform.port"))
	require.NoError(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(picked)))
	require.NoError(t, err)
	assert.Greater(t, n, port)
	assert.Equal(t, strconv.Itoa(n+1)+"\n", string(platform))
	assert.False(t, hasIndex(t, n))

	// A port that is taken, and a directory that is: at once.
	for _, args := range [][]string{{number}, {strconv.Itoa(n + 100)}} {
		p := link(t, dir, "tpm2-simulator", args...)
		require.Error(t, p.Run())
		assert.Equal(t, exitFailed, p.ProcessState.ExitCode(), p.stderr.String())
	}
	first.end(t)
	second.end(t)
}

func TestSimulatorsRefuse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, args, says string }{
		{"tpm_server", "-foo", "flag provided but not defined"},
		{"tpm_server", "-port 65535", "1 to 65534"},
		{"tpm_server", "2321", "unexpected argument"},
		{"tpm2-simulator", "0", "1 to 65534"},
		{"tpm2-simulator", "port", "1 to 65534"},
		{"tpm2-simulator", "1 2", "unexpected argument"},
	} {
		p := link(t, transporttest.Dir(t), c.name, strings.Fields(c.args)...)
		require.Error(t, p.Run())
		assert.Equal(t, exitUsage, p.ProcessState.ExitCode())
		assert.Contains(t, p.stderr.String(), c.says)
	}
	for _, name := range []string{"tpm_server", "tpm2-simulator"} {
		out, err := link(t, transporttest.Dir(t), name, "-h").Output()
		require.NoError(t, err)
		assert.Contains(t, string(out), "Usage: "+name)
	}
}

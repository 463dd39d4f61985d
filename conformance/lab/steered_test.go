package lab

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// steered is a QEMU that a test steers by its monitor, and perhaps a guest that runs
// commands for it.
type steered struct {
	qemu    *process
	monitor *talk
	serial  net.Conn // nil without a guest that listens
	said    *bufio.Reader
	console string // file; empty without a guest that listens
}

// patience bounds each wait for QEMU or its guest, a boot too, on a busy machine.
var patience = func() time.Duration {
	if measuredLab() {
		return 10 * bootTimeout // nobody waits for these boots, and some run for minutes
	}
	return bootTimeout
}()

// steer starts QEMU with args and one more for its monitor, and if it has a guest that
// listens, its first two serial ports.
func steer(t testing.TB, program string, listens bool, args ...string) *steered {
	t.Helper()
	dir := socketDir(t)
	monitor := listenAt(t, filepath.Join(dir, "monitor"))
	args = append([]string{"-nodefaults", "-no-user-config", "-display", "none",
		"-chardev", "socket,id=monitor,path=" + escape(monitor.Addr().String()), "-mon", "chardev=monitor,mode=control"}, args...)
	var serial net.Listener
	if listens {
		serial = listenAt(t, filepath.Join(dir, "serial"))
		args = append(args, "-chardev", "file,id=console,path="+escape(filepath.Join(dir, "console")), "-serial", "chardev:console",
			"-chardev", "socket,id=serial,path="+escape(serial.Addr().String()), "-serial", "chardev:serial")
	}
	qemu, err := start(exec.Command(program, args...))
	require.NoError(t, err)
	t.Cleanup(qemu.kill)
	m := &steered{qemu: qemu}
	t.Cleanup(func() {
		if t.Failed() {
			console, _ := os.ReadFile(filepath.Join(dir, "console"))
			t.Logf("QEMU: %s\nconsole: %s", qemu.stderr.String(), console[max(0, len(console)-4096):])
		}
	})
	if listens {
		m.serial = m.accept(t, serial)
		m.said = bufio.NewReader(m.serial)
		m.console = filepath.Join(dir, "console")
	}
	m.monitor = newTalk(m.accept(t, monitor))
	m.do(t, "qmp_capabilities", nil)
	return m
}

// socketDir is a directory of a short name.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "life")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func listenAt(t testing.TB, path string) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// accept takes QEMU's connection, unless QEMU ends before.
func (m *steered) accept(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	require.NoError(t, l.(*net.UnixListener).SetDeadline(time.Now().Add(patience)))
	met := make(chan struct{})
	defer close(met)
	go func() {
		select {
		case <-m.qemu.ended:
			l.Close()
		case <-met:
		}
	}()
	conn, err := l.Accept()
	require.NoError(t, err, "%s", m.qemu.stderr.String())
	t.Cleanup(func() { conn.Close() })
	return conn
}

// talk is a conversation with QEMU's monitor, which tells of events at any time.
type talk struct {
	conn    net.Conn
	answers chan said
	events  chan said
}

// said is one line of the monitor.
type said struct {
	message
	Event string `json:"event"`
	Data  struct {
		Status string `json:"status"`
	} `json:"data"`
}

// newTalk reads what QEMU says until it ends. Both channels are closed then.
func newTalk(conn net.Conn) *talk {
	m := &talk{conn: conn, answers: make(chan said, 16), events: make(chan said, 1024)}
	go func() {
		defer close(m.answers)
		defer close(m.events)
		lines := bufio.NewScanner(conn)
		lines.Buffer(nil, longestMessage)
		for lines.Scan() {
			var s said
			switch {
			case json.Unmarshal(lines.Bytes(), &s) != nil:
				return
			case s.Event != "":
				m.events <- s
			case s.Return != nil || s.Error != nil:
				m.answers <- s
			}
		}
	}()
	return m
}

// ask sends a command to QEMU. Its answer comes later.
func (m *steered) ask(t testing.TB, command string, arguments any) {
	t.Helper()
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	line, err := json.Marshal(request)
	require.NoError(t, err)
	_, err = m.monitor.conn.Write(append(line, '\n'))
	require.NoError(t, err)
}

// answered waits for the answer to the last ask, and returns it.
func (m *steered) answered(t testing.TB) json.RawMessage {
	t.Helper()
	select {
	case s, ok := <-m.monitor.answers:
		require.True(t, ok, "QEMU has ended: %s", m.qemu.stderr.String())
		require.Nil(t, s.Error, "%+v", s.Error)
		return s.Return
	case <-time.After(patience):
		require.Fail(t, "QEMU's monitor does not answer")
	}
	return nil
}

// do sends a command to QEMU and waits for its answer.
func (m *steered) do(t testing.TB, command string, arguments any) json.RawMessage {
	t.Helper()
	m.ask(t, command, arguments)
	return m.answered(t)
}

// human has QEMU's other monitor execute a line, which must have nothing to say.
func (m *steered) human(t testing.TB, line string) {
	t.Helper()
	m.humanAsk(t, line)
	m.humanAnswered(t)
}

func (m *steered) humanAsk(t testing.TB, line string) {
	t.Helper()
	m.ask(t, "human-monitor-command", map[string]string{"command-line": line})
}

func (m *steered) humanAnswered(t testing.TB) {
	t.Helper()
	require.Equal(t, `""`, string(m.answered(t)))
}

// event waits for an event, and for one of its statuses if there are any.
func (m *steered) event(t testing.TB, name string, statuses ...string) string {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case s, ok := <-m.monitor.events:
			require.True(t, ok, "QEMU has ended before %s: %s", name, m.qemu.stderr.String())
			if s.Event == name && (len(statuses) == 0 || slices.Contains(statuses, s.Data.Status)) {
				return s.Data.Status
			}
		case <-late:
			require.Fail(t, "no event", "%s", name)
		}
	}
}

// quit ends QEMU as its user does.
func (m *steered) quit(t testing.TB) {
	t.Helper()
	m.ask(t, "quit", nil)
	m.ends(t)
	require.NoError(t, m.qemu.err, "%s", m.qemu.stderr.String())
}

// ends waits until QEMU has ended.
func (m *steered) ends(t testing.TB) {
	t.Helper()
	select {
	case <-m.qemu.ended:
	case <-time.After(patience):
		require.Fail(t, "QEMU does not end")
	}
}

// until reads what the guest prints up to the line "done STATUS".
func (m *steered) until(t testing.TB) (text string, status int) {
	t.Helper()
	require.NoError(t, m.serial.SetReadDeadline(time.Now().Add(patience)))
	var all strings.Builder
	for {
		line, err := m.said.ReadString('\n')
		require.NoError(t, err, "after %q", all.String())
		line = strings.TrimRight(line, "\r\n")
		if digits, ok := strings.CutPrefix(line, "done "); ok {
			status, err := strconv.Atoi(digits)
			require.NoError(t, err)
			return strings.TrimSpace(all.String()), status
		}
		all.WriteString(line + "\n")
	}
}

// begin gives the guest's shell a line.
func (m *steered) begin(t testing.TB, line string) {
	t.Helper()
	_, err := io.WriteString(m.serial, line+"\n")
	require.NoError(t, err)
}

// run has the guest's shell run a line, which must succeed, and returns what it prints.
func (m *steered) run(t testing.TB, line string) string {
	t.Helper()
	m.begin(t, line)
	text, status := m.until(t)
	require.Zero(t, status, "%s: %s", line, text)
	return text
}

// overGuest is the TPM as a process of the guest has it.
type overGuest struct {
	t testing.TB
	*steered
}

// Send implements transport.TPM of go-tpm.
func (g overGuest) Send(command []byte) ([]byte, error) {
	return hex.DecodeString(g.run(g.t, fmt.Sprintf("askdevice ask /dev/tpm0 %x", command)))
}

// moves migrates the guest to another QEMU, which waits for it at a socket.
func (m *steered) moves(t testing.TB, to string) (status string) {
	t.Helper()
	m.do(t, "migrate-set-capabilities", map[string]any{"capabilities": []any{map[string]any{"capability": "events", "state": true}}})
	m.do(t, "migrate-set-parameters", map[string]any{"max-bandwidth": 4 << 30})
	m.do(t, "migrate", map[string]string{"uri": "unix:" + to})
	return m.event(t, "MIGRATION", "completed", "failed")
}

// initrd writes an initramfs with an init that is a file here, busybox, askdevice, more
// programs by their paths here, and more files.
func (b *bench) initrd(t testing.TB, init string, programs map[string]string, more map[string][]byte) (path string) {
	t.Helper()
	dir := t.TempDir()
	client := buildAskdevice(t, dir)

	var image bytes.Buffer
	z := gzip.NewWriter(&image)
	a := &archive{w: z}
	made := map[string]bool{".": true}
	for _, name := range []string{"bin", "dev", "etc", "mod", "proc", "run", "sys", "tmp"} {
		a.folders(made, name)
	}
	a.addDevice("dev/console", modeChar|0o600, 5, 1)
	for name, content := range more {
		a.folders(made, filepath.Dir(name))
		a.add(name, modeFile|0o644, content)
	}
	programs["init"], programs["bin/busybox"], programs["bin/askdevice"] = init, b.machine.Tools.Busybox, client
	for name, path := range programs {
		a.folders(made, filepath.Dir(name))
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		a.add(name, modeFile|0o755, content)
	}
	require.NoError(t, a.close())
	require.NoError(t, z.Close())
	path = filepath.Join(dir, "initrd")
	require.NoError(t, os.WriteFile(path, image.Bytes(), 0o600))
	return path
}

// buildAskdevice builds askdevice in a directory, and returns its path.
func buildAskdevice(t testing.TB, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "askdevice")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./askdevice")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return path
}

// folders adds a folder and those that it is in, unless they are made.
func (a *archive) folders(made map[string]bool, name string) {
	if made[name] {
		return
	}
	a.folders(made, filepath.Dir(name))
	a.add(name, modeDir|0o755, nil)
	made[name] = true
}

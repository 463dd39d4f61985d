package cases_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/conform/cases"
	"github.com/swtpmd/swtpmd/transport/dial"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// BenchmarkSwtpm is what the suite costs beside swtpm. An iteration runs the suite, and then
// sends what a run of the suite has sent, commands and requests of the control channel in their
// order, with a client that does nothing else; each has a swtpm of its own, and one connection
// for each channel. The metrics are medians:
//
//   - s-suite and s-waiting are the time of a run and the part of it in which the suite waited
//     for answers. The ratio is what the suite adds to its own commands.
//   - s-packets is the time of the other client, with the same bytes. They are less work: HMACs
//     over nonces of another TPM are refused, and so is what would come after them.
//   - cpu-s-swtpm-suite and cpu-s-swtpm-packets are the processor time of swtpm, from its start to
//     its end, in the one and in the other, and cpu-s-suite is that of the suite.
func BenchmarkSwtpm(b *testing.B) {
	if _, err := exec.LookPath("swtpm"); err != nil {
		b.Skip("swtpm is not installed")
	}
	var log recording
	server := startSwtpm(b)
	runSuite(b, log.between(b, server))
	server.end(b)
	took := map[string][]float64{}
	b.ResetTimer()
	for range b.N {
		server, used, began := startSwtpm(b), processorTime(b), time.Now()
		report := runSuite(b, server.socket)
		took["s-suite"] = append(took["s-suite"], time.Since(began).Seconds())
		took["cpu-s-suite"] = append(took["cpu-s-suite"], (processorTime(b) - used).Seconds())
		took["s-waiting"] = append(took["s-waiting"], report.Waited.Seconds())
		took["commands"] = append(took["commands"], float64(report.Commands))
		took["cpu-s-swtpm-suite"] = append(took["cpu-s-swtpm-suite"], server.end(b).Seconds())

		server, began = startSwtpm(b), time.Now()
		log.replay(b, server.socket)
		took["s-packets"] = append(took["s-packets"], time.Since(began).Seconds())
		took["cpu-s-swtpm-packets"] = append(took["cpu-s-swtpm-packets"], server.end(b).Seconds())
	}
	for unit, values := range took {
		slices.Sort(values)
		b.ReportMetric(values[len(values)/2], unit)
	}
}

// processorTime returns the time that this process has used.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// runSuite runs all cases against the swtpm at a socket.
func runSuite(b *testing.B, socket string) *conform.Report {
	suite := cases.All()
	address, err := dial.Parse("swtpm:path=" + socket)
	require.NoError(b, err)
	tpm, err := address.DialAlone(b.Context())
	require.NoError(b, err)
	runner, err := conform.NewRunner(b.Context(), tpm, suite, conform.Options{Destructive: true})
	require.NoError(b, err)
	report, err := runner.Run(b.Context(), pointers(suite))
	require.NoError(b, err)
	require.NoError(b, tpm.Close())
	return report
}

// swtpmProcess is swtpm with a state of its own and both channels at unix sockets: socket, and
// that with .ctrl behind it.
type swtpmProcess struct {
	*exec.Cmd
	socket string
}

func startSwtpm(b *testing.B) *swtpmProcess {
	dir, err := os.MkdirTemp("", "cost") // a short path for sockets
	require.NoError(b, err)
	b.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "tpm")
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--flags", "startup-clear",
		"--server", "type=unixio,path="+socket, "--ctrl", "type=unixio,path="+socket+".ctrl")
	require.NoError(b, cmd.Start())
	server := &swtpmProcess{cmd, socket}
	b.Cleanup(func() { _ = cmd.Process.Kill() })
	require.Eventually(b, func() bool {
		c, err := swtpm.DialControl(b.Context(), "unix", socket+".ctrl")
		if err != nil {
			return false
		}
		_, err = c.TPMEstablished(b.Context())
		return errors.Join(err, c.Close()) == nil
	}, 30*time.Second, 10*time.Millisecond)
	return server
}

// end ends swtpm and returns the processor time that it has used.
func (s *swtpmProcess) end(b *testing.B) time.Duration {
	require.NoError(b, s.Process.Kill())
	_ = s.Wait() // killed
	return s.ProcessState.UserTime() + s.ProcessState.SystemTime()
}

// recording has what a client has written to both channels, one write after the other.
type recording struct {
	mu     sync.Mutex
	writes []write
}

// write has the bytes that a client has written at once, none when it has closed the connection.
type write struct {
	control bool
	data    []byte
}

// between returns a socket that is a server's with the recording between.
func (r *recording) between(b *testing.B, server *swtpmProcess) string {
	dir, err := os.MkdirTemp("", "cost")
	require.NoError(b, err)
	b.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "tpm")
	for _, channel := range []string{"", ".ctrl"} {
		listener, err := (&net.ListenConfig{}).Listen(b.Context(), "unix", socket+channel)
		require.NoError(b, err)
		b.Cleanup(func() { listener.Close() })
		go func() {
			for {
				client, err := listener.Accept()
				if err != nil {
					return
				}
				go r.carry(client, server.socket+channel, channel != "")
			}
		}()
	}
	return socket
}

// carry takes a connection to the server and its answers back.
func (r *recording) carry(client net.Conn, to string, control bool) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "unix", to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(client, server)
		client.Close()
	}()
	buf := make([]byte, 1<<16)
	for {
		n, err := client.Read(buf)
		r.mu.Lock()
		r.writes = append(r.writes, write{control, slices.Clone(buf[:n])})
		r.mu.Unlock()
		if n == 0 || err != nil {
			return
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// replay sends what was recorded, over connections that end where those of the recording did.
func (r *recording) replay(b *testing.B, socket string) {
	var conns [2]net.Conn
	end := func(of int) {
		if conns[of] != nil {
			conns[of].Close()
			conns[of] = nil
		}
	}
	defer end(0)
	defer end(1)
	buf := make([]byte, 1<<16)
	for _, w := range r.writes {
		of, path := 0, socket
		if w.control {
			of, path = 1, socket+".ctrl"
		}
		if len(w.data) == 0 {
			end(of)
			continue
		}
		if conns[of] == nil {
			conn, err := (&net.Dialer{}).DialContext(b.Context(), "unix", path)
			require.NoError(b, err)
			conns[of] = conn
		}
		_, err := conns[of].Write(w.data)
		require.NoError(b, err)
		if err := answered(conns[of], w, buf); err != nil {
			require.NoError(b, err, "the answer to %x", w.data)
		}
	}
}

// answered reads an answer to its end.
func answered(conn net.Conn, w write, buf []byte) error {
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	const blob = 0x0c // CMD_GET_STATEBLOB: result, flags, totlength, length, data
	least := conformance.HeaderSize
	if w.control {
		least = 4
	}
	n, err := io.ReadAtLeast(conn, buf, least)
	size := n
	switch {
	case err != nil:
		return err
	case !w.control:
		size = int(binary.BigEndian.Uint32(buf[2:]))
	case binary.BigEndian.Uint32(w.data) == blob && n >= 16:
		size = 16 + int(binary.BigEndian.Uint32(buf[12:]))
	}
	_, err = io.CopyN(io.Discard, conn, int64(max(size-n, 0)))
	return err
}

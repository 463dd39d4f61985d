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

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/conform/cases"
	"github.com/swtpmd/swtpmd/transport/dial"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// BenchmarkSwtpm is what the suite costs beside the same bytes from a client that does
// nothing else: it sends what a run of the suite has sent, commands and requests of the
// control channel in their order, and waits for each answer, over a connection for each
// command as in the suite, or over one. An iteration runs each of the three once, with a swtpm
// of its own; the metrics are medians. The bytes are not the same work: HMACs over nonces of
// another TPM are refused, and so is what would come after them. It is the least that they cost;
// s-suite less s-waiting is what the suite adds to the answers of its own commands.
func BenchmarkSwtpm(b *testing.B) {
	if _, err := exec.LookPath("swtpm"); err != nil {
		b.Skip("swtpm is not installed")
	}
	var log recording
	server := startSwtpm(b)
	runSuite(b, log.between(b, server))
	server.end(b)
	ways := []struct {
		name string
		run  func(socket string)
		took []time.Duration
	}{
		{name: "suite", run: func(socket string) { runSuite(b, socket) }},
		{name: "packets", run: func(socket string) { log.replay(b, socket, false) }},
		{name: "one-connection", run: func(socket string) { log.replay(b, socket, true) }},
	}
	b.ResetTimer()
	for range b.N {
		for i := range ways {
			server := startSwtpm(b)
			began := time.Now()
			ways[i].run(server.socket)
			ways[i].took = append(ways[i].took, time.Since(began))
			server.end(b)
		}
	}
	for _, way := range ways {
		slices.Sort(way.took)
		b.ReportMetric(way.took[len(way.took)/2].Seconds(), "s-"+way.name)
	}
}

// runSuite runs all cases against the swtpm at a socket.
func runSuite(b *testing.B, socket string) {
	suite := cases.All()
	tpm, err := dial.Dial(b.Context(), "swtpm:path="+socket)
	require.NoError(b, err)
	runner, err := conform.NewRunner(b.Context(), tpm, suite, conform.Options{Destructive: true})
	require.NoError(b, err)
	report, err := runner.Run(b.Context(), pointers(suite))
	require.NoError(b, err)
	require.NoError(b, tpm.Close())
	b.ReportMetric(float64(report.Commands), "commands")
	b.ReportMetric(report.Waited.Seconds(), "s-waiting")
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

func (s *swtpmProcess) end(b *testing.B) {
	require.NoError(b, s.Process.Kill())
	_ = s.Wait() // killed
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

// replay sends what was recorded. Each command has a connection of its own, as in the
// recording, unless keep is set: then it has the one before, until a request of the control
// channel comes, for which swtpm does not wait beside a connection for commands.
func (r *recording) replay(b *testing.B, socket string, keep bool) {
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
			if !keep || w.control {
				end(of)
			}
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

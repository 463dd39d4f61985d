package transporttest

import (
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long tests wait for what must come: long, because a machine
// may be busy, and below the time after which scripts/test kills a test. It only
// bounds the failure of a test.
const patience = 60 * time.Second

// Dir returns a new directory whose path is short enough for unix sockets.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tt")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// SocketPath returns a path for a unix socket in a directory of its own.
func SocketPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(Dir(t), "s")
}

// Hex decodes hexadecimal digits, in which blanks are free.
func Hex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := decode(digits)
	require.NoError(t, err)
	return b
}

func decode(digits string) ([]byte, error) {
	return hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
}

// Peer is a client that is told its bytes in hexadecimal digits. Any goroutine
// may have it: what goes wrong fails the test and closes the connection, so that
// all that follows fails at once.
type Peer struct {
	net.Conn
	t testing.TB
}

// NewPeer wraps a connection, and closes it at the end of the test.
func NewPeer(t testing.TB, conn net.Conn) *Peer {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	return &Peer{Conn: conn, t: t}
}

// Dial connects to a socket.
func Dial(t testing.TB, network, address string) *Peer {
	t.Helper()
	conn, err := net.DialTimeout(network, address, patience)
	if !assert.NoError(t, err) {
		conn, _ = net.Pipe()
		_ = conn.Close()
	}
	return NewPeer(t, conn)
}

// good fails the test for an error, and reports whether there is none.
func (p *Peer) good(err error) bool {
	p.t.Helper()
	if !assert.NoError(p.t, err) {
		_ = p.Close()
		return false
	}
	return true
}

// Say writes bytes in one write.
func (p *Peer) Say(digits string) {
	p.t.Helper()
	b, err := decode(digits)
	if p.good(err) {
		_, err = p.Write(b)
		p.good(err)
	}
}

// Hear returns what one read gives, as digits: an answer must come in one
// write. An end of the connection is "closed".
func (p *Peer) Hear() string {
	p.t.Helper()
	if !p.good(p.SetReadDeadline(time.Now().Add(patience))) {
		return "failed"
	}
	buf := make([]byte, 1<<16)
	n, err := p.Read(buf)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return "closed"
	}
	if !p.good(err) {
		return "failed"
	}
	return hex.EncodeToString(buf[:n])
}

// Ask says and hears.
func (p *Peer) Ask(digits string) string {
	p.t.Helper()
	p.Say(digits)
	return p.Hear()
}

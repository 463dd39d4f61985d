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

	"github.com/stretchr/testify/require"
)

// patience is how long a peer waits for what must come. It only bounds the
// failure of a test.
const patience = 20 * time.Second

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
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	require.NoError(t, err)
	return b
}

// Peer is a client that is told its bytes in hexadecimal digits.
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
	require.NoError(t, err)
	return NewPeer(t, conn)
}

// Say writes bytes in one write.
func (p *Peer) Say(digits string) {
	p.t.Helper()
	_, err := p.Write(Hex(p.t, digits))
	require.NoError(p.t, err)
}

// Hear returns what one read gives, as digits: an answer must come in one
// write. An end of the connection is "closed".
func (p *Peer) Hear() string {
	p.t.Helper()
	require.NoError(p.t, p.SetReadDeadline(time.Now().Add(patience)))
	buf := make([]byte, 1<<16)
	n, err := p.Read(buf)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return "closed"
	}
	require.NoError(p.t, err)
	return hex.EncodeToString(buf[:n])
}

// Ask says and hears.
func (p *Peer) Ask(digits string) string {
	p.t.Helper()
	p.Say(digits)
	return p.Hear()
}

package socket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/internal/socket"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// pairs returns connected ends of each kind; the first is adopted.
func pairs(t testing.TB) map[string]func() (socket.Conn, net.Conn) {
	adopt := func(c net.Conn) socket.Conn {
		conn, err := socket.Adopt(c)
		require.NoError(t, err)
		return conn
	}
	return map[string]func() (socket.Conn, net.Conn){
		"unix": func() (socket.Conn, net.Conn) {
			a, b := transporttest.Conns(t)
			return adopt(a), b
		},
		"tcp": func() (socket.Conn, net.Conn) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			b, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			a, err := l.Accept()
			require.NoError(t, err)
			return adopt(a), b
		},
		"pipe": func() (socket.Conn, net.Conn) {
			a, b := net.Pipe()
			return adopt(a), b
		},
	}
}

func TestConn(t *testing.T) {
	t.Parallel()
	for name, pair := range pairs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pair()
			defer b.Close()
			// More than any socket buffer: Write writes all.
			data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
			go func() {
				_, _ = io.Copy(b, io.LimitReader(b, int64(len(data))))
				_ = b.Close()
			}()
			var wg sync.WaitGroup
			wg.Go(func() {
				n, err := a.Write(data)
				assert.NoError(t, err)
				assert.Equal(t, len(data), n)
			})
			got, err := io.ReadAll(a)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(data, got))
			transporttest.Wait(t, &wg)
			require.NoError(t, a.Close())
			_, err = a.Read(make([]byte, 1))
			require.Error(t, err)
			_, err = a.Write(make([]byte, 1))
			require.Error(t, err)
		})
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, pair := range pairs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pair()
			defer a.Close()
			defer b.Close()
			buf := make([]byte, 4)
			require.NoError(t, a.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
			_, err := a.Read(buf)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, a.SetReadDeadline(time.Now().Add(time.Minute)))
			go func() { _, _ = b.Write([]byte("abcd")) }()
			n, err := a.Read(buf)
			require.NoError(t, err)
			assert.Equal(t, 4, n)
			require.NoError(t, a.SetReadDeadline(time.Time{}))
			go func() { _, _ = b.Write([]byte("efgh")) }()
			_, err = io.ReadFull(a, buf)
			require.NoError(t, err)
		})
	}
}

// TestClose: Close ends a Read and a Write that wait, and the peer knows.
func TestClose(t *testing.T) {
	t.Parallel()
	for name, pair := range pairs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, waits := range []struct {
				name string
				call func(socket.Conn) error
			}{
				{"read", func(c socket.Conn) error { _, err := c.Read(make([]byte, 1)); return err }},
				{"read with deadline", func(c socket.Conn) error {
					if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
						return err
					}
					_, err := c.Read(make([]byte, 1))
					return err
				}},
				{"write", func(c socket.Conn) error { _, err := c.Write(make([]byte, 1<<24)); return err }},
			} {
				a, b := pair()
				ended := make(chan error, 1)
				started := make(chan struct{})
				go func() {
					close(started)
					ended <- waits.call(a)
				}()
				transporttest.Receive(t, started)
				require.NoError(t, a.Close())
				err := transporttest.Receive(t, ended)
				assert.True(t, errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe),
					"%s: %v", waits.name, err)
				_, err = io.Copy(io.Discard, b)
				require.NoError(t, err, "the peer sees the end")
				require.NoError(t, b.Close())
			}
		})
	}
}

// TestCloseRaces: the descriptor's number is not reused under a call.
func TestCloseRaces(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			for range 200 {
				a, b := transporttest.Conns(t)
				c, err := socket.Adopt(a)
				require.NoError(t, err)
				var calls sync.WaitGroup
				for range 2 {
					calls.Go(func() {
						for {
							if _, err := c.Read(make([]byte, 1)); err != nil {
								return
							}
						}
					})
				}
				calls.Go(func() { _, _ = b.Write(make([]byte, 10)) })
				calls.Go(func() { _ = c.Close() })
				transporttest.Wait(t, &calls)
				assert.NoError(t, b.Close())
			}
		})
	}
}

// BenchmarkRoundTrip compares a served connection as Adopt makes it with one
// left in Go's network poller. The client is an adopted one in both cases.
func BenchmarkRoundTrip(b *testing.B) {
	for name, adopt := range map[string]func(net.Conn) (socket.Conn, error){
		"adopted": socket.Adopt,
		"poller":  func(c net.Conn) (socket.Conn, error) { return c, nil },
	} {
		b.Run(name, func(b *testing.B) {
			x, y := transporttest.Conns(b)
			client, err := socket.Adopt(x)
			require.NoError(b, err)
			server, err := adopt(y)
			require.NoError(b, err)
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				defer cancel()
				buf := make([]byte, 4096)
				for {
					n, err := server.Read(buf)
					if err != nil {
						return
					}
					if _, err := server.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
			buf := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Write(buf); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(client, buf); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, client.Close())
			<-ctx.Done()
		})
	}
}

package raw_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

var getRandom = []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7B, 0, 8}

// echo answers a command with itself.
func echo(_ context.Context, _ uint8, command []byte) ([]byte, error) {
	return bytes.Clone(command), nil
}

// serve runs a server on a unix or TCP socket until the end of the test.
func serve(t *testing.T, network string, device transport.Device, opts raw.Options) string {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = transporttest.SocketPath(t)
	}
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	s := raw.NewServer(device, opts)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		assert.NoError(t, s.Close(ctx))
		assert.NoError(t, transporttest.Receive(t, served))
	})
	return l.Addr().String()
}

func dial(t *testing.T, network, address string) *raw.Client {
	t.Helper()
	c, err := raw.Dial(context.Background(), network, address)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// TestClientsAndServer: many clients at once, each gets its own responses.
func TestClientsAndServer(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			transporttest.NoLeaks(t, func() {
				t.Run("clients", func(t *testing.T) {
					address := serve(t, network, transporttest.Plain(echo), raw.Options{})
					var wg sync.WaitGroup
					for i := range 8 {
						wg.Go(func() {
							c, err := raw.Dial(context.Background(), network, address)
							if !assert.NoError(t, err) {
								return
							}
							for size := 12; size < 4096; size += 97 {
								command := make([]byte, size)
								copy(command, getRandom)
								command[4], command[5], command[11] = byte(size>>8), byte(size), byte(i)
								response, err := c.Send(context.Background(), 0, command)
								if !assert.NoError(t, err) || !assert.Equal(t, command, response) {
									return
								}
							}
							assert.NoError(t, c.Close())
							_, err = c.Send(context.Background(), 0, getRandom)
							assert.ErrorIs(t, err, net.ErrClosed)
						})
					}
					transporttest.Wait(t, &wg)
				})
			})
		})
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	broken := errors.New("out of order")
	device := transporttest.Plain(func(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
		switch {
		case locality != 3:
			return nil, fmt.Errorf("locality %d", locality)
		case command[11] == 1:
			return nil, broken
		}
		return bytes.Clone(command), nil
	})
	address := serve(t, "unix", device, raw.Options{Locality: 3, StallTime: 20 * time.Millisecond})
	p := transporttest.Dial(t, "unix", address)
	for _, c := range [][2]string{
		{"8001 0000000C 0000017B 0000", "80010000000c0000017b0000"},
		{"8001 0000000C 0000017B 0001", "80010000000a00000101"},
		{"8001 00000009", "80010000000a00000142"},
		{"8001 00001001" + fmt.Sprintf("%08182x", 0), "80010000000a00000142"},
		{"8001 0000000C 0000017B 0000", "80010000000c0000017b0000"},
		{"8001 0000000C 0000017B 00", "closed"},
	} {
		require.Equal(t, c[1], p.Ask(c[0]), "%.30s", c[0])
	}
}

func TestClientErrors(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var lost *raw.BrokenError
	_, err := raw.Dial(ctx, "unix", transporttest.SocketPath(t))
	require.Error(t, err)

	address := serve(t, "unix", transporttest.Plain(echo), raw.Options{})
	c := dial(t, "unix", address)
	_, err = c.Send(ctx, 1, getRandom)
	require.ErrorIs(t, err, raw.ErrLocality)
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err = c.Send(done, 0, getRandom)
	require.ErrorIs(t, err, context.Canceled)
	_, err = c.Send(ctx, 0, getRandom)
	require.NoError(t, err, "neither has sent anything")

	for name, answer := range map[string][]byte{
		"end":                 {},
		"end inside":          {0x80, 1, 0, 0, 0, 10, 0},
		"size below a header": {0x80, 1, 0, 0, 0, 9, 0, 0, 0},
		"huge size":           {0x80, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			c, err := raw.NewClient(near)
			require.NoError(t, err)
			go func() {
				_, _ = io.ReadFull(far, make([]byte, len(getRandom)))
				_, _ = far.Write(answer)
				_ = far.Close()
			}()
			_, err = c.Send(ctx, 0, getRandom)
			require.ErrorAs(t, err, &lost)
			assert.ErrorContains(t, err, "lost")
			_, again := c.Send(ctx, 0, getRandom)
			assert.Equal(t, err, again)
		})
	}
}

// TestClientGivesUp: a context ends the wait, and the connection with it.
func TestClientGivesUp(t *testing.T) {
	t.Parallel()
	for name, closed := range map[string]bool{"context": false, "Close": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entered := make(chan struct{})
			address := serve(t, "unix", transporttest.Plain(
				func(ctx context.Context, _ uint8, _ []byte) ([]byte, error) {
					close(entered)
					<-ctx.Done()
					return nil, ctx.Err()
				}), raw.Options{})
			c := dial(t, "unix", address)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go func() {
				<-entered
				if closed {
					_ = c.Close()
				} else {
					cancel()
				}
			}()
			_, err := c.Send(ctx, 0, getRandom)
			var lost *raw.BrokenError
			require.ErrorAs(t, err, &lost)
			if closed {
				assert.ErrorIs(t, err, net.ErrClosed)
			} else {
				assert.ErrorIs(t, err, context.Canceled)
			}
		})
	}
}

func Example() {
	device := transporttest.Plain(func(_ context.Context, _ uint8, command []byte) ([]byte, error) {
		return transport.AppendResponse(nil, transport.RCSuccess), nil
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := raw.NewServer(device, raw.Options{})
	go func() { _ = server.Serve(l) }()
	ctx := context.Background()
	defer func() { _ = server.Close(ctx) }()

	tpm, err := raw.Dial(ctx, "tcp", l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tpm.Close()
	response, err := tpm.Send(ctx, 0, []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0})
	fmt.Printf("%x %v\n", response, err)
	// Output:
	// 80010000000a00000000 <nil>
}

// A device can have its response written in pieces, and the connection closed.
func TestBadLine(t *testing.T) {
	t.Parallel()
	for locality, want := range []bool{true, false} {
		address := serve(t, "unix", transporttest.Plain(transporttest.BadLine), raw.Options{Locality: uint8(locality)})
		start := time.Now()
		response, err := dial(t, "unix", address).Send(t.Context(), 0, getRandom)
		if !want {
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, transport.AppendResponse(nil, 0), response)
		assert.GreaterOrEqual(t, time.Since(start), 2*transporttest.BadLinePause)
	}
}

// Each command has the name of where it came from.
func TestTheNameOfClients(t *testing.T) {
	t.Parallel()
	named := func(ctx context.Context, _ uint8, command []byte) ([]byte, error) {
		if transport.ClientOf(ctx) != transport.ClientRaw {
			return transport.AppendResponse(nil, transport.RCFailure), nil
		}
		return transport.AppendResponse(nil, transport.RCSuccess), nil
	}
	c := dial(t, "unix", serve(t, "unix", transporttest.Plain(named), raw.Options{}))
	response, err := c.Send(t.Context(), 0, getRandom)
	require.NoError(t, err)
	assert.Equal(t, transport.RCSuccess, transport.ResponseCode(response))
}

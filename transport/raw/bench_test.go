package raw_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// BenchmarkExchange is a command and its response over a socket pair, with a
// device that does nothing: what the transport costs, client and server.
func BenchmarkExchange(b *testing.B) {
	response := make([]byte, 20)
	copy(response, []byte{0x80, 0x01, 0, 0, 0, 20})
	near, far := transporttest.Conns(b)
	s := raw.NewServer(transporttest.Plain(
		func(context.Context, uint8, []byte) ([]byte, error) { return response, nil }), raw.Options{})
	done := make(chan error, 1)
	go func() { done <- s.ServeConn(far) }()
	c, err := raw.NewClient(near)
	require.NoError(b, err)
	ctx := context.Background()
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = c.Exchange(ctx, buf[:0], getRandom); err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, c.Close())
	require.NoError(b, transporttest.Receive(b, done))
}

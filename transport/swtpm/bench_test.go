package swtpm_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// BenchmarkData is a command and its response over a data connection, with a
// device that does nothing: what the transport costs, client and server.
func BenchmarkData(b *testing.B) {
	response := transporttest.Hex(b, "8001 00000014 00000000 0008 0102030405060708")
	near, far := transporttest.Conns(b)
	s := swtpm.NewServer(transporttest.Plain(
		func(context.Context, uint8, []byte) ([]byte, error) { return response, nil }), swtpm.Options{})
	done := make(chan error, 1)
	go func() { done <- s.ServeDataConn(far) }()
	c, err := raw.NewClient(near)
	require.NoError(b, err)
	ctx := context.Background()
	command := transporttest.Hex(b, "8001 0000000C 0000017B 0008")
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = c.Exchange(ctx, buf[:0], command); err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, c.Close())
	require.NoError(b, transporttest.Receive(b, done))
}

// BenchmarkSetLocality is the control request that QEMU sends most.
func BenchmarkSetLocality(b *testing.B) {
	near, far := transporttest.Conns(b)
	s := swtpm.NewServer(&transporttest.TPM{}, swtpm.Options{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ServeControlConn(far)
	}()
	c := swtpm.NewClient(near)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := c.SetLocality(ctx, 3); err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, c.Close())
	transporttest.Receive(b, done)
}

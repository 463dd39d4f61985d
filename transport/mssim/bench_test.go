package mssim_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// BenchmarkExchange is a command and its response over the command port, with a device
// that does nothing: what the transport costs, client and server.
func BenchmarkExchange(b *testing.B) {
	response := transporttest.Hex(b, "8001 00000014 00000000 0008 0102030405060708")
	s := mssim.NewServer(transporttest.Plain(
		func(context.Context, uint8, []byte) ([]byte, error) { return response, nil }), mssim.Options{})
	command, far := transporttest.Conns(b)
	platform, farther := transporttest.Conns(b)
	done := make(chan struct{}, 2)
	go func() { s.ServeCommandConn(far); done <- struct{}{} }()
	go func() { s.ServePlatformConn(farther); done <- struct{}{} }()
	ctx := context.Background()
	tpm, err := mssim.NewTPM(ctx, command, platform)
	require.NoError(b, err)
	getRandom := transporttest.Hex(b, "8001 0000000C 0000017B 0008")
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = tpm.Exchange(ctx, buf[:0], 0, getRandom); err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, tpm.Close())
	for range 2 {
		transporttest.Receive(b, done)
	}
}

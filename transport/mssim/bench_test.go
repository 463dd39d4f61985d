package mssim_test

import (
	"context"
	"io"
	"net"
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

// BenchmarkApart is a command over TCP whose header a client writes before the command,
// with the Nagle algorithm, as tcti-mssim of tpm2-tss does; whole is one that writes both
// together.
func BenchmarkApart(b *testing.B) {
	response := transporttest.Hex(b, "8001 00000014 00000000 0008 0102030405060708")
	head, getRandom := transporttest.Hex(b, "00000008 00 0000000C"), transporttest.Hex(b, "8001 0000000C 0000017B 0008")
	for name, parts := range map[string][][]byte{"apart": {head, getRandom}, "whole": {append(head[:len(head):len(head)], getRandom...)}} {
		b.Run(name, func(b *testing.B) {
			s := mssim.NewServer(transporttest.Plain(
				func(context.Context, uint8, []byte) ([]byte, error) { return response, nil }), mssim.Options{})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(b, err)
			done := make(chan error, 1)
			go func() { done <- s.ServeCommand(l) }()
			conn, err := net.Dial("tcp", l.Addr().String())
			require.NoError(b, err)
			require.NoError(b, conn.(*net.TCPConn).SetNoDelay(false))
			answer := make([]byte, 4+len(response)+4)
			for b.Loop() {
				for _, part := range parts {
					if _, err := conn.Write(part); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := io.ReadFull(conn, answer); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, conn.Close())
			require.NoError(b, s.Close(context.Background()))
			require.NoError(b, transporttest.Receive(b, done))
		})
	}
}

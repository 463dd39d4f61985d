package swtpm

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func seed(f *testing.F, digits ...string) {
	f.Helper()
	for _, d := range digits {
		b, err := hex.DecodeString(d)
		require.NoError(f, err)
		f.Add(b)
	}
}

// FuzzDecode: whatever is received, a request takes no more than there is, its
// payload is within the limits of its row, and decoding goes on to the end.
func FuzzDecode(f *testing.F) {
	seed(f, "00000001", "0000000200000000", "000000050200000000000001", "00000005020000000f",
		"0000000700000002616200000008", "0000000dffffffffffffffffffffffff", "00000014ff", "000000", "")
	f.Fuzz(func(t *testing.T, segment []byte) {
		for _, open := range []bool{false, true} {
			rest := segment
			for len(rest) > 0 {
				req, used := decode(rest, open)
				require.LessOrEqual(t, used, len(rest))
				if used == 0 {
					break
				}
				if req.row == nil {
					require.Len(t, rest, used, "an unknown request has no end")
					break
				}
				require.Equal(t, Command(binary.BigEndian.Uint32(rest)), req.row.code)
				require.GreaterOrEqual(t, len(req.payload), req.row.least)
				require.LessOrEqual(t, len(req.payload), req.row.most)
				rest = rest[used:]
			}
		}
	})
}

// FuzzControl: no bytes on a control connection break the server, which still
// serves the next client.
func FuzzControl(f *testing.F) {
	seed(f, "00000001", "0000000200000000", "0000000502", "000000060000000700000002616200000008",
		"00000012000000000000000700000000", "0000000fffffffff", "0000000e0000000200000000000000040000000b03",
		"00000002000000000000000a0000000c00000000000000020000000000000003", "0000000200000000"+"0000000a"+"000000130000000f", "0000000d00000000000000020000000176")
	f.Fuzz(func(t *testing.T, request []byte) {
		s := NewServer(&transporttest.TPM{}, Options{})
		talk(t, s.ServeControlConn, request)
		if s.ended() {
			return // it was SHUTDOWN
		}
		assert.Equal(t, "000000000001ffff", talk(t, s.ServeControlConn, []byte{0, 0, 0, 1}))
	})
}

// FuzzData is the same for data connections, prefixes and all.
func FuzzData(f *testing.F) {
	seed(f, "80010000000a00000181", "8001000000", "000000080300"+"00000a80010000000a00000181",
		"0000000800ffffffff", "8002000000"+"0b2000100003", "00c10000000a000000f1", "80010000000500000000")
	f.Fuzz(func(t *testing.T, command []byte) {
		device := &transporttest.TPM{}
		require.NoError(t, device.Init())
		s := NewServer(device, Options{AllowSetLocality: true, StallTime: time.Millisecond})
		one := func(conn net.Conn) { assert.NoError(t, s.ServeDataConn(conn)) }
		talk(t, one, command)
		for _, call := range device.Calls() {
			if call.Name == "send" {
				require.GreaterOrEqual(t, len(call.Data), transport.HeaderSize)
			}
		}
		assert.Equal(t, "80010000000a00000000", talk(t, one, []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x44}))
	})
}

// talk says something to a server and returns all that it answers until the
// client's end is known to it.
func talk(t *testing.T, serve func(net.Conn), message []byte) string {
	t.Helper()
	client, server := transporttest.Conns(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(server)
	}()
	go func() {
		_, _ = client.Write(message)
		_ = client.(interface{ CloseWrite() error }).CloseWrite()
	}()
	answer, err := io.ReadAll(client)
	if err != nil {
		require.ErrorContains(t, err, "reset", "unread bytes at the end")
	}
	transporttest.Receive(t, done)
	_ = client.Close()
	return hex.EncodeToString(answer)
}

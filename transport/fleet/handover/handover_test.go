//go:build unix

package handover_test

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/transport/fleet/handover"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func pair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	conns := make([]*net.UnixConn, 2)
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		conns[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conns[0], conns[1]
}

type value struct {
	Text string
	Last bool
}

// Values come as they are, with their files in order, however many.
func TestValuesWithFiles(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	sender, receiver := handover.New(a, time.Minute), handover.New(b, time.Minute)
	var files []*os.File
	for range 150 {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		require.NoError(t, w.Close())
		files = append(files, r)
	}
	defer handover.Close(files)
	sent := make(chan error, 1)
	go func() {
		err := sender.Send(value{Text: strings.Repeat("x", 1<<20)}, files...)
		if err == nil {
			err = sender.Send(value{Last: true})
		}
		sent <- err
	}()
	var v value
	got, err := receiver.Receive(&v)
	require.NoError(t, err)
	defer handover.Close(got)
	assert.Len(t, v.Text, 1<<20)
	require.Len(t, got, len(files))
	for i := range got {
		want, err := files[i].Stat()
		require.NoError(t, err)
		is, err := got[i].Stat()
		require.NoError(t, err)
		assert.True(t, os.SameFile(want, is), "file %d", i)
	}
	v = value{}
	got, err = receiver.Receive(&v)
	require.NoError(t, err)
	assert.Empty(t, got)
	assert.True(t, v.Last)
	require.NoError(t, transporttest.Receive(t, sent))
	require.NoError(t, sender.Close())
	_, err = receiver.Receive(&v)
	require.ErrorIs(t, err, io.EOF)
}

// What is no message is refused, before anything that it announces is read.
func TestReceiveRefuses(t *testing.T) {
	t.Parallel()
	head := func(size, count uint32, text string) string {
		b := binary.BigEndian.AppendUint32(nil, size)
		return string(binary.BigEndian.AppendUint32(b, count)) + text
	}
	for name, c := range map[string]struct{ text, says string }{
		"too long":          {head(handover.MaxText+1, 0, ""), "announces"},
		"too many files":    {head(2, handover.MaxFiles+1, "{}"), "announces"},
		"files do not come": {head(2, 1, "\x00{}"), "0 of 1 files"},
		"an unknown field":  {head(9, 0, `{"Odd":1}`), "unknown field"},
		"two values":        {head(4, 0, "{}{}"), "bytes follow"},
		"a value cut":       {head(9, 0, `{"Text":`), "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pair(t)
			_, err := a.Write([]byte(c.text))
			require.NoError(t, err)
			require.NoError(t, a.CloseWrite())
			var v value
			files, err := handover.New(b, time.Minute).Receive(&v)
			require.ErrorContains(t, err, c.says)
			assert.Empty(t, files)
		})
	}
}

// FuzzReceive has anything for a message: an error, and no more memory than came.
func FuzzReceive(f *testing.F) {
	for _, seed := range []string{
		"", "\x00\x00\x00\x02\x00\x00\x00\x00{}", "\x00\x00\x00\x03\x00\x00\x00\x00{} ", "\x00\x00\x00\x04\x00\x00\x00\x00{}{}",
		"\x00\x00\x00\x02\x00\x00\x00\x01\x00{}", "\xff\xff\xff\xff\x00\x00\x00\x00", "\x00\x00\x00\x0a\x00\x00\x00\x00{\"Odd\":1 }", "\x0f\xff\xff\xff\x00\x00\x00\x00{",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, b := pair(t)
		go func() { _, _ = a.Write(text); _ = a.Close() }()
		var v value
		files, err := handover.New(b, time.Minute).Receive(&v)
		if err != nil {
			assert.Empty(t, files)
		}
	})
}

package transport_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
)

// segments is a stream that comes in pieces; nil stands for silence.
type segments struct {
	pieces   [][]byte
	deadline time.Time
}

func (s *segments) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	if s.pieces[0] == nil {
		if s.deadline.IsZero() {
			return 0, errors.New("the reader would wait for ever")
		}
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *segments) SetReadDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

// command makes a command of size bytes.
func command(size int) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint16(b, transport.TagNoSessions)
	binary.BigEndian.PutUint32(b[2:], uint32(size))
	for i := transport.HeaderSize; i < size; i++ {
		b[i] = byte(size + i)
	}
	return b
}

// TestFrameReader cuts the same commands in many ways.
func TestFrameReader(t *testing.T) {
	t.Parallel()
	var want [][]byte
	for _, size := range []int{10, 11, 4096, 12, 4095, 10, 10, 2000, 2000, 2000, 4096} {
		want = append(want, command(size))
	}
	stream := bytes.Join(want, nil)
	for _, piece := range []int{1, 2, 3, 5, 7, 10, 11, 100, 4095, 4096, 4097, 5000, len(stream)} {
		t.Run(fmt.Sprintf("pieces of %d", piece), func(t *testing.T) {
			t.Parallel()
			src := &segments{}
			for rest := stream; len(rest) > 0; {
				n := min(piece, len(rest))
				src.pieces = append(src.pieces, rest[:n])
				rest = rest[n:]
			}
			r := transport.NewFrameReader(src, 4096, time.Second)
			for i := range want {
				got, err := r.Next()
				require.NoError(t, err)
				require.True(t, bytes.Equal(want[i], got), "command %d", i)
				require.True(t, src.deadline.IsZero(), "the deadline ends with the command")
			}
			_, err := r.Next()
			assert.Equal(t, io.EOF, err)
		})
	}
}

func TestFrameReaderErrors(t *testing.T) {
	t.Parallel()
	head := func(size uint32) []byte {
		return binary.BigEndian.AppendUint32([]byte{0x80, 0x01}, size)
	}
	read := func(max uint32, pieces ...[]byte) error {
		r := transport.NewFrameReader(&segments{pieces: pieces}, 4096, time.Second)
		r.SetMax(max)
		_, err := r.Next()
		return err
	}
	var size *transport.SizeError
	for _, c := range []struct{ size, max uint32 }{
		{0, 4096}, {9, 4096}, {4097, 4096}, {3969, 3968}, {0xFFFFFFFF, 4096}, {4097, 1 << 20},
	} {
		require.ErrorAs(t, read(c.max, head(c.size)), &size)
		assert.Equal(t, transport.SizeError{Size: c.size, Max: min(c.max, 4096)}, *size)
		assert.Contains(t, size.Error(), fmt.Sprintf("frame of %d bytes", c.size))
	}
	for _, n := range []int{1, 5, 6, 9} {
		assert.Equal(t, io.ErrUnexpectedEOF, read(4096, command(10)[:n]))
		err := read(4096, command(10)[:n], nil)
		var stall *transport.StallError
		require.ErrorAs(t, err, &stall)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, transport.StallError{Got: n, After: time.Second}, *stall)
		assert.Contains(t, err.Error(), fmt.Sprintf("after %d bytes", n))
	}
	require.ErrorContains(t, read(4096, nil), "wait for ever", "silence between commands is no stall")
}

// TestFrameReaderGoesOn: after a size or stall error the reader finds the
// next command, in the two ways there are.
func TestFrameReaderGoesOn(t *testing.T) {
	t.Parallel()
	large := command(9000)
	src := &segments{pieces: [][]byte{
		{0x80, 1, 0, 0, 0, 3, 1, 2, 3}, command(10),
		large[:100], large[100:8000], append(large[8000:], command(11)...),
		command(12)[:4], nil,
	}}
	r := transport.NewFrameReader(src, 4096, time.Second)
	var size *transport.SizeError
	_, err := r.Next()
	require.ErrorAs(t, err, &size)
	assert.Equal(t, 9, r.Drop())
	got, err := r.Next()
	require.NoError(t, err)
	assert.Len(t, got, 10)

	_, err = r.Next()
	require.ErrorAs(t, err, &size)
	require.NoError(t, r.Discard(int64(size.Size)))
	got, err = r.Next()
	require.NoError(t, err)
	assert.Len(t, got, 11)

	_, err = r.Next()
	var stall *transport.StallError
	require.ErrorAs(t, err, &stall)
	assert.Equal(t, 4, r.Drop())
	src.pieces = [][]byte{command(13), nil}
	got, err = r.Next()
	require.NoError(t, err)
	assert.Len(t, got, 13)
	require.ErrorIs(t, r.Discard(1), os.ErrDeadlineExceeded, "what was announced must come")
}

// TestFrameReaderBehindFraming: a protocol's own framing before a command
// counts as its beginning.
func TestFrameReaderBehindFraming(t *testing.T) {
	t.Parallel()
	src := &segments{pieces: [][]byte{{0, 0, 0, 8}, {5}, command(20), {0, 0, 0, 8, 6}, nil}}
	r := transport.NewFrameReader(src, 4096, time.Second)
	for range 2 {
		framing, err := r.Peek(5)
		require.NoError(t, err)
		assert.Equal(t, []byte{0, 0, 0, 8}, framing[:4])
		r.Skip(5)
		got, err := r.Take(20)
		if framing[4] == 6 {
			var stall *transport.StallError
			require.ErrorAs(t, err, &stall)
			return
		}
		require.NoError(t, err)
		assert.Equal(t, command(20), got)
	}
}

func TestFrameReaderDoesNotAllocate(t *testing.T) { // not parallel: it counts
	stream := bytes.Repeat(command(100), 2000)
	r := transport.NewFrameReader(&segments{pieces: [][]byte{stream}}, 4096, time.Second)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		if _, err := r.Next(); err != nil {
			t.Error(err)
		}
	}))
}

// FuzzFrameReader: however a stream is cut, the same commands come out, or
// the same error ends them.
func FuzzFrameReader(f *testing.F) {
	f.Add(append(command(10), command(300)...), uint64(1))
	f.Add([]byte{0x80, 1, 0, 0, 0, 9, 1}, uint64(2))
	f.Add([]byte{0x80, 1, 0xFF, 0xFF, 0xFF, 0xFF}, uint64(3))
	f.Add(command(256)[:255], uint64(4))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		const most = 256
		read := func(pieces [][]byte) (got [][]byte, err error) {
			r := transport.NewFrameReader(&segments{pieces: pieces}, most, time.Second)
			for {
				var c []byte
				if c, err = r.Next(); err != nil {
					return got, err
				}
				require.LessOrEqual(t, len(c), most)
				require.EqualValues(t, len(c), binary.BigEndian.Uint32(c[2:]))
				got = append(got, bytes.Clone(c))
			}
		}
		random := rand.New(rand.NewPCG(seed, 0))
		var pieces [][]byte
		for rest := stream; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		var whole [][]byte
		if len(stream) > 0 {
			whole = [][]byte{stream}
		}
		want, wantErr := read(whole)
		got, gotErr := read(pieces)
		assert.Equal(t, want, got)
		assert.Equal(t, wantErr, gotErr)
	})
}

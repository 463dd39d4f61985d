package logs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// TestLogWithoutReader: nobody reads the log, and whoever writes to it goes on.
// When somebody reads again, the lines that are not there are counted in their
// place.
func TestLogWithoutReader(t *testing.T) {
	read, write := io.Pipe() // takes nothing until somebody reads
	q := &Queue{Out: write, Prefix: "vm1 "}
	line := []byte(strings.Repeat("x", 99) + "\n")
	const lines = 3 * logRoom / 100
	for range lines {
		n, err := q.Write(line)
		require.NoError(t, err)
		require.Equal(t, len(line), n)
	}
	lost := q.Lost()
	assert.NotZero(t, lost)
	assert.Error(t, q.Flush(), "nobody reads")

	// The counted lines and those that came add up. There are two places where lines are
	// missing if the queue was full before its goroutine began.
	got, counted := 0, uint64(0)
	scanner := bufio.NewScanner(read)
	for got+int(counted) < lines && scanner.Scan() {
		require.True(t, strings.HasPrefix(scanner.Text(), "vm1 "), scanner.Text())
		if at := strings.Index(scanner.Text(), "lines="); at >= 0 {
			assert.Contains(t, scanner.Text(), "level=WARN")
			var missing uint64
			_, err := fmt.Sscanf(scanner.Text()[at:], "lines=%d", &missing)
			require.NoError(t, err)
			counted += missing
			continue
		}
		got++
	}
	require.NoError(t, scanner.Err())
	assert.Equal(t, lost, counted)
	assert.Equal(t, lines, got+int(counted))

	go func() { _, _ = io.Copy(io.Discard, read) }()
	require.NoError(t, q.Flush())
	_, err := q.Write(line)
	require.NoError(t, err)
	require.NoError(t, q.Flush())
	assert.Equal(t, lost, q.Lost(), "the queue takes lines again")
}

type brokenWriter struct{ bytes.Buffer }

func (*brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestLogThatCannotBeWrittenIsCounted(t *testing.T) {
	q := &Queue{Out: new(brokenWriter)}
	for range 3 {
		_, err := q.Write([]byte("line\n"))
		require.NoError(t, err)
	}
	require.NoError(t, q.Flush())
	assert.EqualValues(t, 3, q.Lost())
}

// blocked is a stderr or stdout that nobody reads.
type blocked struct{ never chan struct{} }

func (b blocked) Write([]byte) (int, error) { <-b.never; return 0, io.ErrClosedPipe }

// BenchmarkGathered is what a packet of a capture costs whoever writes it.
func BenchmarkGathered(b *testing.B) {
	q := &Queue{Out: io.Discard, Room: 8 << 20, Gather: time.Millisecond}
	packet := make([]byte, 104)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = q.Write(packet)
	}
	require.NoError(b, q.Flush())
}

// BenchmarkDeferredLog is what a line of the log costs whoever writes it, with a
// reader and without one.
func BenchmarkDeferredLog(b *testing.B) {
	never := make(chan struct{})
	defer close(never)
	for name, out := range map[string]io.Writer{"read": io.Discard, "blocked": blocked{never}} {
		b.Run(name, func(b *testing.B) {
			log := slog.New(slog.NewTextHandler(&Queue{Out: out}, nil))
			for b.Loop() {
				log.Info("fault", "outcome", "answered", "command", "TPM2_SelfTest", "boot", 1)
			}
		})
	}
}

// Lines that gather do not wait for others when somebody waits for them, or half of the
// room is taken.
func TestGatheredLines(t *testing.T) {
	t.Parallel()
	written := make(chan string, 1)
	q := &Queue{Out: writerFunc(func(p []byte) (int, error) { written <- string(p); return len(p), nil }), Gather: time.Hour, Room: 100}
	write := func(line string) {
		_, err := q.Write([]byte(line))
		require.NoError(t, err)
	}
	write("one\n")
	write("two\n")
	_ = q.Flush() // which is not patient for long
	assert.Equal(t, "one\ntwo\n", transporttest.Receive(t, written))

	long := strings.Repeat("x", 30)
	write(long)
	write(long)
	assert.Equal(t, long+long, transporttest.Receive(t, written))
	write("three\n")
	_ = q.Flush()
	assert.Equal(t, "three\n", transporttest.Receive(t, written))
	assert.Zero(t, q.Lost())
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

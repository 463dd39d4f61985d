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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

// BenchmarkDeferredLog is what a line of the log costs whoever writes it, with a
// reader and without one.
func BenchmarkDeferredLog(b *testing.B) {
	never := make(chan struct{})
	defer close(never)
	for name, out := range map[string]io.Writer{"read": io.Discard, "blocked": blocked{never}} {
		b.Run(name, func(b *testing.B) {
			log := slog.New(slog.NewTextHandler(&Queue{Out: out}, nil))
			for b.Loop() {
				log.Info("command deferred", "outcome", "answered", "command", "TPM2_SelfTest", "boot", 1)
			}
		})
	}
}

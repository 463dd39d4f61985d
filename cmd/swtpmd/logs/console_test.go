package logs

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// slowFile is a file whose first Write waits.
type slowFile struct {
	taking chan struct{}
	taken  strings.Builder
	closed bool
	err    error
}

func (f *slowFile) Write(p []byte) (int, error) {
	<-f.taking
	if f.err != nil {
		return 0, f.err
	}
	return f.taken.Write(p)
}

func (f *slowFile) Close() error {
	f.closed = true
	return nil
}

func TestTheConsoleLogNeverWaitsForItsFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, said := &slowFile{taking: make(chan struct{})}, new(lockedBuffer)
		log := NewConsole(file, "boot.log", slog.New(slog.NewTextHandler(said, nil)))
		start := time.Now()
		for range 1000 {
			_, err := log.Write([]byte("a line\n"))
			require.NoError(t, err)
		}
		synctest.Wait()
		assert.Zero(t, time.Since(start))
		close(file.taking)
		log.Close(time.Minute)
		assert.Equal(t, strings.Repeat("a line\n", 1000), file.taken.String())
		assert.True(t, file.closed)
		assert.Empty(t, said.String())
	})
}

func TestAConsoleLogThatFallsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, said := &slowFile{taking: make(chan struct{})}, new(lockedBuffer)
		log := NewConsole(file, "boot.log", slog.New(slog.NewTextHandler(said, nil)))
		_, err := log.Write([]byte("first\n"))
		require.NoError(t, err)
		synctest.Wait() // it is being written
		piece := []byte(strings.Repeat("x", 1<<20))
		written := 0
		for ; err == nil && written < 100<<20; written += len(piece) {
			_, err = log.Write(piece)
		}
		require.ErrorIs(t, err, errSlow)
		_, err = log.Write([]byte("y"))
		require.ErrorIs(t, err, errSlow, "what comes later does not follow a gap")
		assert.Equal(t, 1, strings.Count(said.String(), "\n"), "it is said once: %s", said)
		assert.Contains(t, said.String(), "boot.log")

		start := time.Now()
		log.Close(time.Second)
		assert.Equal(t, time.Second, time.Since(start), "the end waits so long and no longer")
		close(file.taking)
		synctest.Wait()
		assert.Equal(t, "first\n"+strings.Repeat("x", maxUnwritten), file.taken.String())
	})
}

func TestAConsoleLogOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, said := &slowFile{taking: make(chan struct{}), err: errors.New("no space left on device")}, new(lockedBuffer)
		log := NewConsole(file, "boot.log", slog.New(slog.NewTextHandler(said, nil)))
		close(file.taking)
		_, err := log.Write([]byte("x"))
		require.NoError(t, err)
		synctest.Wait()
		_, err = log.Write([]byte("y"))
		require.ErrorIs(t, err, file.err)
		log.Close(time.Minute)
		assert.True(t, file.closed)
		assert.Equal(t, 1, strings.Count(said.String(), "no space left on device"))
		assert.Equal(t, 1, strings.Count(said.String(), "\n"))
	})
}

package transporttest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Receive returns what comes from c, the zero value if c is closed. The test
// fails if nothing has come within a minute. It must be called from the test's
// goroutine.
func Receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	var v T
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v = <-c:
	case <-timer.C:
		require.FailNow(t, "a test waits for what does not come", "for %v", patience)
	}
	return v
}

// Wait returns when all of the group are done. The test fails if they are not
// within a minute. It must be called from the test's goroutine.
func Wait(t testing.TB, wg *sync.WaitGroup) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	Receive(t, done)
}

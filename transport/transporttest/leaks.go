package transporttest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// NoLeaks runs body and fails if goroutines that it started, directly or not,
// are still there a minute after it returned. Tests may run it in parallel: it finds
// its own goroutines by a profiler label, which they inherit.
func NoLeaks(t testing.TB, body func()) {
	t.Helper()
	const key = "transporttest"
	// The address tells runs of the same test apart (-count).
	value := fmt.Sprintf("%s %p", t.Name(), new(int))
	pprof.Do(context.Background(), pprof.Labels(key, value), func(context.Context) { body() })
	var left []byte
	require.Eventually(t, func() bool {
		left = labeled(fmt.Sprintf("%q:%q", key, value))
		return left == nil
	}, patience, 5*time.Millisecond, "goroutines are left")
	if left != nil {
		t.Logf("%s", left)
	}
}

// labeled returns the goroutine profile if a goroutine has the label.
func labeled(label string) []byte {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return []byte(err.Error())
	}
	if !bytes.Contains(profile.Bytes(), []byte(label)) {
		return nil
	}
	return profile.Bytes()
}

package own

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"helper"
)

type plan struct{ Journal func() }

func TestGoroutines(t *testing.T) { // want TestGoroutines:"ends the test by require.NoError"
	require.NoError(t, nil)
	go func() {
		require.NoError(t, nil) // want `require.NoError ends a goroutine`
		t.Error("this one is allowed")
	}()
	go func() { t.Fatal() }() // want `testing.Fatal ends a goroutine`
	go helper.Twice(t)        // want `Twice, which calls Ask ends a goroutine`
	answer := make(chan string, 1)
	go func() { answer <- helper.Ask(t) }() // want `Ask, which calls require.NoError ends a goroutine`

	ask := func() { require.NoError(t, nil) } // want `require.NoError ends a goroutine`
	ask()
	go func() { ask() }() // want `ask, which calls require.NoError ends a goroutine`

	var wg sync.WaitGroup
	wg.Go(ask)
	wg.Go(func() {
		t.Run("a test of its own", func(t *testing.T) { require.NoError(t, nil) })
	})
	_ = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.FailNow() // want `testing.FailNow ends an HTTP handler`
	})
	_ = plan{Journal: func() { ask() }} // want `ask, which calls require.NoError ends a callback`
	var p plan
	p.Journal = func() { t.Skip() } // want `testing.Skip ends a callback`
	t.Run("", func(t *testing.T) { ask() })
	require.Eventually(t, func() bool {
		helper.Ask(t) // want `Ask, which calls require.NoError ends the goroutine of a condition`
		return true
	})
	t.Cleanup(func() { ask() })
}

package transporttest

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// failing is a test that takes down that it has failed.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Name() string          { return "failing" }
func (f *failing) Helper()               {}
func (f *failing) Errorf(string, ...any) {}
func (f *failing) FailNow()              { f.failed = true }

func TestWaitsHaveAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failing
		c := make(chan int, 1)
		assert.Zero(t, Receive(&f, c))
		assert.True(t, f.failed)
		c <- 7
		assert.Equal(t, 7, Receive(t, c))
		close(c)
		assert.Zero(t, Receive(t, c))

		var wg sync.WaitGroup
		wg.Add(1)
		f.failed = false
		Wait(&f, &wg)
		require.True(t, f.failed)
		wg.Done()
		Wait(t, &wg)
	})
}

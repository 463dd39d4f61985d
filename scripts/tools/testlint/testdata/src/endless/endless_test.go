package endless

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaits(t *testing.T) {
	c := make(chan int)
	<-c         // want `no end`
	_ = 1 + <-c // want `no end`
	var wg sync.WaitGroup
	wg.Wait() // want `no end`
	t.Run("", func(t *testing.T) {
		<-c // want `no end`
	})
	t.Cleanup(func() { <-c }) // want `no end`

	ctx := context.Background()
	<-ctx.Done()
	<-time.After(1)
	<-time.NewTimer(1).C
	select {
	case <-c:
	case <-ctx.Done():
	}
	go func() { <-c }()
	wg.Go(func() { <-c })
	synctest.Test(t, func(t *testing.T) { <-c })
}

// of is called from somewhere else.
func of(c chan int) int { return <-c }

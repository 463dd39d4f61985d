package conform

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// A command has its time, and the next one has as much, with the same context unless that
// has ended.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limit
		first := l.begin(t.Context(), time.Minute)
		time.Sleep(59 * time.Second)
		l.end()
		second := l.begin(t.Context(), time.Minute)
		assert.Equal(t, first, second)
		time.Sleep(59 * time.Second)
		synctest.Wait()
		assert.NoError(t, second.Err())
		time.Sleep(time.Second)
		synctest.Wait()
		assert.ErrorIs(t, context.Cause(second), context.DeadlineExceeded)
		l.end()
		third := l.begin(t.Context(), time.Minute)
		assert.NoError(t, third.Err())
		l.end()
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.NoError(t, third.Err(), "no command is in progress")
	})
}

// An interrupt of the run gives the command in progress a while more, and ends no other
// command and none that takes away what a case has made.
func TestLimitHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interrupted, interrupt := context.WithCancel(t.Context())
		var l limit
		context.AfterFunc(interrupted, l.hurry)
		command := l.begin(interrupted, time.Minute)
		interrupt()
		time.Sleep(lastAnswer - 1)
		synctest.Wait()
		assert.NoError(t, command.Err())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.ErrorIs(t, command.Err(), context.Canceled)
		assert.NotErrorIs(t, context.Cause(command), context.DeadlineExceeded)
		l.end()

		l.begin(interrupted, time.Minute)
		l.hurry()
		l.end()
		next := l.begin(context.WithoutCancel(interrupted), time.Minute)
		l.hurry()
		time.Sleep(2 * lastAnswer)
		synctest.Wait()
		assert.NoError(t, next.Err())
		l.end()
	})
}

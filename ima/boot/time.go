package boot

import (
	"sync/atomic"
	"time"
)

// Time is the virtual time of a simulated machine: the time since its power-on.
// A run moves it; nothing else does. The zero value stands at power-on. It is a
// clock for whatever must live in the machine's time, the emulator's Platform
// above all, and may be read from any goroutine.
type Time struct {
	now atomic.Int64
}

// Now gives the virtual time since power-on.
func (t *Time) Now() time.Duration { return time.Duration(t.now.Load()) }

func (t *Time) set(now time.Duration) { t.now.Store(int64(now)) }

package boot

import (
	"sync/atomic"
	"time"
)

// Time is the virtual time of a simulated machine. A run moves it; nothing else
// does. It never goes back: with a second run, a reboot of the machine, it goes
// on from where it stands. The zero value stands at the first power-on. It is a
// clock for whatever must live in the machine's time, the emulator's Platform
// above all, and may be read from any goroutine.
type Time struct {
	now atomic.Int64
}

// Now returns the virtual time since the first power-on.
func (t *Time) Now() time.Duration { return time.Duration(t.now.Load()) }

func (t *Time) set(now time.Duration) { t.now.Store(int64(now)) }

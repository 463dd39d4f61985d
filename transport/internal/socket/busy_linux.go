package socket

import "time"

// BusyPoll has Read of a connection from Adopt or FromFD look for bytes again and again
// for up to a time before its thread sleeps, as Linux's SO_BUSY_POLL does for a network
// device; 0 ends that. A thread that sleeps has to be woken, and between two processors
// that takes longer than a TPM needs for most commands. The price is the processor's time
// until the client sends, so it is paid only as long as it gets something: each look in
// vain doubles the number of reads that sleep at once, up to 4,095.
func BusyPoll(conn Conn, limit time.Duration) {
	if b, ok := conn.(*blocking); ok {
		b.busy = busy{limit: limit}
	}
}

// busy is what a connection knows about looking for bytes without sleep. It belongs to
// Read's goroutine.
type busy struct {
	limit time.Duration
	// vain counts looks in vain, less those that were not. After one, the next asleep
	// reads sleep at once.
	vain, asleep int
}

const (
	mostVain = 12
	// interrupted is longer than a poll(2) that finds nothing takes. A poller that loses
	// its processor for so long may be in the way of the client it waits for.
	interrupted = 5 * time.Microsecond
)

// look waits without sleep for bytes that come soon.
func (b *blocking) look() {
	if b.busy.limit <= 0 {
		return
	}
	if b.busy.asleep > 0 {
		b.busy.asleep--
		return
	}
	came, alone := false, true
	for start, passed := time.Now(), time.Duration(0); !came && passed < b.busy.limit; {
		came = b.pending()
		now := time.Since(start)
		alone = alone && now-passed < interrupted
		passed = now
	}
	b.busy.learn(came && alone)
}

// learn decides how many reads sleep at once after a look.
func (b *busy) learn(came bool) {
	if came {
		b.vain = max(b.vain-1, 0)
		return
	}
	b.vain = min(b.vain+1, mostVain)
	b.asleep = 1<<b.vain - 1
}

package serve

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// hangupTime is how often long commands are looked after.
const hangupTime = 500 * time.Millisecond

// Hangups ends commands whose clients have gone. A connection's goroutine
// cannot see that while it waits for the TPM, and a command that a fault holds
// back can wait for a minute: long after QEMU was killed.
//
// The zero value is ready. While there are connections a goroutine looks at
// those that were in the same command the last time; a command costs two
// atomic operations.
type Hangups struct {
	mu    sync.Mutex
	calls map[*Calls]struct{}
	stop  chan struct{} // ends the goroutine
}

// Calls are the commands of one connection, one after the other.
type Calls struct {
	// Ctx is the context for them; it ends when the client is gone. It has the
	// delivery.
	Ctx context.Context
	// Delivery is how the response to the command in hand is written.
	Delivery transport.Delivery

	cancel context.CancelFunc
	conn   socket.Conn
	count  atomic.Uint64 // odd while in a command
	seen   uint64        // count at the last look
}

// Begin says that a command begins.
func (c *Calls) Begin() { c.count.Add(1) }

// End says that it has ended.
func (c *Calls) End() { c.count.Add(1) }

// Write writes the response to the last command as the delivery says.
func (c *Calls) Write(response []byte) error { return c.Delivery.Write(c.Ctx, c.conn, response) }

// Watch returns the Calls of a connection, with a context from ctx. Forget
// must be called when the connection ends.
func (h *Hangups) Watch(ctx context.Context, conn socket.Conn) *Calls {
	c := &Calls{conn: conn}
	c.Ctx, c.cancel = context.WithCancel(transport.WithDelivery(ctx, &c.Delivery))
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.calls) == 0 {
		h.calls = make(map[*Calls]struct{})
		h.stop = make(chan struct{})
		go h.look(h.stop)
	}
	h.calls[c] = struct{}{}
	return c
}

// Forget ends what Watch began.
func (h *Hangups) Forget(c *Calls) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.cancel()
	delete(h.calls, c)
	if len(h.calls) == 0 {
		close(h.stop)
		h.calls = nil
	}
}

func (h *Hangups) look(stop <-chan struct{}) {
	tick := time.NewTicker(hangupTime)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			h.mu.Lock()
			for c := range h.calls {
				c.look()
			}
			h.mu.Unlock()
		}
	}
}

func (c *Calls) look() {
	count := c.count.Load()
	if count%2 == 1 && count == c.seen && socket.HungUp(c.conn) {
		c.cancel()
	}
	c.seen = count
}

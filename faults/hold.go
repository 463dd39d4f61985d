package faults

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// era is a time without a reset, power-off or cancel, or the time of one that lasts. Its
// end lets go every command that came in it, whether it is held yet or not: a
// command takes its era when it comes, before anything is decided.
type era struct {
	over bool
	end  release // valid once it is over
}

// hold is a command that is held. The first release counts.
type hold struct {
	rule *rule
	once sync.Once
	let  chan struct{} // closed by the release
	why  release       // valid once let is closed
}

type release struct {
	outcome Outcome
	cause   string
}

func (h *hold) release(r release) {
	h.once.Do(func() {
		h.why = r
		close(h.let)
	})
}

// hold waits until something lets the command go and writes down what did. The
// journal hears of it only when everything that can end the wait can do so.
func (l *Layer) hold(x *exchange, longest time.Duration) {
	h := &hold{rule: x.rule, let: make(chan struct{})}
	l.begin(h, x.came)
	defer l.end(h)
	boot, when := x.decision.Boot, &x.rule.When
	check := func(e initcall.Event) {
		switch {
		case e.Boot != boot:
			h.release(otherBoot(e))
		case !when.InForce(e):
			h.release(release{Released, "level " + e.Level.String()})
		}
	}
	// Subscribing before looking once more leaves no gap for an event.
	stop := l.clock.Subscribe(check)
	defer stop()
	check(l.clock.Now())
	if x.rule.disabled.Load() {
		h.release(release{Released, "rule disabled"})
	}

	held := *x.decision
	held.Outcome = Held
	l.tell(held)
	why := h.await(x.ctx, longest)
	if why.outcome == Released || why.outcome == Expired {
		why = l.overtaken(x.came, boot, why)
	}
	x.decision.Outcome, x.decision.Cause = why.outcome, why.cause
	x.decision.HeldFor = time.Since(x.decision.Time)
}

// overtaken returns what came after the release of a command that is about to go
// on to the TPM, and why itself if nothing did. What was sent before a reset
// must not reach the TPM after it.
func (l *Layer) overtaken(came *era, boot int, why release) release {
	if now := l.clock.Now(); now.Boot != boot {
		why = otherBoot(now)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if came.over {
		why = came.end
	}
	return why
}

func otherBoot(e initcall.Event) release {
	return release{Reset, fmt.Sprintf("boot %d began", e.Boot)}
}

// begin has the end of the era let h go: at once if the era is over already.
func (l *Layer) begin(h *hold, came *era) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if came.over {
		h.release(came.end)
		return
	}
	l.holds[h] = struct{}{}
}

func (l *Layer) end(h *hold) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.holds, h)
}

// await returns what has released the hold: if nothing else, the end of longest
// or of ctx.
func (h *hold) await(ctx context.Context, longest time.Duration) release {
	if wait := transport.WaitOf(ctx); wait != nil {
		wait(h.let, longest)
	} else {
		expiry := time.NewTimer(longest)
		defer expiry.Stop()
		select {
		case <-h.let:
		case <-expiry.C:
		case <-ctx.Done():
		}
	}
	// The release that came first counts. If there was none, it is this one.
	if ctx.Err() != nil {
		h.release(release{Gone, "the sender gave up"})
	} else {
		h.release(release{Expired, "held for the maximum of " + longest.String()})
	}
	return h.why
}

// letGo ends the era, and with it the waiting of every command that came in it.
// The caller holds mu.
func (l *Layer) letGo(r release) {
	e := l.era.Load()
	if e.over {
		return
	}
	e.over, e.end = true, r
	for h := range l.holds {
		h.release(r)
	}
	clear(l.holds)
}

// cancel begins a new era.
func (l *Layer) cancel(r release) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.letGo(r)
	l.renew()
}

// reset lets held commands go and then calls change: a stall never stands in the
// way of a reset. While it lasts no command is held, or one that came in time
// to find a device with power would be left to wait, or reach the TPM of the
// next boot.
func (l *Layer) reset(r release, change func() error) error {
	l.mu.Lock()
	l.resets++
	l.letGo(r)
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.resets--
		l.renew()
	}()
	return change()
}

// renew begins a new era, unless a reset or the cancel signal lasts. The caller holds
// mu.
func (l *Layer) renew() {
	if l.resets == 0 && !l.canceling {
		l.era.Store(new(era))
	}
}

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
func (d *wrapper) hold(ctx context.Context, came *era, rule *Rule, decision *Decision) {
	h := &hold{let: make(chan struct{})}
	d.begin(h, came)
	defer d.end(h)
	boot := decision.Boot // a decision that check held on to would be allocated for every command
	check := func(e initcall.Event) {
		switch {
		case e.Boot != boot:
			h.release(otherBoot(e))
		case !rule.When.InForce(e):
			h.release(release{Released, "level " + e.Level.String()})
		}
	}
	// Subscribing before looking once more leaves no gap for an event.
	stop := d.clock.Subscribe(check)
	defer stop()
	check(d.clock.Now())

	held := *decision
	held.Outcome = Held
	d.tell(held)
	why := h.await(ctx, rule.longest())
	if why.outcome == Released || why.outcome == Expired {
		why = d.overtaken(came, boot, why)
	}
	decision.Outcome, decision.Cause = why.outcome, why.cause
	decision.HeldFor = time.Since(decision.Time)
}

// overtaken returns what came after the release of a command that is about to go
// on to the TPM, and why itself if nothing did. What was sent before a reset
// must not reach the TPM after it.
func (d *wrapper) overtaken(came *era, boot int, why release) release {
	if now := d.clock.Now(); now.Boot != boot {
		why = otherBoot(now)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if came.over {
		why = came.end
	}
	return why
}

func otherBoot(e initcall.Event) release {
	return release{Reset, fmt.Sprintf("boot %d began", e.Boot)}
}

// begin has the end of the era let h go: at once if the era is over already.
func (d *wrapper) begin(h *hold, came *era) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if came.over {
		h.release(came.end)
		return
	}
	d.holds[h] = struct{}{}
}

func (d *wrapper) end(h *hold) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.holds, h)
}

// longest is how long the rule holds a command at most.
func (r *Rule) longest() time.Duration {
	if r.Do.HoldMax == 0 {
		return DefaultHoldMax
	}
	return r.Do.HoldMax
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
func (d *wrapper) letGo(r release) {
	e := d.era.Load()
	if e.over {
		return
	}
	e.over, e.end = true, r
	for h := range d.holds {
		h.release(r)
	}
	clear(d.holds)
}

// cancel begins a new era.
func (d *wrapper) cancel(r release) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.letGo(r)
	d.renew()
}

// reset lets held commands go and then calls change: a stall never stands in the
// way of a reset. While it lasts no command is held, or one that came in time
// to find a device with power would be left to wait, or reach the TPM of the
// next boot.
func (d *wrapper) reset(r release, change func() error) error {
	d.mu.Lock()
	d.resets++
	d.letGo(r)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.resets--
		d.renew()
	}()
	return change()
}

// renew begins a new era, unless a reset or the cancel signal lasts. The caller holds
// mu.
func (d *wrapper) renew() {
	if d.resets == 0 && !d.canceling {
		d.era.Store(new(era))
	}
}

package faults

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// hold is a command that is kept back. The first release counts.
type hold struct {
	rule *rule
	once sync.Once
	let  chan struct{} // closed by the release
	why  release       // valid once let is closed
}

// release is what ended a hold, or an era.
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

// wait keeps the command back for a time and then goes on with then. It is the way of
// every fault that takes time:
//
//	func (d Delay) apply(x *exchange) ([]byte, error) { return x.wait(d.Time, x.next) }
//
// A reset, power-off, new boot or cancel ends the wait, and then is not called: the
// command is answered as Canceled and Reset say. The end of the sender's context does so
// with the context's error. If the rule is removed or disabled, then is called at
// once. The sender's own time (transport.WithWait) is honored. The decision gets the
// outcome Delayed, or what ended the wait before.
func (x *exchange) wait(t time.Duration, then func() ([]byte, error)) ([]byte, error) {
	end := release{outcome: Delayed}
	return x.goOn(x.layer.keep(x, t, end, false), then)
}

// hold is wait for at most a time, which the levels end too: then is called as soon as
// the rule is no longer in force. The journal hears of a hold when it begins.
func (x *exchange) hold(longest time.Duration, then func() ([]byte, error)) ([]byte, error) {
	end := release{Expired, "held for the maximum of " + longest.String()}
	return x.goOn(x.layer.keep(x, longest, end, true), then)
}

// goOn writes down what let the command go and does what follows from it.
func (x *exchange) goOn(why release, then func() ([]byte, error)) ([]byte, error) {
	switch why.outcome {
	case Canceled, Reset:
		return x.letGo(why)
	case Gone:
		x.decision.Outcome, x.decision.Cause = why.outcome, why.cause
		return nil, x.ctx.Err()
	}
	x.decision.Outcome, x.decision.Cause = why.outcome, why.cause
	return then()
}

// letGo answers a command that a reset, power-off, new boot or cancel has overtaken.
func (x *exchange) letGo(why release) ([]byte, error) {
	code := why.code()
	if x.decision != nil {
		x.decision.Outcome, x.decision.Cause, x.decision.Code = why.outcome, why.cause, code
	}
	return transport.AppendResponse(nil, code), nil
}

// code is the response code of a command that was let go without the TPM.
func (r *release) code() uint32 {
	if r.outcome == Canceled {
		return uint32(wire.RCCanceled)
	}
	return uint32(wire.RCFailure)
}

// keep waits until something lets the command go and returns what: end if it was the
// time. The journal hears of a hold only when everything that can end it can do so.
func (l *Layer) keep(x *exchange, longest time.Duration, end release, levels bool) release {
	h := &hold{rule: x.rule, let: make(chan struct{})}
	l.seam.begin(h, x.came)
	defer l.seam.end(h)
	l.seam.at("registered", h)
	when := &x.rule.When
	check := func(e initcall.Event) {
		switch {
		case e.Boot != x.boot:
			h.release(otherBoot(e.Boot))
		case levels && !when.InForce(e):
			h.release(release{Released, "level " + e.Level.String()})
		}
	}
	// Subscribing before looking once more leaves no gap for an event.
	stop := l.clock.Subscribe(check)
	defer stop()
	l.seam.at("subscribed", h)
	check(l.clock.Now())
	if x.rule.off() {
		h.release(release{Released, "rule disabled"})
	}
	began := l.time()
	if levels {
		held := *x.decision
		held.Outcome, held.Longest = Held, longest
		l.tell(held)
	}
	why := h.await(x.ctx, longest, end)
	l.seam.at("let go", h)
	x.decision.HeldFor += l.time() - began
	return why
}

func otherBoot(boot int) release {
	return release{Reset, fmt.Sprintf("boot %d began", boot)}
}

// await returns what has released the hold: if nothing else, the end of longest
// or of ctx.
func (h *hold) await(ctx context.Context, longest time.Duration, end release) release {
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
		h.release(end)
	}
	return h.why
}

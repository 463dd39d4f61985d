package faults

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// guests are the objects and sessions that faults have put into the TPM.
type guests struct {
	some  atomic.Bool // there may be any
	mu    sync.Mutex
	rules []*rule // in the order in which they put the first one there
	of    map[*rule][]wire.Handle
}

// add adds a guest of the present rule.
func (g *guests) add(x *exchange, h wire.Handle) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, asGuard := x.rule, guard(g)
	x.layer.guard.CompareAndSwap(nil, &asGuard)
	if g.of == nil {
		g.of = make(map[*rule][]wire.Handle)
	}
	if len(g.of[r]) == 0 {
		g.rules = append(g.rules, r)
	}
	g.of[r] = append(g.of[r], h)
	g.some.Store(true)
}

// over returns the rules with guests of which ended is true.
func (g *guests) over(ended func(*rule) bool) (list []*rule) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.rules {
		if ended(r) {
			list = append(list, r)
		}
	}
	return list
}

// take returns the guests of a rule, which are the caller's to flush.
func (g *guests) take(r *rule) []wire.Handle {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := g.of[r]
	delete(g.of, r)
	g.rules = slices.DeleteFunc(g.rules, func(other *rule) bool { return other == r })
	g.some.Store(len(g.rules) > 0)
	return list
}

// forget notes that a handle may be somebody else's from now on.
func (g *guests) forget(h wire.Handle) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for r, list := range g.of {
		g.of[r] = slices.DeleteFunc(list, func(other wire.Handle) bool { return other == h })
	}
}

// powerGone implements guard: all guests have gone with the power.
func (g *guests) powerGone() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules, g.of = nil, nil
	g.some.Store(false)
}

// comes implements guard: it flushes the guests whose rule is no longer in force, and tells
// the journal.
func (g *guests) comes(x *exchange) {
	if !g.some.Load() {
		return
	}
	if h, ok := flushes(x.command); ok {
		g.forget(h)
	}
	l := x.layer
	now := placeOf(l.clock)
	x.boot = now.boot
	over := g.over(func(r *rule) bool { return r.off() || !r.When.inForce(now) || !r.When.inTime(l.sincePower()) })
	code, _ := transport.CommandCode(x.command)
	for _, r := range over {
		flushed := 0
		for _, h := range g.take(r) {
			if err := x.ask(0).Flush(x.ctx, h); err == nil {
				flushed++
			}
		}
		l.tell(Decision{
			Time: time.Now(), Number: l.number.Load() + 1, Boot: now.boot, Level: now.level, Rule: r.name, Fault: r.fault.String(),
			Command: code, Locality: x.locality, Outcome: Passed,
			Detail: fmt.Sprintf("the rule is no longer in force, and %d slots are free again", flushed),
		})
	}
}

// flushes returns the handle that a command flushes.
func flushes(command []byte) (wire.Handle, bool) {
	code, _ := transport.CommandCode(command)
	s := scan{b: command, at: transport.HeaderSize}
	if wire.CC(code) != wire.CCFlushContext || len(command) < transport.HeaderSize {
		return 0, false
	}
	return wire.Handle(s.u32()), !s.bad
}

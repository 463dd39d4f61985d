package faults

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// guests are the objects and sessions that faults have put into the TPM.
type guests struct {
	some  atomic.Bool // there may be any
	mu    sync.Mutex
	rules []*rule // in the order in which they put the first one there
	of    map[*rule][]wire.Handle
}

func (g *guests) add(r *rule, h wire.Handle) {
	g.mu.Lock()
	defer g.mu.Unlock()
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

// clear notes that power has gone, and all guests with it.
func (g *guests) clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules, g.of = nil, nil
	g.some.Store(false)
}

package faults_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// This file plays actors in every order of their steps. Nothing is left to the scheduler
// of the runtime: one actor goes one step at a time, and a turn ends when all of them wait.
//
// A play that comes to a state in which an earlier one has been is not played on: what
// follows is the same. So every order is explored, and few are played to their end.

// actor is something that happens, in steps.
type actor struct {
	name string
	act  func(p *play)
	// sleep is the time that passes after act, before anybody else goes on.
	sleep time.Duration
	// alone keeps it from plays with another one beside the command.
	alone bool

	turn         chan struct{}
	point        string // where it is parked, or was
	steps        int    // how often it has parked
	parked, over bool
}

// stage is where actors play.
type stage struct {
	actors []*actor
	mu     sync.Mutex
	// running is the actor whose turn it is, turns are the names of the actors and where they were, in their order.
	running *actor
	turns   []string
	free    bool // nobody parks any more
}

// now is the number of the turn. Whoever goes on because time has passed, and
// not because the scheduler let him, must ask it before he writes anything down.
func (s *stage) now() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.turns)
}

// note adds the number of the turn to a list.
func (s *stage) note(turns *[]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*turns = append(*turns, len(s.turns))
}

// next begins the turn of an actor.
func (s *stage) next(a *actor) {
	s.mu.Lock()
	s.running = a
	s.turns = append(s.turns, a.name+" from "+a.point)
	s.mu.Unlock()
	a.turn <- struct{}{}
	synctest.Wait()
	time.Sleep(a.sleep)
}

// step parks the actor whose turn it is.
func (s *stage) step(point string) {
	s.mu.Lock()
	a := s.running
	s.mu.Unlock()
	s.park(a, point)
}

// park parks an actor that calls it, in its turn or because somebody has let it go on.
func (s *stage) park(a *actor, point string) {
	s.mu.Lock()
	if a == nil || s.free {
		s.mu.Unlock()
		return
	}
	a.point, a.parked = point, true
	a.steps++
	s.mu.Unlock()
	<-a.turn
	s.mu.Lock()
	defer s.mu.Unlock()
	a.parked = false
}

// who returns the first of the actors with these names, nil if there is none.
func (s *stage) who(names ...string) *actor {
	for _, name := range names {
		for _, a := range s.actors {
			if a.name == name {
				return a
			}
		}
	}
	return nil
}

// begin has every actor wait for its first turn.
func (p *play) begin(cast []actor) {
	for _, a := range cast {
		a.turn, a.point = make(chan struct{}), "begin"
		p.actors = append(p.actors, &a)
		go func() {
			p.park(&a, "begin")
			a.act(p)
			p.mu.Lock()
			defer p.mu.Unlock()
			a.over = true
		}()
	}
}

// able returns the actors that can go on, once nobody does.
func (p *play) able() (able []*actor) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.actors {
		if a.parked && !a.over {
			able = append(able, a)
		}
	}
	return able
}

// dismiss lets every actor go on to its end.
func (p *play) dismiss() {
	p.mu.Lock()
	p.free, p.running = true, nil
	for _, a := range p.actors {
		close(a.turn)
	}
	p.mu.Unlock()
	p.cancel()
	synctest.Wait()
}

// node is a state that plays have come to: what each actor that is able leads to.
type node struct {
	next   []string
	orders uint64 // from here to the end, once counted
}

// graph is what has been explored of a cast.
type graph struct {
	cast  []actor
	nodes map[string]*node
	first string // the state at the beginning
	plays int
}

// branch is an order to be played: the choices, and then always the first.
type branch struct {
	choices []int
	state   *string // where the state is written that the choices lead to
}

// play plays an order and returns those that branch off after its choices.
func (g *graph) play(t *testing.T, order branch) (branches []branch) {
	p := newPlay(t, g.cast)
	g.plays++
	defer p.dismiss() // nobody may be left in the bubble
	defer func() {
		if t.Failed() {
			t.Log("order:", strings.Join(p.turns, ", "))
		}
	}()
	for turn := 0; ; turn++ {
		able, choice := p.able(), 0
		if turn < len(order.choices) {
			choice = order.choices[turn] // where an order has been played before
		} else {
			state := p.state()
			*order.state = state
			if g.nodes[state] != nil {
				return branches
			}
			n := &node{next: make([]string, len(able))}
			g.nodes[state] = n
			if len(able) == 0 {
				p.check(t)
				return branches
			}
			for c := 1; c < len(able); c++ {
				branches = append(branches, branch{append(slices.Clone(order.choices), c), &n.next[c]})
			}
			order = branch{append(order.choices, 0), &n.next[0]}
		}
		p.next(able[choice])
	}
}

// orders returns how many orders there are from a state to the end.
func (g *graph) orders(state string) uint64 {
	n := g.nodes[state]
	if n.orders == 0 && len(n.next) == 0 {
		n.orders = 1
	}
	if n.orders == 0 {
		for _, next := range n.next {
			n.orders += g.orders(next)
		}
	}
	return n.orders
}

// explore plays a cast until every order has been explored.
func explore(t *testing.T, cast ...actor) *graph {
	g := &graph{cast: cast, nodes: make(map[string]*node)}
	synctest.Test(t, func(t *testing.T) {
		for todo := []branch{{state: &g.first}}; len(todo) > 0 && !t.Failed(); {
			order := todo[len(todo)-1]
			todo = append(todo[:len(todo)-1], g.play(t, order)...)
		}
	})
	return g
}

package faults

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/transport"
)

// rule is a Rule in force, with what it counts.
type rule struct {
	Rule
	name     string
	fault    Fault
	text     string // of the fault
	seed     uint64 // of the plan and the name
	after    *rule  // of When.After
	cause    *rule  // of a fault that lasts: the rule that began it
	born     uint64 // of a fault that lasts: how often power had been switched when it began
	fitted   atomic.Uint64
	hits     atomic.Uint64
	disabled atomic.Bool

	mu     sync.Mutex
	memory any // of the fault; see remember
}

// remember lets do work with what the fault of the present rule remembers from command to
// command: a T, which is zero at first. A fault that lasts shares it with the one that began
// it.
func remember[T any](x *exchange, do func(memory *T)) {
	r := x.rule
	if r.cause != nil {
		r = r.cause
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	memory, ok := r.memory.(*T)
	if !ok {
		memory = new(T)
		r.memory = memory
	}
	do(memory)
}

// off reports whether the rule is disabled.
func (r *rule) off() bool { return r.disabled.Load() || r.cause != nil && r.cause.disabled.Load() }

// What chance is drawn for. Each has numbers of its own.
const (
	drawChance = iota // whether the rule fires
	drawFault         // what its fault does
)

// random returns numbers for the n-th command that the rule is for.
func (r *rule) random(n uint64, draw uint64) *rand.Rand {
	return rand.New(rand.NewPCG(r.seed, n<<1|draw))
}

// fires counts a command that fits and reports whether the rule decides about it. n is
// the command's number among those that fit.
func (r *rule) fires() (n uint64, fires bool) {
	n = r.fitted.Add(1)
	if !r.When.counted(n) || r.When.Chance != 0 && r.random(n, drawChance).Float64() >= r.When.Chance {
		return n, false
	}
	hit := r.hits.Add(1)
	if r.When.Times > 0 && hit > uint64(r.When.Times) {
		r.hits.Add(^uint64(0))
		return n, false
	}
	return n, true
}

// candidates are rules that may be for a command, in order.
type candidates []*rule

// next returns the index of the first candidate, from one on, that all but its counting
// fields admit, and where the boot stands; -1 if there is none.
func (c candidates) next(x *exchange, from int) (at int, now place) {
	if from >= len(c) {
		return -1, now
	}
	now = placeOf(x.layer.clock)
	for at = from; at < len(c); at++ {
		r := c[at]
		if r.off() || r.cause != nil && r.born != x.layer.seam.switched.Load() ||
			r.after != nil && r.after.hits.Load() == 0 || !r.When.fits(x, now) {
			continue
		}
		return at, now
	}
	return -1, now
}

// inForce reports whether a rule may decide where the boot stands at now. Send asks before
// it builds an exchange.
func (c candidates) inForce(now place) bool {
	for _, r := range c {
		if r.When.inForce(now) {
			return true
		}
	}
	return false
}

// ruleSet is the rules in force at a time. It does not change; the counts of its rules do.
type ruleSet struct {
	rules candidates
	// byCode has the rules for commands that some rule lists, others those for the rest.
	byCode map[uint32]candidates
	others candidates
	atInit candidates // for _TPM_Init
}

// newRuleSet makes rules of a plan. Those of kept are taken over with their counts, and
// come first.
func newRuleSet(rules []Rule, seed uint64, kept candidates) *ruleSet {
	s := &ruleSet{rules: append(candidates(nil), kept...), byCode: make(map[uint32]candidates)}
	for i := range rules {
		r := &rule{Rule: rules[i], name: rules[i].name(), fault: rules[i].fault()}
		r.text = r.fault.String()
		h := fnv.New64a()
		_, _ = h.Write([]byte(r.name))
		r.seed = seed ^ h.Sum64()
		s.rules = append(s.rules, r)
	}
	byName := make(map[string]*rule, len(s.rules))
	for _, r := range s.rules {
		byName[r.name] = r
		for _, code := range r.When.Commands {
			s.byCode[code] = nil
		}
	}
	for _, r := range s.rules {
		if r.When.After != "" && r.after == nil {
			r.after = byName[r.When.After]
		}
		if len(r.When.Commands) == 0 {
			s.others = append(s.others, r)
			for code := range s.byCode {
				s.byCode[code] = append(s.byCode[code], r)
			}
			continue
		}
		for i, code := range r.When.Commands {
			if !seenBefore(r.When.Commands, i) {
				s.byCode[code] = append(s.byCode[code], r)
			}
		}
	}
	s.atInit = slices.DeleteFunc(s.byCode[InitSignal], func(r *rule) bool { return !r.When.atInit() })
	delete(s.byCode, InitSignal) // no command of a client is it, whatever its code
	return s
}

// seenBefore reports whether the code with an index stands before it too.
func seenBefore(codes []uint32, index int) bool {
	for _, code := range codes[:index] {
		if code == codes[index] {
			return true
		}
	}
	return false
}

// candidates returns the rules that may be for a command.
func (s *ruleSet) candidates(command []byte) candidates {
	if len(s.byCode) == 0 {
		return s.others
	}
	code, ok := transport.CommandCode(command)
	if !ok {
		return s.others
	}
	if c, listed := s.byCode[code]; listed {
		return c
	}
	return s.others
}

package campaign

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Draw says how plans are drawn. The same Draw gives the same plan for the same seed.
//
// A plan gets one rule, with a probability of two thirds another one, and so on, up to
// Rules. The kind of a rule is any of Kinds, each as often as the others. What the rule is
// for is drawn so:
//
//	commands    one of Targets (70 of 100), two (15), every command (15); half of the
//	            rules of other kinds than rc keep the commands of the kind's example, if
//	            one of them is a target
//	which       the n-th (50), from the n-th on (10), a range of 2 to 8 (10), every k-th
//	            from 2 to 4 (8), each with a chance of 5, 10, 25 or 50 percent (10), all
//	            (12); of response codes that tell the client to send the command again the
//	            n-th (25) and a range (35), because such a client mostly does
//	times=      one to three (10), of rules that may fire more than once
//	level=      from a level to another or without end (50), only with Levels
//	pcr=        of PCR_Extend, PCR_Read, PCR_Event and PCR_Reset (20)
//
// A response code is one of those that tell the client to send the command again (half of
// them), or one of others that a TPM has for any command. A time is one of 5 ms, 20 ms,
// 100 ms, 500 ms and 2 s; with Virtual one of 20 ms to 150 s. Of a kind whose value is one of some words it is mostly any of them. Other
// values are those of the kind's example, numbers also the double, the half, 1 and 2.
//
// A rule that the plan cannot have (Plan.Validate) is drawn again.
type Draw struct {
	// Seed is that of the campaign.
	Seed uint64
	// Rules is the most rules that are drawn for a plan; 0 is DefaultRules.
	Rules int
	// Kinds are the words of the kinds of faults (faults.Kind); none are all but pass,
	// and but the dangerous ones unless Given is Dangerous.
	Kinds []string
	// Targets are the commands that rules are for; none are DefaultTargets.
	Targets []Target
	// Levels has rules for a part of the boot.
	Levels bool
	// Virtual has times that only somebody in a time of its own waits for, such as a
	// simulated boot.
	Virtual bool
	// Given is the plan that every run has, to which rules are added: its own rules come
	// first, and its other fields say what the rules can rely on.
	Given faults.Plan
}

// Target is a command that rules are for.
type Target struct {
	Code wire.CC
	// Count is how often it is sent: no rule is for a later one. 0 is not known: then it is
	// taken for 8.
	Count int
}

// Bounds of a Draw.
const (
	DefaultRules = 4
	MaxRules     = 100
	unknownCount = 8
	maxRedraws   = 40 // of one rule
)

// DefaultTargets are the commands that clients of a TPM send most.
func DefaultTargets() []Target {
	var list []Target
	for _, name := range []string{
		"GetCapability", "GetRandom", "SelfTest", "Startup", "PCR_Read", "PCR_Extend", "CreatePrimary", "Create", "Load",
		"StartAuthSession", "FlushContext", "ContextSave", "ContextLoad", "ReadPublic", "Sign", "Quote", "Unseal",
		"NV_DefineSpace", "NV_ReadPublic", "NV_Read", "NV_Write", "PolicyPCR", "EvictControl",
	} {
		code, _ := wire.CommandByName(name)
		list = append(list, Target{Code: code})
	}
	return list
}

// DrawError says why no plan can be drawn.
type DrawError struct {
	Reason string
}

func (e *DrawError) Error() string { return "no plan can be drawn: " + e.Reason }

// pool is what one Draw draws from. It does not change: several goroutines may use it.
type pool struct {
	*Draw
	rules   int
	kinds   []drawnKind
	targets []Target
}

// drawnKind is a kind with its example as a rule.
type drawnKind struct {
	faults.Kind
	example faults.Rule
}

// pool returns what there is to draw from, a *DrawError, or the *faults.PlanError of Given.
func (d *Draw) pool() (*pool, error) {
	if err := d.Given.Validate(); err != nil {
		return nil, err
	}
	p := &pool{Draw: d, rules: d.Rules, targets: d.Targets}
	if p.rules == 0 {
		p.rules = DefaultRules
	}
	if p.rules < 0 || p.rules > MaxRules {
		return nil, &DrawError{fmt.Sprintf("%d rules are not from 1 to %d", p.rules, MaxRules)}
	}
	if len(p.targets) == 0 {
		p.targets = DefaultTargets()
	}
	var words []string
	for _, k := range faults.Kinds() {
		words = append(words, k.Word)
		switch {
		case slices.Contains(d.Kinds, k.Word):
			if k.Dangerous != "" && !d.Given.Dangerous {
				return nil, &DrawError{fmt.Sprintf("%s leaves the protocol (%s): it needs Plan.Dangerous, or --dangerous", k.Word, k.Dangerous)}
			}
		case len(d.Kinds) > 0 || k.Word == "pass" || k.Dangerous != "" && !d.Given.Dangerous:
			continue
		}
		example, err := faults.ParseRule(k.Example)
		if err != nil {
			return nil, fmt.Errorf("example of %s: %w", k.Word, err)
		}
		p.kinds = append(p.kinds, drawnKind{k, example})
	}
	for _, word := range d.Kinds {
		if !slices.Contains(words, word) {
			return nil, &DrawError{fmt.Sprintf("there is no kind of faults %q; the kinds are %s", word, strings.Join(words, ", "))}
		}
	}
	return p, nil
}

// Plan draws the plan of a seed. The error is a *DrawError, or the *faults.PlanError of
// Given.
func (d *Draw) Plan(seed uint64) (faults.Plan, error) {
	p, err := d.pool()
	if err != nil {
		return d.Given, err
	}
	return p.plan(seed)
}

// plan draws the plan of a seed.
func (p *pool) plan(seed uint64) (faults.Plan, error) {
	plan := p.Given
	r := rand.New(rand.NewPCG(p.Seed, seed))
	plan.Seed = 1 + r.Uint64N(1<<32-1)
	plan.Rules = slices.Clip(slices.Clone(plan.Rules))
	given := len(plan.Rules)
	var last error
	for range maxRedraws {
		next := plan
		next.Rules = append(plan.Rules[:len(plan.Rules):len(plan.Rules)], p.rule(r))
		if err := next.Validate(); err != nil {
			last = err
			continue
		}
		plan = next
		if len(plan.Rules)-given == p.rules || r.IntN(3) == 0 {
			return plan, nil
		}
	}
	if len(plan.Rules) > given {
		return plan, nil
	}
	return plan, &DrawError{fmt.Sprintf("of %d rules none can be had: %v", maxRedraws, last)}
}

// rule draws a rule.
func (p *pool) rule(r *rand.Rand) faults.Rule {
	kind := &p.kinds[r.IntN(len(p.kinds))]
	do := p.fault(r, kind)
	repeated := slices.ContainsFunc(again, func(name string) bool { return do.String() == "rc=TPM_RC_"+name })
	return faults.Rule{When: p.when(r, kind, repeated), Do: do}
}

// again and others are the response codes that are drawn: those after which a client sends
// the command once more, and those that a TPM may have for any command (TPM 2.0 Library
// Part 2, section "TPM_RC").
var (
	again = []string{"RETRY", "YIELDED", "TESTING", "NV_RATE"}
	// NV_UNAVAILABLE is one of these: Part 1 has the client try again, and few do.
	others = []string{"FAILURE", "INITIALIZE", "LOCKOUT", "NV_UNAVAILABLE", "OBJECT_MEMORY", "SESSION_MEMORY", "MEMORY",
		"CONTEXT_GAP", "REBOOT", "CANCELED", "SESSION_HANDLES", "OBJECT_HANDLES", "NV_SPACE"}
)

// shortTimes are those that a client waits for, longTimes those of a boot in a time of its
// own.
var (
	shortTimes = []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second}
	longTimes  = []time.Duration{20 * time.Millisecond, 750 * time.Millisecond, 3 * time.Second, 30 * time.Second, 150 * time.Second}
)

// fault draws what a rule of a kind does.
func (p *pool) fault(r *rand.Rand, kind *drawnKind) faults.Fault {
	example := kind.example.Do
	_, value, _ := strings.Cut(example.String(), "=")
	words := choices(kind.Value)
	switch number, err := strconv.ParseUint(value, 10, 31); {
	case kind.Value == "":
		return example
	case len(words) > 0 && r.IntN(4) > 0:
		value = words[r.IntN(len(words))]
	case kind.Word == "rc":
		codes := again
		if r.IntN(2) == 0 {
			codes = others
		}
		value = codes[r.IntN(len(codes))]
	case err == nil:
		value = strconv.FormatUint([]uint64{number, 2 * number, number / 2, 1, 2}[r.IntN(5)], 10)
	default:
		if _, err := time.ParseDuration(value); err == nil {
			times := shortTimes
			if p.Virtual {
				times = longTimes
			}
			value = times[r.IntN(len(times))].String()
		}
	}
	drawn, err := faults.ParseFault(kind.Word + "=" + value)
	if err != nil {
		return example
	}
	return drawn
}

// choices are the words of which a kind's value is one: fail and short of "fail|short|N".
func choices(shape string) (words []string) {
	for word := range strings.SplitSeq(strings.Trim(shape, "[]"), "|") {
		if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz-") == "" {
			words = append(words, word)
		}
	}
	return words
}

// when draws what a rule is for. Repeated tells that clients send the command again.
func (p *pool) when(r *rand.Rand, kind *drawnKind, repeated bool) faults.When {
	var w faults.When
	example := &kind.example.When
	most := 0
	if kind.Word != "rc" && p.sends(example.Commands) && r.IntN(2) == 0 {
		w.Commands, w.Sessions = example.Commands, example.Sessions
		for _, code := range w.Commands {
			most = max(most, p.count(code))
		}
	} else if chance := r.IntN(100); chance < 85 {
		first := p.targets[r.IntN(len(p.targets))]
		w.Commands = []uint32{uint32(first.Code)}
		most = p.count(uint32(first.Code))
		if second := p.targets[r.IntN(len(p.targets))]; chance >= 70 && second.Code != first.Code {
			w.Commands = append(w.Commands, uint32(second.Code))
			most += p.count(uint32(second.Code))
		}
	} else {
		for _, t := range p.targets {
			most += p.count(uint32(t.Code))
		}
	}
	which(r, &w, max(most, 1), repeated)
	if p.Levels && r.IntN(2) == 0 {
		levels(r, &w)
	}
	if hasPCRs(w.Commands) && r.IntN(5) == 0 {
		w.PCRs = []int{[]int{0, 4, 7, 10, 16}[r.IntN(5)]}
	}
	return w
}

// sends reports whether one of the commands is a target.
func (p *pool) sends(codes []uint32) bool {
	return slices.ContainsFunc(p.targets, func(t Target) bool { return slices.Contains(codes, uint32(t.Code)) })
}

// count returns how often a command is sent.
func (p *pool) count(code uint32) int {
	for _, t := range p.targets {
		if uint32(t.Code) == code && t.Count > 0 {
			return t.Count
		}
	}
	return unknownCount
}

// which draws which of at most so many commands a rule decides about.
func which(r *rand.Rand, w *faults.When, most int, repeated bool) {
	alone := 50
	if repeated {
		alone = 25
	}
	switch chance := r.IntN(100); {
	case chance < alone:
		w.First = 1 + r.IntN(most)
		w.Last = w.First
		return
	case chance < 60:
		w.First = 1 + r.IntN(most)
		w.Last = w.First + 1 + r.IntN(7)
	case chance < 70:
		w.First = 1 + r.IntN(most)
	case chance < 78:
		w.Every = 2 + r.IntN(3)
	case chance < 88:
		w.Chance = []float64{0.05, 0.1, 0.25, 0.5}[r.IntN(4)]
	}
	if r.IntN(10) == 0 {
		w.Times = 1 + r.IntN(3)
	}
}

// levels draws the part of the boot in which a rule is in force.
func levels(r *rand.Rand, w *faults.When) {
	all := initcall.Levels()
	from := 1 + r.IntN(len(all)-1) // not firmware
	w.From = all[from]
	if until := from + 1 + r.IntN(len(all)-from); until < len(all) {
		w.Until = all[until]
	}
}

// hasPCRs reports whether commands are about PCRs, and nothing else.
func hasPCRs(codes []uint32) bool {
	for _, code := range codes {
		switch wire.CC(code) {
		case wire.CCPCRRead, wire.CCPCRExtend, wire.CCPCREvent, wire.CCPCRReset:
		default:
			return false
		}
	}
	return len(codes) > 0
}

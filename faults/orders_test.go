package faults_test

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// This file plays a command that is held, and whatever ends holds, in every
// order of their steps. Nothing is left to the scheduler of the runtime: one
// actor goes one step at a time, and a turn ends when all of them wait.

// holdMax is how long the rule of the play holds, in the time of the bubble.
const holdMax = 7 * time.Second

// actor is something that happens, in steps.
type actor struct {
	name string
	act  func(p *play, step func())

	turn         chan struct{}
	parked, over bool
}

// play is one order of the steps.
type play struct {
	clock  *initcall.Clock
	device transport.Device
	chip   *steppedChip
	ctx    context.Context
	cancel context.CancelFunc

	actors []*actor
	// step parks the command or the switch of power that takes it.
	commandStep, powerStep func()
	mu                     sync.Mutex
	turns                  []string // names of the actors, in their order
	journal                []faults.Decision
	answer                 string

	came, waits, passed, answered int // turns of the command, 0: not yet
	inForce, powered              bool
	began, changed, ended         []int // turns of the switching of power
	cancels                       []int
	levels                        []int // turns in which the rule went out of force
	boots                         []int // turns in which a boot began
	slept                         []int // turns in which the longest hold passed
	gone                          bool
}

// now is the number of the turn. Whoever goes on because time has passed, and
// not because the scheduler let him, must ask it before he writes anything down.
func (p *play) now() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.turns)
}

func (p *play) nextTurn(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turns = append(p.turns, name)
}

// steppedChip parks whoever asks for its power or switches it.
type steppedChip struct {
	chip
	p *play
}

func (c *steppedChip) Powered() bool {
	powered := c.chip.Powered()
	c.p.powered = powered
	c.p.commandStep()
	return powered
}

func (c *steppedChip) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	c.p.passed = c.p.now()
	return c.chip.Send(ctx, locality, command)
}

func (c *steppedChip) Init() error     { return c.change(c.chip.Init) }
func (c *steppedChip) PowerOff() error { return c.change(c.chip.PowerOff) }

func (c *steppedChip) change(f func() error) error {
	step := c.p.powerStep
	step()
	err := f()
	c.p.changed = append(c.p.changed, c.p.now())
	step()
	return err
}

// The actors besides the command.
var ends = []actor{
	{name: "power off", act: func(p *play, step func()) { p.switchPower(step, transport.Power.PowerOff) }},
	{name: "init", act: func(p *play, step func()) { p.switchPower(step, transport.Power.Init) }},
	{name: "off and on", act: func(p *play, step func()) {
		p.switchPower(step, transport.Power.PowerOff)
		p.switchPower(step, transport.Power.Init)
	}},
	{name: "cancel", act: func(p *play, _ func()) {
		p.cancels = append(p.cancels, p.now())
		canceler, _ := transport.As[transport.Canceler](p.device)
		canceler.Cancel()
	}},
	{name: "level", act: func(p *play, step func()) {
		_ = p.clock.Advance(initcall.Late, 0, "test") // still in force
		step()
		_ = p.clock.Advance(initcall.LateSync, 0, "test")
	}},
	{name: "new boot", act: func(p *play, step func()) {
		p.clock.NewBoot("test")
		step()
		_ = p.clock.Advance(initcall.Device, 0, "test") // in force again
	}},
	{name: "sender", act: func(p *play, _ func()) {
		p.gone = true
		p.cancel()
	}},
	{name: "maximum"}, // the scheduler's own, see next
}

func (p *play) switchPower(step func(), change func(transport.Power) error) {
	p.powerStep = step
	power, _ := transport.As[transport.Power](p.device)
	p.began = append(p.began, p.now())
	_ = change(power)
	p.ended = append(p.ended, p.now())
}

// command is the actor that is held, by the device or in a time of its own.
func command(ownTime bool) actor {
	return actor{name: "command", act: func(p *play, step func()) {
		p.commandStep = step
		p.came = p.now()
		now := p.clock.Now()
		p.inForce = now.Level >= initcall.Kernel && now.Level < initcall.LateSync
		ctx := p.ctx
		if ownTime {
			ctx = transport.WithWait(ctx, p.wait)
		}
		response, err := p.device.Send(ctx, 0, selfTest)
		p.answer = hex.EncodeToString(response)
		if err != nil {
			p.answer = err.Error()
		}
		p.answered = p.now()
	}}
}

// wait is the transport.Wait of a sender with a time of its own.
func (p *play) wait(let <-chan struct{}, longest time.Duration) bool {
	expiry := time.NewTimer(longest)
	defer expiry.Stop()
	select {
	case <-let:
		return true
	case <-expiry.C:
	case <-p.ctx.Done():
	}
	return false
}

// newPlay sets the stage in a bubble: a TPM with power that is deferred until
// late_sync, in a boot that has come to device.
func newPlay(t *testing.T, cast []actor) *play {
	p := &play{clock: new(initcall.Clock)}
	p.chip = &steppedChip{p: p}
	require.NoError(t, p.clock.Advance(initcall.Device, 0, "test"))
	rule := faults.Defer(initcall.LateSync, faults.Hold)
	rule.Do = faults.HoldBack{Max: holdMax}
	p.device = wrap(t, p.chip, faults.Plan{
		Clock: p.clock, Rules: []faults.Rule{rule},
		Journal: func(d faults.Decision) {
			p.journal = append(p.journal, d)
			if d.Outcome == faults.Held {
				p.commandStep()
				p.waits = p.now()
			}
		},
	})
	p.clock.Subscribe(func(e initcall.Event) {
		if e.Level == initcall.Firmware {
			p.boots = append(p.boots, p.now())
		} else if !rule.When.InForce(e) {
			p.levels = append(p.levels, p.now())
		}
	})
	p.ctx, p.cancel = context.WithCancel(t.Context())
	for _, a := range cast {
		a.turn = make(chan struct{})
		p.actors = append(p.actors, &a)
	}
	return p
}

// run plays the order that choices describes: at each turn, which of the actors
// that can go on does. Where choices ends it is the first. run returns the
// choices made, and how many there were at each turn.
func (p *play) run(choices []int) (made, of []int) {
	for _, a := range p.actors {
		step := func() {
			a.parked = true
			<-a.turn
			a.parked = false
		}
		a.parked = true
		if a.act != nil {
			go func() {
				<-a.turn
				a.parked = false
				a.act(p, step)
				a.over = true
			}()
		}
	}
	for {
		synctest.Wait()
		var able []*actor
		for _, a := range p.actors {
			if a.parked && !a.over {
				able = append(able, a)
			}
		}
		if len(able) == 0 {
			return made, of
		}
		choice := 0
		if len(made) < len(choices) {
			choice = choices[len(made)]
		}
		made, of = append(made, choice), append(of, len(able))
		p.next(able[choice])
	}
}

func (p *play) next(a *actor) {
	p.nextTurn(a.name)
	if a.act != nil {
		a.turn <- struct{}{}
		return
	}
	a.over = true
	p.slept = append(p.slept, p.now())
	time.Sleep(holdMax)
}

// after reports whether one of turns comes after turn, and not after last
// unless that is 0.
func after(turns []int, turn, last int) bool {
	for _, t := range turns {
		if t > turn && (last == 0 || t <= last) {
			return true
		}
	}
	return false
}

// check holds what came of the command against what happened to it.
func (p *play) check(t *testing.T) {
	if p.answered == 0 {
		for name, turns := range map[string][]int{
			"reset": p.ended, "cancel": p.cancels, "new boot": p.boots, "level": p.levels,
		} {
			require.False(t, after(turns, p.came, 0), "nobody lets the command go, in spite of a %s after it came", name)
		}
		require.False(t, p.gone, "nobody lets the command go, though its sender has gone")
		require.False(t, after(p.slept, p.waits, 0), "nobody lets the command go at its maximum")
		p.nextTurn("maximum at last")
		p.slept = append(p.slept, p.now())
		time.Sleep(holdMax)
		synctest.Wait()
		require.NotZero(t, p.answered, "held for longer than its maximum")
	}
	if !p.inForce || !p.powered {
		require.Empty(t, p.journal, "a command that the plan has no business with")
		return
	}
	require.Len(t, p.journal, 2)
	require.Equal(t, faults.Held, p.journal[0].Outcome)
	p.checkEnd(t, &p.journal[1])
}

func (p *play) checkEnd(t *testing.T, end *faults.Decision) {
	reset := after(p.boots, p.came, p.answered)
	for i, began := range p.began {
		reset = reset || began <= p.answered && (i >= len(p.ended) || p.ended[i] >= p.came)
	}
	canceled := after(p.cancels, p.came, p.answered)
	expired := after(p.slept, p.waits, p.answered)
	answer := p.answer
	switch end.Outcome {
	case faults.Reset:
		require.True(t, reset)
		require.Equal(t, "80010000000a00000101", answer)
	case faults.Canceled:
		require.True(t, canceled)
		require.Equal(t, "80010000000a00000909", answer)
	case faults.Gone:
		require.True(t, p.gone)
		require.Equal(t, context.Canceled.Error(), answer)
	case faults.Released:
		require.True(t, after(p.levels, p.came, p.answered))
	case faults.Expired:
		require.True(t, expired)
	default:
		require.Fail(t, "no end of a hold", "%s", end.Outcome)
	}
	if end.Outcome == faults.Released || end.Outcome == faults.Expired {
		require.NotZero(t, p.passed)
		for name, turns := range map[string][]int{"reset": p.changed, "new boot": p.boots, "cancel": p.cancels} {
			require.False(t, after(turns, p.came, p.passed), "executed after a %s that came after it", name)
		}
		require.Equal(t, success, answer)
	} else {
		require.Zero(t, p.passed, "the TPM has executed it")
	}
	require.NotEmpty(t, end.Cause)
	if !expired && !after(p.slept, p.came, p.answered) {
		require.Zero(t, end.HeldFor)
	}
}

// all plays every order of the steps of cast and says how many there are.
func all(t *testing.T, cast ...actor) (orders int) {
	synctest.Test(t, func(t *testing.T) {
		for choices := []int{}; choices != nil; orders++ {
			p := newPlay(t, cast)
			made, of := p.run(choices)
			func() {
				defer p.cancel() // nobody may be left in the bubble
				defer func() {
					if t.Failed() {
						t.Log("order:", strings.Join(p.turns, ", "))
					}
				}()
				p.check(t)
			}()
			choices = nextOrder(made, of)
		}
	})
	return orders
}

// nextOrder is the order after the one of made, nil if that was the last.
func nextOrder(made, of []int) []int {
	for i := len(made) - 1; i >= 0; i-- {
		if made[i]+1 < of[i] {
			return append(made[:i:i], made[i]+1)
		}
	}
	return nil
}

func TestWhoeverCameBeforeTheEndOfAHoldIsLetGoInEveryOrder(t *testing.T) {
	for name, ownTime := range map[string]bool{"waits in the device": false, "waits by itself": true} {
		t.Run(name, func(t *testing.T) {
			orders := 0
			for i, first := range ends {
				orders += all(t, command(ownTime), first)
				for _, second := range ends[i+1:] {
					orders += all(t, command(ownTime), first, second)
				}
			}
			t.Log(orders, "orders")
			assert.Greater(t, orders, 1000)
		})
	}
}

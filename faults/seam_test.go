package faults_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// The model: one command that a rule holds, another one that no rule is for, and all
// that can happen to them.

// holdMax is how long the rule of the play holds, in the time of the bubble.
const holdMax = 7 * time.Second

// play is one order of the steps.
type play struct {
	stage
	clock  *initcall.Clock
	device transport.Device
	layer  *faults.Layer
	chip   *steppedChip
	ctx    context.Context
	cancel context.CancelFunc

	journal []faults.Decision
	answer  string
	eras    []any  // of the commands
	held    any    // the hold
	asked   string // where the boot stood when the rule was asked

	// Turns of the command, 0: not yet. waits is when the journal heard of the hold.
	// sameBoot is when the layer looked for a new boot, entered when it sent the command on.
	came, waits, sameBoot, entered, passed, answered int
	inForce, powered                                 bool
	// Turns of the command that no rule is for.
	otherCame, otherPassed int
	otherAnswer            string

	began, changed, ended []int // turns of the switching of power
	cancels               []int
	asserted, taken       []int // turns of the cancel signal
	levels                []int // turns in which the rule went out of force
	withdrawn             []int // turns in which it was switched off or removed
	boots                 []int // turns in which a boot began
	slept                 []int // turns in which the longest hold passed
	gone                  bool
}

// steppedChip parks whoever asks for its power, switches it or sends.
type steppedChip struct {
	chip
	p *play
}

func (c *steppedChip) Powered() bool {
	powered := c.chip.Powered()
	c.p.powered = powered
	c.p.step("asked for power")
	return powered
}

func (c *steppedChip) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if len(command) == len(selfTest) {
		c.p.entered = c.p.now()
	}
	c.p.step("in the device")
	if len(command) == len(selfTest) {
		c.p.passed = c.p.now()
	} else {
		c.p.otherPassed = c.p.now()
	}
	defer c.p.step("executed")
	return c.chip.Send(ctx, locality, command)
}

func (c *steppedChip) Init() error {
	return c.change(c.chip.Init, c.p.who("init", "off and on"))
}

func (c *steppedChip) PowerOff() error {
	return c.change(c.chip.PowerOff, c.p.who("power off", "off and on"))
}

func (c *steppedChip) change(f func() error, who *actor) error {
	c.p.park(who, "changes power") // it may have waited for commands
	err := f()
	c.p.note(&c.p.changed)
	c.p.step("has changed power")
	return err
}

func (p *play) switchPower(change func(transport.Power) error) {
	power, _ := transport.As[transport.Power](p.device)
	p.note(&p.began)
	_ = change(power)
	p.note(&p.ended)
}

// The actors besides the command.
var ends = []actor{
	{name: "power off", act: func(p *play) { p.switchPower(transport.Power.PowerOff) }},
	{name: "init", act: func(p *play) { p.switchPower(transport.Power.Init) }},
	{name: "off and on", alone: true, act: func(p *play) {
		p.switchPower(transport.Power.PowerOff)
		p.switchPower(transport.Power.Init)
	}},
	{name: "cancel", act: func(p *play) {
		p.note(&p.cancels)
		canceler, _ := transport.As[transport.Canceler](p.device)
		canceler.Cancel()
	}},
	{name: "cancel signal", act: func(p *play) {
		p.note(&p.asserted)
		signal, _ := transport.As[transport.CancelSignal](p.device)
		signal.SetCancel(true)
		p.step("asserted")
		p.note(&p.taken)
		signal.SetCancel(false)
	}},
	{name: "level", act: func(p *play) {
		_ = p.clock.Advance(initcall.Late, 0, "test") // still in force
		p.step("late")
		_ = p.clock.Advance(initcall.LateSync, 0, "test")
	}},
	{name: "new boot", act: func(p *play) {
		p.clock.NewBoot("test")
		p.step("new boot")
		_ = p.clock.Advance(initcall.Device, 0, "test") // in force again
	}},
	{name: "switch", alone: true, act: func(p *play) {
		p.note(&p.withdrawn)
		_ = p.layer.Enable(p.layer.Rules()[0].Name, false)
	}},
	{name: "removal", act: func(p *play) {
		p.note(&p.withdrawn)
		_ = p.layer.Remove(p.layer.Rules()[0].Name)
	}},
	{name: "sender", act: func(p *play) {
		p.gone = true
		p.cancel()
	}},
	{name: "maximum", sleep: holdMax, act: func(p *play) { p.note(&p.slept) }},
}

// other is a command that no rule is for.
var other = actor{name: "other command", act: func(p *play) {
	p.otherCame = p.now()
	response, err := p.device.Send(context.Background(), 0, getRandom)
	p.otherAnswer = answerOf(response, err)
}}

// command is the actor that is held, by the device or in a time of its own.
func command(ownTime bool) actor {
	return actor{name: "command", act: func(p *play) {
		p.came = p.now()
		ctx := p.ctx
		if ownTime {
			ctx = transport.WithWait(ctx, p.wait)
		}
		response, err := p.device.Send(ctx, 0, selfTest)
		p.answer = answerOf(response, err)
		p.answered = p.now()
	}}
}

func answerOf(response []byte, err error) string {
	if err != nil {
		return err.Error()
	}
	return hex.EncodeToString(response)
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
	rule.When.Commands = []uint32{0x143} // selfTest
	rule.Do = faults.HoldBack{Max: holdMax}
	p.device = wrap(t, p.chip, faults.Plan{
		Clock: p.clock, Rules: []faults.Rule{rule},
		Journal: func(d faults.Decision) {
			p.mu.Lock()
			p.journal = append(p.journal, d)
			p.mu.Unlock()
			if d.Outcome == faults.Held {
				p.step("held")
				p.waits = p.now()
			}
		},
	})
	p.layer, _ = faults.Of(p.device)
	p.clock.Subscribe(func(e initcall.Event) {
		if e.Level == initcall.Firmware {
			p.note(&p.boots)
		} else if !rule.When.InForce(e) {
			p.note(&p.levels)
		}
	})
	p.ctx, p.cancel = context.WithCancel(t.Context())
	p.begin(cast)
	faults.SetSteps(p.device, func(point string, about any) { p.point(&rule, point, about) })
	return p
}

// point is a step of the layer.
func (p *play) point(rule *faults.Rule, point string, about any) {
	p.mu.Lock()
	a := p.running
	if point == "let go" {
		a = p.who("command") // in whosoever turn
	}
	if a == nil {
		p.mu.Unlock()
		return
	}
	switch point {
	case "came":
		p.eras = append(p.eras, about)
	case "registered":
		p.held = about
	}
	p.mu.Unlock()
	if a.name == "command" {
		switch now := p.clock.Now(); point {
		case "asked":
			p.inForce = rule.When.InForce(now) && len(p.withdrawn) == 0
			p.asked = fmt.Sprint(now.Boot, now.Level)
		case "same boot":
			p.sameBoot = p.now()
		}
	}
	p.park(a, point)
}

// state returns all that what follows depends on.
func (p *play) state() string {
	state := ""
	for _, a := range p.actors {
		state += fmt.Sprintln(a.point, a.steps, a.parked, a.over)
	}
	now := p.clock.Now()
	outcomes := ""
	for i := range p.journal {
		d := &p.journal[i]
		outcomes += fmt.Sprintln(d.Outcome, d.Cause != "", d.HeldFor == 0)
	}
	return fmt.Sprintln(state, faults.StateOf(p.device, append(p.eras, p.held)...), now.Boot, now.Level, p.chip.chip.Powered(), outcomes,
		p.asked, p.answer, p.otherAnswer, p.came > 0, p.waits > 0, p.sameBoot > 0, p.entered > 0, p.passed > 0, p.answered > 0, p.inForce, p.powered,
		p.otherCame > 0, p.otherPassed > 0, p.gone, p.facts())
}

// facts are what check looks at.
type facts struct {
	// Whether it has happened since the command came, until it was answered.
	reset, canceled, released, expired, slept bool
	// Whether it has happened since the command came, until the TPM executed it.
	changedBefore, bootBefore, canceledBefore, otherChangedBefore bool
	// Whether it lets the command go that nobody has answered.
	late map[string]bool
}

func (p *play) facts() (f facts) {
	f.reset = after(p.boots, p.came, p.answered) || during(p.began, p.ended, p.came, p.answered)
	f.canceled = after(p.cancels, p.came, p.answered) || during(p.asserted, p.taken, p.came, p.answered)
	f.released = after(p.levels, p.came, p.answered) || len(p.withdrawn) > 0
	f.expired = after(p.slept, p.waits, p.answered)
	f.slept = after(p.slept, p.came, p.answered)
	f.changedBefore = p.came > 0 && after(p.changed, p.came, p.passed)
	f.bootBefore = p.sameBoot > 0 && after(p.boots, p.came, p.sameBoot)
	f.canceledBefore = p.came > 0 && (after(p.cancels, p.came, p.entered) || after(p.asserted, p.came, p.entered))
	f.otherChangedBefore = p.otherCame > 0 && after(p.changed, p.otherCame, p.otherPassed)
	f.late = map[string]bool{
		"reset": after(p.ended, p.came, 0), "cancel": after(p.cancels, p.came, 0) || after(p.asserted, p.came, 0),
		"new boot": after(p.boots, p.came, 0), "level": after(p.levels, p.came, 0),
		"end of the rule": len(p.withdrawn) > 0, "sender that has gone": p.gone, "maximum": after(p.slept, p.waits, 0),
	}
	return f
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

// during reports whether something that began and ended in turns lasted between the turn
// came and the turn answered, which is 0 for not yet.
func during(began, ended []int, came, answered int) bool {
	for i, b := range began {
		if (answered == 0 || b <= answered) && (i >= len(ended) || ended[i] >= came) {
			return true
		}
	}
	return false
}

// check holds what came of the commands against what happened to them.
func (p *play) check(t *testing.T) {
	f := p.facts()
	for _, a := range p.actors {
		require.True(t, a.over || a.name == "command", "%s waits for ever", a.name)
	}
	require.False(t, p.otherPassed > 0 && f.otherChangedBefore, "the other command is executed after a reset that came after it")
	if p.who("command") == nil {
		return
	}
	if p.answered == 0 {
		for name, late := range f.late {
			require.False(t, late, "nobody lets the command go, in spite of a %s after it came", name)
		}
		p.turns = append(p.turns, "the maximum at last")
		p.note(&p.slept)
		time.Sleep(holdMax)
		for able := p.able(); len(able) > 0; able = p.able() {
			p.next(able[0])
		}
		require.NotZero(t, p.answered, "held for longer than its maximum")
		f = p.facts()
	}
	if p.passed > 0 {
		require.False(t, f.changedBefore, "executed after a reset that came after it")
		require.False(t, f.bootBefore, "sent on after a new boot that came after it")
		require.False(t, f.canceledBefore, "sent on after a cancel that came after it")
	}
	if !p.inForce || !p.powered {
		require.Empty(t, p.journal, "a command that the plan has no business with")
		return
	}
	require.Len(t, p.journal, 2)
	require.Equal(t, faults.Held, p.journal[0].Outcome)
	p.checkEnd(t, &f, &p.journal[1])
}

func (p *play) checkEnd(t *testing.T, f *facts, end *faults.Decision) {
	switch end.Outcome {
	case faults.Reset:
		require.True(t, f.reset)
		require.Equal(t, "80010000000a00000101", p.answer)
	case faults.Canceled:
		require.True(t, f.canceled)
		require.Equal(t, "80010000000a00000909", p.answer)
	case faults.Gone:
		require.True(t, p.gone)
		require.Equal(t, context.Canceled.Error(), p.answer)
	case faults.Released:
		require.True(t, f.released)
	case faults.Expired:
		require.True(t, f.expired)
	default:
		require.Fail(t, "no end of a hold", "%s", end.Outcome)
	}
	if end.Outcome == faults.Released || end.Outcome == faults.Expired {
		require.NotZero(t, p.passed)
		require.Equal(t, success, p.answer)
	} else {
		require.Zero(t, p.passed, "the TPM has executed it")
	}
	require.NotEmpty(t, end.Cause)
	if !f.slept {
		require.Zero(t, end.HeldFor)
	}
}

func TestNoOrderBreaksTheSeam(t *testing.T) {
	var orders uint64
	states, plays := 0, 0
	play := func(cast ...actor) {
		if t.Failed() {
			return
		}
		g := explore(t, cast...)
		if !t.Failed() {
			orders, states, plays = orders+g.orders(g.first), states+len(g.nodes), plays+g.plays
		}
	}
	held, inItsTime := command(false), command(true)
	for i, first := range ends {
		play(held, first)
		play(inItsTime, first)
		for _, second := range ends[:i] {
			if first.alone || second.alone || short {
				continue
			}
			play(held, second, first)
			play(other, second, first)
		}
	}
	for _, first := range ends {
		play(held, other, first)
	}
	t.Logf("%d orders of steps, %d states, %d plays", orders, states, plays)
	assert.NotZero(t, orders)
}

// Layers above one another have one seam: a command that has come to the upper one before
// a reset does not pass the lower one after it, and what the lower one holds is let go.
func TestTwoLayersHaveOneSeam(t *testing.T) {
	tpm := new(chip)
	lower := wrap(t, tpm, faults.Plan{Clock: new(initcall.Clock), Rules: rules(t, "SelfTest#2: hold")})
	upper := wrap(t, lower, faults.Plan{Rules: rules(t, "name=a GetRandom: pass")})
	power, _ := transport.As[transport.Power](upper)
	for i, at := range []string{"asked", "registered"} {
		faults.SetSteps(upper, func(point string, _ any) {
			if point == at && tpm.inits == i {
				assert.NoError(t, power.Init())
			}
		})
		assert.Equal(t, "80010000000a00000101", send(t, upper, selfTest), at)
	}
	faults.SetSteps(upper, nil)
	assert.Equal(t, 2, tpm.inits)
	assert.Zero(t, tpm.commands)
	assert.Equal(t, success, send(t, upper, selfTest))
}

package faults_test

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// chip is a device that answers success to everything and counts.
type chip struct {
	mu       sync.Mutex
	off      bool
	commands int
	canceled int
	inits    int
}

func (c *chip) Send(context.Context, uint8, []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return nil, errors.New("no power")
	}
	c.commands++
	return unhex("80010000000a00000000"), nil
}

func (c *chip) Init() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = false
	c.inits++
	return nil
}

func (c *chip) PowerOff() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
	return nil
}

func (c *chip) Powered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.off
}

func (c *chip) Cancel() { c.canceled++ }

// bare is a device without any of the optional interfaces.
type bare struct{ sent int }

func (b *bare) Send(context.Context, uint8, []byte) ([]byte, error) {
	b.sent++
	return unhex("80010000000a00000000"), nil
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

var (
	selfTest  = unhex("80010000000b0000014300")
	getRandom = unhex("80010000000c0000017b0008")
	readClock = unhex("80010000000a00000181")
)

func wrap(t *testing.T, next transport.Device, plan faults.Plan) transport.Device {
	t.Helper()
	d, err := faults.Wrap(next, plan)
	require.NoError(t, err)
	return d
}

func send(t *testing.T, d transport.Device, command []byte) string {
	t.Helper()
	response, err := d.Send(t.Context(), 0, command)
	require.NoError(t, err)
	return hex.EncodeToString(response)
}

const success = "80010000000a00000000"

func TestDeferAnswersFromKernelStartToTheLevel(t *testing.T) {
	codes := map[faults.WhileDeferred]string{
		faults.Fail:       "80010000000a00000101",
		faults.Initialize: "80010000000a00000100",
		faults.Retry:      "80010000000a00000922",
		faults.Testing:    "80010000000a0000090a",
	}
	for way, code := range codes {
		t.Run(way.String(), func(t *testing.T) {
			var clock initcall.Clock
			tpm := new(chip)
			d := wrap(t, tpm, faults.Plan{
				Clock: &clock,
				Rules: []faults.Rule{faults.Defer(initcall.LateSync, way)},
			})
			for _, level := range initcall.Levels() {
				if level != initcall.Firmware {
					require.NoError(t, clock.Advance(level, initcall.NoTime, "test"))
				}
				want := code
				if level < initcall.Kernel || level >= initcall.LateSync {
					want = success
				}
				assert.Equal(t, want, send(t, d, selfTest), "at %s", level)
			}
			assert.Equal(t, 3, tpm.commands, "the TPM sees firmware, late_sync and userspace only")
		})
	}
}

func TestDeferFromFirmwareIsAbsentFromPowerOn(t *testing.T) {
	var clock initcall.Clock
	rule := faults.Defer(initcall.Device, faults.Fail)
	rule.When.From = initcall.Firmware
	d := wrap(t, new(chip), faults.Plan{Clock: &clock, Rules: []faults.Rule{rule}})
	assert.Equal(t, "80010000000a00000101", send(t, d, selfTest))
	require.NoError(t, clock.Advance(initcall.Device, 0, "test"))
	assert.Equal(t, success, send(t, d, selfTest))
}

func TestANewBootIsDeferredAgainUnlessBootsAreCounted(t *testing.T) {
	for boots, second := range map[int]string{0: "80010000000a00000101", 1: success, 2: "80010000000a00000101"} {
		var clock initcall.Clock
		rule := faults.Defer(initcall.Late, faults.Fail)
		rule.When.Boots = boots
		d := wrap(t, new(chip), faults.Plan{Clock: &clock, Rules: []faults.Rule{rule}})
		require.NoError(t, clock.Advance(initcall.Userspace, 0, "test"))
		clock.NewBoot("reset")
		assert.Equal(t, success, send(t, d, selfTest), "firmware of the second boot")
		require.NoError(t, clock.Advance(initcall.Kernel, 0, "test"))
		assert.Equal(t, second, send(t, d, selfTest), "second boot, Boots: %d", boots)
	}
}

func TestRulesAreAskedInOrderAndByCommandAndLocality(t *testing.T) {
	d := wrap(t, new(chip), faults.Plan{Rules: []faults.Rule{
		{Name: "pass", When: faults.When{Commands: []uint32{0x181}}},
		{Name: "locality", When: faults.When{Localities: []uint8{3}}, Do: faults.Answer(0x922)},
		{Name: "random", When: faults.When{Commands: []uint32{0x17B}}, Do: faults.Answer(0x101)},
	}})
	assert.Equal(t, success, send(t, d, readClock))
	assert.Equal(t, "80010000000a00000101", send(t, d, getRandom))
	assert.Equal(t, success, send(t, d, selfTest))
	assert.Equal(t, success, send(t, d, []byte{0x80, 1}), "a command without a code is none of a list")
	response, err := d.Send(t.Context(), 3, selfTest)
	require.NoError(t, err)
	assert.Equal(t, "80010000000a00000922", hex.EncodeToString(response))
}

func TestProbesAndADeviceWithoutPowerAreLeftAlone(t *testing.T) {
	tpm := new(chip)
	var journal []faults.Decision
	d := wrap(t, tpm, faults.Plan{
		Rules:   []faults.Rule{{Name: "always", Do: faults.Answer(0x101)}},
		Journal: func(d faults.Decision) { journal = append(journal, d) },
	})
	response, err := d.Send(transport.WithProbe(t.Context()), 0, readClock)
	require.NoError(t, err)
	assert.Equal(t, success, hex.EncodeToString(response))

	power, ok := transport.As[transport.Power](d)
	require.True(t, ok)
	require.NoError(t, power.PowerOff())
	_, err = d.Send(t.Context(), 0, selfTest)
	assert.Error(t, err, "the device itself says that it has no power")
	assert.Empty(t, journal)
}

// held starts a command and returns when the wrapper holds it.
func held(d transport.Device, ctx context.Context) <-chan string {
	answer := make(chan string, 1)
	go func() {
		response, err := d.Send(ctx, 0, selfTest)
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- hex.EncodeToString(response)
	}()
	synctest.Wait()
	return answer
}

func TestHoldEnds(t *testing.T) {
	ends := []struct {
		name    string
		end     func(*initcall.Clock, transport.Device, context.CancelFunc)
		answer  string
		outcome faults.Outcome
		after   time.Duration
		seen    int // commands the TPM executed
	}{
		{"at the level", func(c *initcall.Clock, _ transport.Device, _ context.CancelFunc) {
			_ = c.Advance(initcall.Late, 0, "test")
			_ = c.Advance(initcall.LateSync, 0, "test")
		}, success, faults.Released, 0, 1},
		{"with a new boot", func(c *initcall.Clock, _ transport.Device, _ context.CancelFunc) {
			c.NewBoot("reset") // whoever sent it is gone: not for this boot's TPM
		}, "80010000000a00000101", faults.Reset, 0, 0},
		{"at its maximum", func(*initcall.Clock, transport.Device, context.CancelFunc) {
			time.Sleep(7 * time.Second) // virtual time
		}, success, faults.Expired, 7 * time.Second, 1},
		{"by cancel", func(_ *initcall.Clock, d transport.Device, _ context.CancelFunc) {
			c, _ := transport.As[transport.Canceler](d)
			c.Cancel()
		}, "80010000000a00000909", faults.Canceled, 0, 0},
		{"by reset", func(_ *initcall.Clock, d transport.Device, _ context.CancelFunc) {
			p, _ := transport.As[transport.Power](d)
			_ = p.Init()
		}, "80010000000a00000101", faults.Reset, 0, 0},
		{"by power-off", func(_ *initcall.Clock, d transport.Device, _ context.CancelFunc) {
			p, _ := transport.As[transport.Power](d)
			_ = p.PowerOff()
		}, "80010000000a00000101", faults.Reset, 0, 0},
		{"by its sender", func(_ *initcall.Clock, _ transport.Device, cancel context.CancelFunc) {
			cancel()
		}, "context canceled", faults.Gone, 0, 0},
	}
	for _, end := range ends {
		t.Run(end.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var clock initcall.Clock
				require.NoError(t, clock.Advance(initcall.Device, 0, "test"))
				rule := faults.Defer(initcall.LateSync, faults.Hold)
				rule.Do = faults.HoldBack{Max: 7 * time.Second}
				var journal []faults.Decision
				tpm := new(chip)
				d := wrap(t, tpm, faults.Plan{
					Clock: &clock, Rules: []faults.Rule{rule},
					Journal: func(d faults.Decision) { journal = append(journal, d) },
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				answer := held(d, ctx)
				select {
				case a := <-answer:
					t.Fatalf("answered %s while the TPM is deferred", a)
				default:
				}
				end.end(&clock, d, cancel)
				assert.Equal(t, end.answer, <-answer)
				assert.Equal(t, end.seen, tpm.commands)
				require.Len(t, journal, 2)
				assert.Equal(t, faults.Held, journal[0].Outcome)
				assert.Equal(t, end.outcome, journal[1].Outcome)
				assert.Equal(t, end.after, journal[1].HeldFor)
				assert.Equal(t, initcall.Device, journal[1].Level)
				assert.Equal(t, uint32(0x143), journal[1].Command)
				assert.NotEmpty(t, journal[1].Cause)
			})
		})
	}
}

// Whatever the journal does when it hears of a hold finds the command held.
func TestAHoldEndsFromInsideTheJournal(t *testing.T) {
	ends := map[string]struct {
		end     func(*initcall.Clock, transport.Device)
		answer  string
		outcome faults.Outcome
	}{
		"power-off": {func(_ *initcall.Clock, d transport.Device) {
			p, _ := transport.As[transport.Power](d)
			_ = p.PowerOff()
		}, "80010000000a00000101", faults.Reset},
		"reset": {func(_ *initcall.Clock, d transport.Device) {
			p, _ := transport.As[transport.Power](d)
			_ = p.Init()
		}, "80010000000a00000101", faults.Reset},
		"cancel": {func(_ *initcall.Clock, d transport.Device) {
			c, _ := transport.As[transport.Canceler](d)
			c.Cancel()
		}, "80010000000a00000909", faults.Canceled},
		"level": {func(c *initcall.Clock, _ transport.Device) {
			_ = c.Advance(initcall.LateSync, 0, "test")
		}, success, faults.Released},
		"new boot, deferred again": {func(c *initcall.Clock, _ transport.Device) {
			c.NewBoot("test")
			_ = c.Advance(initcall.Device, 0, "test")
		}, "80010000000a00000101", faults.Reset},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var clock initcall.Clock
				require.NoError(t, clock.Advance(initcall.Device, 0, "test"))
				rule := faults.Defer(initcall.LateSync, faults.Hold)
				rule.Do = faults.HoldBack{Max: time.Hour}
				var d transport.Device
				var journal []faults.Decision
				d = wrap(t, new(chip), faults.Plan{
					Clock: &clock, Rules: []faults.Rule{rule},
					Journal: func(decision faults.Decision) {
						journal = append(journal, decision)
						if decision.Outcome == faults.Held {
							end.end(&clock, d)
						}
					},
				})
				assert.Equal(t, end.answer, send(t, d, selfTest))
				require.Len(t, journal, 2)
				assert.Equal(t, end.outcome, journal[1].Outcome)
				assert.Zero(t, journal[1].HeldFor)
			})
		})
	}
}

func TestASenderWithItsOwnTimeWaitsByItself(t *testing.T) {
	for _, released := range []bool{true, false} {
		var clock initcall.Clock
		require.NoError(t, clock.Advance(initcall.Device, 0, "test"))
		var journal []faults.Decision
		tpm := new(chip)
		d := wrap(t, tpm, faults.Plan{
			Clock: &clock, Rules: []faults.Rule{faults.Defer(initcall.Late, faults.Hold)},
			Journal: func(d faults.Decision) { journal = append(journal, d) },
		})
		ctx := transport.WithWait(t.Context(), func(let <-chan struct{}, longest time.Duration) bool {
			assert.Equal(t, faults.DefaultHoldMax, longest)
			select {
			case <-let:
				t.Error("released while the TPM is deferred")
			default:
			}
			if released {
				require.NoError(t, clock.Advance(initcall.Late, 0, "test"))
				transporttest.Receive(t, let)
			}
			return released
		})
		response, err := d.Send(ctx, 0, selfTest)
		require.NoError(t, err)
		assert.Equal(t, success, hex.EncodeToString(response))
		want := faults.Expired
		if released {
			want = faults.Released
		}
		assert.Equal(t, want, journal[1].Outcome)
	}
}

func TestHoldAtTheMomentOfReleaseIsNotLost(t *testing.T) {
	// The level is reached while commands arrive: each must come back.
	for range 200 {
		var clock initcall.Clock
		require.NoError(t, clock.Advance(initcall.Kernel, 0, "test"))
		d := wrap(t, new(chip), faults.Plan{Clock: &clock, Rules: []faults.Rule{faults.Defer(initcall.Late, faults.Hold)}})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { _, _ = d.Send(t.Context(), 0, selfTest) })
		}
		require.NoError(t, clock.Advance(initcall.Late, 0, "test"))
		transporttest.Wait(t, &wg)
	}
}

func TestCancelReachesTheDeviceBelow(t *testing.T) {
	tpm := new(chip)
	d := wrap(t, tpm, faults.Plan{})
	c, ok := transport.As[transport.Canceler](d)
	require.True(t, ok)
	c.Cancel()
	assert.Equal(t, 1, tpm.canceled)
}

// While the cancel signal is asserted no command is held, one that comes later neither:
// the signal may overtake the command that it is for.
func TestTheCancelSignalStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock initcall.Clock
		require.NoError(t, clock.Advance(initcall.Kernel, 0, "test"))
		tpm := new(chip)
		d := wrap(t, tpm, faults.Plan{Clock: &clock, Rules: []faults.Rule{faults.Defer(initcall.Late, faults.Hold)}})
		signal, ok := transport.As[transport.CancelSignal](d)
		require.True(t, ok)
		before := held(d, t.Context())
		signal.SetCancel(true)
		const canceled = "80010000000a00000909"
		assert.Equal(t, canceled, <-before)
		assert.Equal(t, canceled, send(t, d, selfTest))
		p, _ := transport.As[transport.Power](d)
		require.NoError(t, p.Init())
		assert.Equal(t, canceled, send(t, d, selfTest), "the signal lasts")
		assert.Equal(t, 1, tpm.canceled, "of a TPM that has no signal the command is canceled")
		signal.SetCancel(false)
		after := held(d, t.Context())
		require.NoError(t, clock.Advance(initcall.Late, 0, "test"))
		assert.Equal(t, success, <-after)
	})
}

func TestPowerIsOfferedOnlyWhereThereIsASwitch(t *testing.T) {
	_, ok := transport.As[transport.Power](wrap(t, new(bare), faults.Plan{}))
	assert.False(t, ok)
	c, ok := transport.As[transport.Canceler](wrap(t, new(bare), faults.Plan{}))
	require.True(t, ok)
	c.Cancel() // nothing below to cancel: no panic
}

func TestPlansThatCannotWorkAreRefused(t *testing.T) {
	backwards := faults.Defer(initcall.Core, faults.Fail)
	backwards.When.From = initcall.Late
	beyond := faults.Defer(initcall.Userspace+1, faults.Fail)
	negative := faults.Defer(initcall.Late, faults.Hold)
	negative.Do = faults.HoldBack{Max: -1}
	boots := faults.Defer(initcall.Late, faults.Hold)
	boots.When.Boots = -1
	for name, rule := range map[string]faults.Rule{
		"ends before it begins": backwards,
		"no such level":         beyond,
		"negative hold":         negative,
		"negative boots":        boots,
		"nothing to end it":     {Name: "forever", Do: faults.HoldBack{}},
		"until kernel":          faults.Defer(initcall.Kernel, faults.Fail),
	} {
		_, err := faults.Wrap(new(bare), faults.Plan{Rules: []faults.Rule{rule}})
		var wrong *faults.PlanError
		require.ErrorAs(t, err, &wrong, name)
		assert.Equal(t, rule.Name, wrong.Rule)
	}
}

func TestWaysHaveNames(t *testing.T) {
	for way := faults.Fail; way <= faults.Hold; way++ {
		text, err := way.MarshalText()
		require.NoError(t, err)
		var back faults.WhileDeferred
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, way, back)
	}
	var way faults.WhileDeferred
	err := way.UnmarshalText([]byte("sulk"))
	var unknown *faults.UnknownWayError
	require.ErrorAs(t, err, &unknown)
	assert.Contains(t, err.Error(), "fail, initialize, retry, testing, hold")
	_, err = faults.WhileDeferred(99).MarshalText()
	assert.ErrorAs(t, err, &unknown)
}

// constant answers without allocating.
type constant struct{ response []byte }

func (c constant) Send(context.Context, uint8, []byte) ([]byte, error) { return c.response, nil }

func TestAPlanNotInForceAllocatesNothing(t *testing.T) {
	var clock initcall.Clock
	require.NoError(t, clock.Advance(initcall.Userspace, 0, "test"))
	d := wrap(t, constant{unhex(success)}, faults.Plan{
		Clock: &clock,
		Rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Hold), faults.Defer(initcall.Late, faults.Fail)},
	})
	ctx := t.Context()
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = d.Send(ctx, 0, selfTest) }))
}

func BenchmarkSendThroughAPlanNotInForce(b *testing.B) {
	var clock initcall.Clock
	_ = clock.Advance(initcall.Userspace, 0, "bench")
	d, err := faults.Wrap(new(bare), faults.Plan{Clock: &clock, Rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Fail)}})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = d.Send(b.Context(), 0, selfTest)
	}
}

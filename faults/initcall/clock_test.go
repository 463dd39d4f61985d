package initcall_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func TestClockStartsAtFirmware(t *testing.T) {
	var clock initcall.Clock
	assert.Equal(t, initcall.Event{Boot: 1, Level: initcall.Firmware, At: initcall.NoTime, Cause: "power-on"}, clock.Now())
	assert.Equal(t, initcall.Firmware, clock.Level())
	assert.NoError(t, clock.Wait(t.Context(), initcall.Firmware))
}

func TestClockAdvance(t *testing.T) {
	var clock initcall.Clock
	var events []initcall.Event
	clock.Subscribe(func(e initcall.Event) { events = append(events, e) })

	require.NoError(t, clock.Advance(initcall.Late, 3*time.Second, "here"))
	late := initcall.Event{Boot: 1, Level: initcall.Late, At: 3 * time.Second, Cause: "here"}
	assert.Equal(t, late, clock.Now())

	require.NoError(t, clock.Advance(initcall.Late, 4*time.Second, "again"), "the present level is no error")
	assert.Equal(t, late, clock.Now(), "and changes nothing")

	var backwards *initcall.BackwardsError
	require.ErrorAs(t, clock.Advance(initcall.Device, 0, "back"), &backwards)
	assert.Equal(t, initcall.BackwardsError{Now: initcall.Late, Asked: initcall.Device}, *backwards)
	assert.Contains(t, backwards.Error(), "a new boot")
	assert.Equal(t, late, clock.Now())

	var unknown *initcall.UnknownLevelError
	require.ErrorAs(t, clock.Advance(initcall.Level(20), 0, "beyond"), &unknown)
	assert.Equal(t, late, clock.Now())

	clock.NewBoot("reset")
	firmware := initcall.Event{Boot: 2, Level: initcall.Firmware, At: initcall.NoTime, Cause: "reset"}
	assert.Equal(t, firmware, clock.Now())
	assert.Equal(t, []initcall.Event{late, firmware}, events, "one event for each movement")
}

func TestPowerOnCountsEveryPowerOn(t *testing.T) {
	t.Run("of a clock nobody has moved", func(t *testing.T) {
		var clock initcall.Clock
		var boots []int
		clock.Subscribe(func(e initcall.Event) { boots = append(boots, e.Boot) })
		clock.PowerOn("INIT")
		clock.PowerOn("INIT")
		assert.Equal(t, []int{1, 2}, boots)
	})
	t.Run("of one that has run", func(t *testing.T) {
		var clock initcall.Clock
		require.NoError(t, clock.Advance(initcall.Kernel, initcall.NoTime, ""))
		clock.PowerOn("INIT")
		assert.Equal(t, initcall.Event{Boot: 2, Level: initcall.Firmware, At: initcall.NoTime, Cause: "INIT"}, clock.Now())
	})
}

func TestWaitersAreReleasedAtTheirLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock initcall.Clock
		const each = 20
		released := make(map[initcall.Level]int)
		var mu sync.Mutex
		for _, level := range initcall.Levels() {
			for range each {
				go func() {
					if clock.Wait(t.Context(), level) == nil {
						mu.Lock()
						released[level]++
						mu.Unlock()
					}
				}()
			}
		}
		check := func(reached initcall.Level) {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			for _, level := range initcall.Levels() {
				want := 0
				if level <= reached {
					want = each
				}
				assert.Equal(t, want, released[level], "waiters for %s at %s", level, reached)
			}
		}
		check(initcall.Firmware)
		for _, level := range []initcall.Level{initcall.Kernel, initcall.Core, initcall.Late, initcall.LateSync, initcall.Userspace} {
			require.NoError(t, clock.Advance(level, initcall.NoTime, "test"))
			check(level)
		}
	})
}

func TestWaitOutlastsANewBoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock initcall.Clock
		done := make(chan error, 1)
		go func() { done <- clock.Wait(t.Context(), initcall.Late) }()
		require.NoError(t, clock.Advance(initcall.Device, initcall.NoTime, "boot 1"))
		clock.NewBoot("reset")
		synctest.Wait()
		assert.Empty(t, done)
		require.NoError(t, clock.Advance(initcall.LateSync, initcall.NoTime, "boot 2"))
		assert.NoError(t, <-done)
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock initcall.Clock
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		assert.ErrorIs(t, clock.Wait(ctx, initcall.Late), context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))

		// A level that has been reached counts more than an ended context.
		require.NoError(t, clock.Advance(initcall.Late, initcall.NoTime, "test"))
		assert.NoError(t, clock.Wait(ctx, initcall.Late))
	})
}

// Everything at once: what is checked is that nobody is lost, nothing is heard
// twice or out of order, and, under -race, that nothing is shared.
func TestClockUnderLoad(t *testing.T) {
	const boots, waiters = 50, 8
	var clock initcall.Clock
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var last initcall.Event
	wrong := 0
	clock.Subscribe(func(e initcall.Event) {
		forward := e.Boot == last.Boot && e.Level > last.Level || e.Boot == last.Boot+1
		if last.Boot != 0 && !forward || clock.Now() != e {
			wrong++
		}
		last = e
	})
	var all sync.WaitGroup
	for i := range waiters {
		level := initcall.Levels()[2*i+1]
		all.Go(func() {
			for range boots {
				short, stop := context.WithTimeout(ctx, 50*time.Microsecond)
				if err := clock.Wait(short, level); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("wait for %s: %v", level, err)
				}
				stop()
			}
			if err := clock.Wait(ctx, initcall.Userspace); err != nil {
				t.Errorf("last wait: %v", err)
			}
		})
		all.Go(func() {
			for range boots {
				clock.Subscribe(func(initcall.Event) {})()
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for range boots {
				for _, level := range initcall.Levels() {
					err := clock.Advance(level, initcall.NoTime, "load")
					var backwards *initcall.BackwardsError
					if err != nil && !errors.As(err, &backwards) {
						t.Errorf("advance to %s: %v", level, err)
					}
				}
				clock.NewBoot("load")
			}
			// The last word, whoever has it, is the end of a boot.
			for clock.Level() != initcall.Userspace {
				_ = clock.Advance(initcall.Userspace, initcall.NoTime, "load")
			}
		})
	}
	transporttest.Wait(t, &all)
	_ = clock.Advance(initcall.Userspace, initcall.NoTime, "load")
	assert.Zero(t, wrong, "events out of order")
	assert.Equal(t, initcall.Event{Boot: 1 + 2*boots, Level: initcall.Userspace, At: initcall.NoTime, Cause: "load"}, clock.Now())
}

func TestSubscribersAreCalledInOrder(t *testing.T) {
	var clock initcall.Clock
	var heard []string
	hear := func(name string) func(initcall.Event) {
		return func(e initcall.Event) { heard = append(heard, fmt.Sprintf("%s:%s", name, e.Level)) }
	}
	clock.Subscribe(hear("a"))
	stop := clock.Subscribe(hear("b"))
	clock.Subscribe(hear("c"))
	require.NoError(t, clock.Advance(initcall.Core, initcall.NoTime, ""))
	stop()
	stop() // twice is once
	require.NoError(t, clock.Advance(initcall.Late, initcall.NoTime, ""))
	assert.Equal(t, []string{"a:core", "b:core", "c:core", "a:late", "c:late"}, heard)
}

func ExampleClock() {
	var clock initcall.Clock
	released := make(chan error)
	go func() { released <- clock.Wait(context.Background(), initcall.LateSync) }()

	_ = clock.Advance(initcall.Late, 890*time.Millisecond, "init_ima is about to run")
	fmt.Println(clock.Now().Level)
	_ = clock.Advance(initcall.LateSync, 990*time.Millisecond, "regulator_init_complete is about to run")
	fmt.Println(<-released, clock.Now().Level)
	fmt.Println(clock.Advance(initcall.Late, initcall.NoTime, "once more"))
	// Output:
	// late
	// <nil> late_sync
	// the boot has reached late_sync and cannot go back to late; a new boot starts at firmware
}

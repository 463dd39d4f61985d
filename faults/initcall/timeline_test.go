package initcall_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

var short = initcall.Timeline{
	{Level: initcall.Kernel, At: 100 * time.Millisecond},
	{Level: initcall.Device, At: 500 * time.Millisecond},
	{Level: initcall.Late, At: 900 * time.Millisecond},
	{Level: initcall.LateSync, At: 900 * time.Millisecond},
	{Level: initcall.Userspace, At: 2 * time.Second},
}

func TestTimelineValidate(t *testing.T) {
	mark := func(l initcall.Level, at time.Duration) initcall.Mark { return initcall.Mark{Level: l, At: at} }
	for _, test := range []struct {
		name     string
		timeline initcall.Timeline
		want     string // nothing if valid
	}{
		{"empty", nil, ""},
		{"short", short, ""},
		{"built in", initcall.DefaultTimeline(), ""},
		{"at power-on", initcall.Timeline{mark(initcall.Kernel, 0)}, ""},
		{"twice", initcall.Timeline{mark(initcall.Late, 1), mark(initcall.Late, 2)}, "late is marked twice"},
		{"order", initcall.Timeline{mark(initcall.LateSync, 1), mark(initcall.Late, 2)}, "late is marked after late_sync"},
		{"time", initcall.Timeline{mark(initcall.Late, 2), mark(initcall.LateSync, 1)}, "late_sync at 1ns lies before late at 2ns"},
		{"negative", initcall.Timeline{mark(initcall.Late, -1)}, "negative"},
		{"firmware", initcall.Timeline{mark(initcall.Firmware, 0)}, "starts at firmware"},
		{"unknown", initcall.Timeline{mark(initcall.Level(20), 0)}, "unknown initcall level"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.timeline.Validate()
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			var order *initcall.OrderError
			var mark *initcall.MarkError
			if len(test.timeline) == 2 {
				assert.ErrorAs(t, err, &order)
				assert.Equal(t, test.timeline[0], order.Before)
				assert.Equal(t, test.timeline[1], order.After)
			} else {
				assert.ErrorAs(t, err, &mark)
				assert.Equal(t, test.timeline[0], mark.Mark)
			}
			assert.Equal(t, err, test.timeline.Run(t.Context(), new(initcall.Clock)), "Run refuses it alike")
		})
	}
}

// running starts a timeline in a synctest bubble and records the clock's events
// with the time since the start.
func running(t *testing.T, timeline initcall.Timeline) (clock *initcall.Clock, events func() []string, stop func() error) {
	clock = new(initcall.Clock)
	var mu sync.Mutex
	var heard []string
	events = func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(heard)
	}
	start := time.Now()
	clock.Subscribe(func(e initcall.Event) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, fmt.Sprintf("%s %d %s %s", time.Since(start), e.Boot, e.Level, e.Cause))
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- timeline.Run(ctx, clock) }()
	synctest.Wait()
	return clock, events, func() error {
		cancel()
		return transporttest.Receive(t, done)
	}
}

func last(events []string) string { return events[len(events)-1] }

func TestTimelineRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, events, stop := running(t, short)
		time.Sleep(time.Hour)
		assert.Equal(t, []string{
			"100ms 1 kernel timeline", "500ms 1 device timeline", "900ms 1 late timeline",
			"900ms 1 late_sync timeline", "2s 1 userspace timeline",
		}, events())
		assert.Equal(t, 2*time.Second, clock.Now().At)
		assert.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestTimelineStartsAnewAtPowerOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, events, stop := running(t, short)
		time.Sleep(600 * time.Millisecond) // in the middle of boot 1
		clock.NewBoot("reset")
		time.Sleep(3 * time.Second) // after the end of boot 2
		clock.PowerOn("INIT")
		clock.PowerOn("INIT") // twice at once: only the last one boots
		time.Sleep(200 * time.Millisecond)
		assert.Equal(t, []string{
			"100ms 1 kernel timeline", "500ms 1 device timeline",
			"600ms 2 firmware reset",
			"700ms 2 kernel timeline", "1.1s 2 device timeline", "1.5s 2 late timeline",
			"1.5s 2 late_sync timeline", "2.6s 2 userspace timeline",
			"3.6s 3 firmware INIT", "3.6s 4 firmware INIT",
			"3.7s 4 kernel timeline",
		}, events())
		assert.ErrorIs(t, stop(), context.Canceled)
		time.Sleep(time.Hour)
		assert.Equal(t, initcall.Kernel, clock.Level(), "a stopped timeline moves nothing")
	})
}

// A clock at the first boot's firmware is told of its first power-on: the boot
// keeps its number, and the timeline must know that it starts anew all the same.
func TestTimelineBeforeTheFirstPowerOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, events, stop := running(t, short)
		time.Sleep(50 * time.Millisecond)
		clock.PowerOn("INIT")
		time.Sleep(time.Second)
		assert.Equal(t, []string{
			"50ms 1 firmware INIT", "150ms 1 kernel timeline", "550ms 1 device timeline",
			"950ms 1 late timeline", "950ms 1 late_sync timeline",
		}, events())
		assert.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestTimelineIsOvertakenByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, events, stop := running(t, short)
		time.Sleep(200 * time.Millisecond)
		require.NoError(t, clock.Advance(initcall.LateSync, initcall.NoTime, "by hand"))
		time.Sleep(400 * time.Millisecond)
		var backwards *initcall.BackwardsError
		require.ErrorAs(t, clock.Advance(initcall.Late, initcall.NoTime, "too late"), &backwards)
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"100ms 1 kernel timeline", "200ms 1 late_sync by hand", "2s 1 userspace timeline"}, events())
		assert.ErrorIs(t, stop(), context.Canceled)
	})
}

// A reset at the very instant of a mark: whichever comes first, the mark of the
// old boot must not be found in the new one.
func TestTimelineMarkAndPowerOnAtOnce(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			clock, events, stop := running(t, initcall.Timeline{{Level: initcall.Late, At: time.Second}})
			time.Sleep(time.Second)
			before := clock.Now().Boot
			for range 3 {
				clock.NewBoot("reset")
			}
			require.Equal(t, before+3, clock.Now().Boot)
			assert.Equal(t, "1s 4 firmware reset", last(events()))
			time.Sleep(time.Second)
			assert.Equal(t, "2s 4 late timeline", last(events()))
			assert.ErrorIs(t, stop(), context.Canceled)
		})
	}
}

func TestParseTimeline(t *testing.T) {
	got, err := initcall.ParseTimeline("# arm64 virt\r\n\nkernel 100ms\n  device\t0.5s # tpm_tis probes\nlate 900ms\nlate_sync 900ms\nuserspace 2s")
	require.NoError(t, err)
	assert.Equal(t, short, got)

	again, err := initcall.ParseTimeline(got.String())
	require.NoError(t, err)
	assert.Equal(t, got, again)

	empty, err := initcall.ParseTimeline("\n# nothing\n")
	require.NoError(t, err)
	assert.Empty(t, empty)
}

func TestParseTimelineRefuses(t *testing.T) {
	for _, test := range []struct {
		text string
		line int
		want string
	}{
		{"late", 1, `want "LEVEL TIME"`},
		{"kernel 1s\nlate 2s 3s", 2, `want "LEVEL TIME"`},
		{"\n\nLate 2s", 3, "unknown initcall level"},
		{"late 2", 1, "missing unit"},
		{"late two", 1, "invalid duration"},
		{"late -1s", 1, "negative"},
		{"firmware 0s", 1, "starts at firmware"},
		{"kernel 2s\nlate 1s", 2, "lies before"},
		{"late 1s\n#\nlate 2s", 3, "marked twice"},
		{"late_sync 1s\nlate 2s", 2, "marked after"},
		{"late 9999999999h", 1, "invalid duration"},
		{strings.Repeat("#", 100_000), 1, "longer than"},
	} {
		_, err := initcall.ParseTimeline(test.text)
		var wrong *initcall.TimelineError
		require.ErrorAs(t, err, &wrong, "%.40q", test.text)
		assert.Equal(t, test.line, wrong.Line, "%.40q", test.text)
		assert.ErrorContains(t, err, test.want)
		assert.LessOrEqual(t, len(wrong.Text), 80)
	}
}

func TestTimelineAsText(t *testing.T) {
	text, err := json.Marshal(short)
	require.NoError(t, err)
	var got initcall.Timeline
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, short, got)

	before := got
	require.Error(t, json.Unmarshal([]byte(`"late 1"`), &got))
	assert.Equal(t, before, got, "a refused text changes nothing")
	_, err = initcall.Timeline{{Level: initcall.Firmware}}.MarshalText()
	assert.Error(t, err)
}

func FuzzParseTimeline(f *testing.F) {
	f.Add(short.String())
	f.Add(initcall.DefaultTimeline().String())
	f.Add("# x\r\nkernel 1h2m3s\n\nlate 9223372036854775807ns # y")
	f.Add("late -0s\n")
	f.Fuzz(func(t *testing.T, text string) {
		timeline, err := initcall.ParseTimeline(text)
		if err != nil {
			var wrong *initcall.TimelineError
			require.ErrorAs(t, err, &wrong)
			return
		}
		require.NoError(t, timeline.Validate())
		again, err := initcall.ParseTimeline(timeline.String())
		require.NoError(t, err)
		require.Equal(t, timeline, again)
	})
}

// The built-in timeline is the boot whose log is here: the same levels, and the
// log's times plus one and the same time of the firmware.
func TestDefaultTimeline(t *testing.T) {
	events, err := os.ReadFile("testdata/x86_64-debian-6.1-tpm-on-time.events")
	require.NoError(t, err)
	var fromLog initcall.Timeline
	for _, line := range regexp.MustCompile(`(?m)^1 (\w+) +([0-9.]+)  `).FindAllStringSubmatch(string(events), -1) {
		level, err := initcall.ParseLevel(line[1])
		require.NoError(t, err)
		at, err := time.ParseDuration(line[2] + "s")
		require.NoError(t, err)
		fromLog = append(fromLog, initcall.Mark{Level: level, At: at.Round(time.Millisecond)})
	}
	got := initcall.DefaultTimeline()
	firmware := got[0].At
	assert.Greater(t, firmware, time.Second)
	for i := range got {
		got[i].At -= firmware
	}
	assert.Equal(t, fromLog, got)

	got[0].Level = initcall.Userspace
	assert.Equal(t, initcall.Kernel, initcall.DefaultTimeline()[0].Level, "every caller gets its own")
}

func ExampleTimeline() {
	timeline, _ := initcall.ParseTimeline(`
		kernel    100ms
		late      900ms  # init_ima
		late_sync 950ms
	`)
	fmt.Print(timeline)
	_, err := initcall.ParseTimeline("late 900ms\ndevice 950ms")
	fmt.Println(err)
	// Output:
	// kernel        100ms
	// late          900ms
	// late_sync     950ms
	// timeline line 2 ("device 950ms"): device is marked after late, but a boot reaches it before; swap them
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/logs"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// closeTime is how long clients, commands and files may take to let go at the end.
// With what state and log may take after it (logs.Patience each) it stays below the
// 2 s in which the daemon has to end.
const closeTime = time.Second

// levelSource moves the clock.
type levelSource interface {
	// powerOn tells that the machine gets power or is reset, before the
	// guest runs.
	powerOn(cause string)
	// open makes what the source needs, so that a guest can be started.
	open() error
	// run follows the source until ctx ends or there is no more to follow, and
	// closes it.
	run(ctx context.Context) error
	// close closes a source that is open and does not run.
	close()
}

// newSource makes the source that the settings ask for. in is what --console=-
// reads; files get the copy of a console.
func newSource(set *options.Set, clock *initcall.Clock, in io.Reader, files *logs.Files, log *slog.Logger) (levelSource, error) {
	switch {
	case set.Console != "":
		return newConsoleSource(set, clock, in, files, log)
	case set.GDB.Wanted:
		return newGDBSource(set, clock, log)
	case set.DeferFor > 0:
		return newTimeSource(initcall.Timeline{{Level: initcall.Userspace, At: set.DeferFor}}, clock), nil
	case set.Timeline != "":
		return newTimelineSource(set, clock)
	case len(set.Markers) > 0:
		return nil, cli.Usage(errors.New("--marker without a console to find it on"), "add --defer-until and --console")
	default:
		return handSource{clock}, nil
	}
}

// handSource is no source: swtpmd ctl advance moves the clock.
type handSource struct{ clock *initcall.Clock }

func (s handSource) powerOn(cause string) { s.clock.PowerOn(cause) }

func (s handSource) open() error { return nil }

func (s handSource) run(context.Context) error { return nil }

func (s handSource) close() {}

// timelineSource is a boot known beforehand.
type timelineSource struct {
	clock    *initcall.Clock
	timeline initcall.Timeline
	on       chan struct{} // closed at the first power-on
	wasOn    bool
}

// builtinTimeline is the word for the timeline that this program brings along.
const builtinTimeline = "builtin"

// maxTimeline bounds a timeline's file, in bytes.
const maxTimeline = 1 << 20

func newTimeSource(timeline initcall.Timeline, clock *initcall.Clock) *timelineSource {
	return &timelineSource{clock: clock, timeline: timeline, on: make(chan struct{})}
}

func newTimelineSource(set *options.Set, clock *initcall.Clock) (levelSource, error) {
	s := newTimeSource(initcall.DefaultTimeline(), clock)
	name := set.Timeline
	if name == builtinTimeline {
		return s, endsEarly(s.timeline, "--timeline="+builtinTimeline, set)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--timeline: %w", err), "a file, or "+builtinTimeline)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxTimeline+1))
	if err != nil {
		return nil, fmt.Errorf("--timeline: %w", err)
	}
	if len(text) > maxTimeline {
		return nil, cli.Usage(fmt.Errorf("--timeline: %s is longer than %d bytes", name, maxTimeline), "")
	}
	if s.timeline, err = initcall.ParseTimeline(string(text)); err != nil {
		return nil, cli.Usage(fmt.Errorf("--timeline %s: %w", name, err), "")
	}
	if len(s.timeline) == 0 {
		return nil, cli.Usage(
			fmt.Errorf("--timeline %s: no level is reached there, so the TPM would never come", name),
			`a level and the time since power-on a line, such as "late 900ms"`)

	}
	return s, endsEarly(s.timeline, fmt.Sprintf("--timeline %s:%d", name, lastMark(string(text))), set)
}

// lastMark returns the number of the last line that says something.
func lastMark(text string) (last int) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if mark, _, _ := strings.Cut(line, "#"); strings.TrimSpace(mark) != "" {
			last = n
		}
	}
	return last
}

// endsEarly refuses a timeline that never comes to a level that a rule waits for. Where is
// its last line.
func endsEarly(timeline initcall.Timeline, where string, set *options.Set) error {
	last := timeline[len(timeline)-1].Level
	if until := set.Deferral.Until; until > last {
		return cli.Usage(fmt.Errorf("%s: the timeline ends at %s, and the TPM of --defer-until=%s would never come", where, last, until),
			fmt.Sprintf(`add a line such as "%s 2s", or defer until %s`, until, last))
	}
	for _, rule := range set.Faults.Rules() {
		if rule.When.From > last {
			return cli.Usage(fmt.Errorf("%s: the timeline ends at %s, and the fault %q would never come", where, last, rule.String()),
				fmt.Sprintf(`add a line such as "%s 2s"`, rule.When.From))
		}
	}
	return nil
}

// powerOn starts the timeline: the run subscribes to the clock, so a power-on
// after the first needs no more than the clock's event.
func (s *timelineSource) powerOn(cause string) {
	s.clock.PowerOn(cause)
	if !s.wasOn {
		s.wasOn = true
		close(s.on)
	}
}

func (s *timelineSource) open() error { return nil }

func (s *timelineSource) close() {}

func (s *timelineSource) run(ctx context.Context) error {
	select {
	case <-s.on:
		return s.timeline.Run(ctx, s.clock)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// consoleSource is what a guest prints.
type consoleSource struct {
	source  initcall.Source
	console *initcall.Console
	feed    *initcall.Feed
	keep    string        // file for a copy, or ""
	kept    *logs.Console // nil without one
	files   *logs.Files   // that it is one of
	log     *slog.Logger
}

func newConsoleSource(set *options.Set, clock *initcall.Clock, in io.Reader, files *logs.Files, log *slog.Logger) (levelSource, error) {
	source, err := initcall.ParseSource(set.Console)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--console: %w", err), "")
	}
	if set.Console == "-" {
		source = initcall.ReaderSource(in)
	}
	var markers []initcall.Marker
	for _, text := range set.Markers {
		marker, err := initcall.ParseMarker(text)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("--marker: %w", err), "")
		}
		markers = append(markers, marker)
	}
	console, err := initcall.NewConsole(clock, markers...)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--marker: %w", err), "")
	}
	console.Trusting, console.FollowKexec = set.TrustConsole, set.FollowKexec
	console.Doubted = func(d initcall.Doubt) {
		log.Warn("console line not believed", "boot", d.Boot, "level", d.Level.String(), "line", d.Line, "cause", d.Reason)
	}
	return &consoleSource{source: source, console: console, keep: set.ConsoleLog, files: files, log: log}, nil
}

func (s *consoleSource) powerOn(cause string) { s.console.Reset(cause) }

func (s *consoleSource) open() (err error) {
	if s.feed, err = s.source.Open(); err != nil {
		return fmt.Errorf("--console: %w", err)
	}
	if s.keep == "" {
		return nil
	}
	if s.kept, err = openConsoleLog(s.keep, s.source.String(), s.files, s.log); err != nil {
		s.feed.Close()
		return fmt.Errorf("--console-log: %w", err)
	}
	return nil
}

func (s *consoleSource) close() {
	_ = s.feed.Close()
	if s.kept != nil {
		s.kept.Close(closeTime)
	}
}

func (s *consoleSource) run(ctx context.Context) error {
	if s.kept == nil {
		return s.feed.Follow(ctx, s.console, nil)
	}
	defer s.kept.Close(closeTime)
	return s.feed.Follow(ctx, s.console, s.kept)
}

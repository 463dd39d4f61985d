package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// gdbSource is where the guest's kernel is, seen by QEMU's gdbstub.
type gdbSource struct {
	gdb    *initcall.GDB
	clock  *initcall.Clock
	source initcall.Source
	feed   *initcall.Feed
	kernel string
	boots  chan struct{} // holds a token after a power-on
	log    *slog.Logger
}

func newGDBSource(set *options.Set, clock *initcall.Clock, log *slog.Logger) (levelSource, error) {
	source, err := initcall.ParseSource("unix:" + set.GDB.Path)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--levels: %w", err), "")
	}
	file, err := os.Open(set.GDB.Kernel)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--system-map: %w", err), "a file")
	}
	defer file.Close()
	kernel, err := initcall.ReadSystemMap(file)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--system-map=%s: %w", set.GDB.Kernel, err), "")
	}
	gdb := initcall.NewGDB(clock, kernel)
	gdb.FollowKexec = set.FollowKexec
	gdb.Found = func(banner string) { log.Info("a kernel starts", "banner", banner) }
	gdb.Refused = func(err error) { log.Error("the guest cannot be followed", "cause", err) }
	gdb.Doubted = func(d initcall.Doubt) {
		log.Warn("breakpoint not believed", "boot", d.Boot, "level", d.Level.String(), "at", d.Line, "cause", d.Reason)
	}
	return &gdbSource{
		gdb: gdb, clock: clock, source: source, kernel: set.GDB.Kernel,
		boots: make(chan struct{}, 1), log: log,
	}, nil
}

func (s *gdbSource) powerOn(cause string) {
	s.gdb.Reset(cause)
	select {
	case s.boots <- struct{}{}:
	default:
	}
}

func (s *gdbSource) open() (err error) {
	if s.feed, err = s.source.Open(); err != nil {
		return fmt.Errorf("--levels: %w", err)
	}
	return nil
}

func (s *gdbSource) close() { _ = s.feed.Close() }

// run meets QEMU after the first power-on: a guest that is to be migrated here
// has none, and must not be let run.
func (s *gdbSource) run(ctx context.Context) error {
	select {
	case <-s.boots:
	case <-ctx.Done():
		s.close()
		return ctx.Err()
	}
	go s.remind(ctx)
	return s.gdb.Follow(ctx, s.feed)
}

// kernelPatience is how long a guest's firmware and boot loader take at most,
// unless something is wrong.
const kernelPatience = 2 * time.Minute

// remind tells when a kernel should have come that does not.
func (s *gdbSource) remind(ctx context.Context) {
	timer := time.NewTimer(kernelPatience)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.boots:
			timer.Reset(kernelPatience)
		case <-timer.C:
			if s.clock.Level() == initcall.Firmware {
				s.log.Warn("no kernel of the System.map has started", "after", kernelPatience, "system-map", s.kernel,
					"cause", "the guest is slow, runs another build, was booted without nokaslr, or its QEMU without -S and -gdb")
			}
		}
	}
}

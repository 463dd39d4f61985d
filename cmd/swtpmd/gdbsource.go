package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// levelsGDB is the word of --levels for QEMU's gdbstub; its socket comes after a
// colon, or is in the daemon's directory.
const levelsGDB = "gdb"

func (s *settings) setLevels(text string) error {
	rest, ok := strings.CutPrefix(text, levelsGDB)
	path, unix := strings.CutPrefix(rest, ":unix:")
	switch {
	case !ok || rest != "" && !unix:
		return errors.New("it is gdb or gdb:unix:PATH")
	case unix && path == "":
		return errors.New("the path after gdb:unix: is missing")
	}
	s.gdb.wanted, s.gdb.path = true, path
	return nil
}

// gdbWords are --levels=gdb and what belongs to it.
type gdbWords struct {
	wanted bool
	path   string // of the socket
	kernel string // file with the System.map
}

// check finds what does not go together with --levels=gdb.
func (g *gdbWords) check(s *settings) error {
	switch {
	case !g.wanted && g.kernel != "":
		return cli.Usage(errors.New("--system-map is for --levels=gdb"), "add it, or leave out --system-map")
	case !g.wanted:
		return nil
	case g.kernel == "":
		return cli.Usage(errors.New("--levels=gdb knows no kernel"), "add --system-map=FILE, the System.map of the guest's kernel")
	case s.console != "" || s.consoleLog != "" || s.timeline != "":
		return cli.Usage(errors.New("--levels=gdb and --console, --console-log or --timeline exclude each other"), "one source says how far the boot has come")
	case s.trustConsole || len(s.markers) > 0:
		return cli.Usage(errors.New("--trust-console and --marker are for a console, and --levels=gdb reads none"), "leave them out")
	}
	return nil
}

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

func newGDBSource(set *settings, clock *initcall.Clock, log *slog.Logger) (levelSource, error) {
	source, err := initcall.ParseSource("unix:" + set.gdb.path)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--levels: %w", err), "")
	}
	file, err := os.Open(set.gdb.kernel)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--system-map: %w", err), "a file")
	}
	defer file.Close()
	kernel, err := initcall.ReadSystemMap(file)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--system-map=%s: %w", set.gdb.kernel, err), "")
	}
	gdb := initcall.NewGDB(clock, kernel)
	gdb.FollowKexec = set.followKexec
	gdb.Found = func(banner string) { log.Info("a kernel starts", "banner", banner) }
	gdb.Refused = func(err error) { log.Error("the guest cannot be followed", "cause", err) }
	gdb.Doubted = func(d initcall.Doubt) {
		log.Warn("breakpoint not believed", "boot", d.Boot, "level", d.Level.String(), "at", d.Line, "cause", d.Reason)
	}
	return &gdbSource{
		gdb: gdb, clock: clock, source: source, kernel: set.gdb.kernel,
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

// Package fleet is the subcommand fleet: many TPMs in one process.
package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/logs"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/transport/fleet"
)

const help = `Usage: swtpmd fleet --dir=DIR [flags]

Serves many TPMs from one process. The TPM with the name NAME has its sockets in DIR/NAME:
tpm.sock.ctrl for QEMU, tpm.sock for commands, console.sock where it depends on how far
its boot is. A guest finds there what it finds with swtpmd, but that its end leaves the
TPM for the next guest. A TPM takes memory only while it is used.

What a TPM is stands in DIR/NAME.tpm, one word a line; docs/fleet.md lists the words. The
files are followed: a new one makes a TPM, a changed one makes it anew, and the end of one
ends it, once it has no clients. swtpmd ctl fleet does the same by hand.

Flags:
  --dir=DIR              the fleet's directory, made (mode 0700) if it is not there
  --count=N              have TPMs 0, 1 and so on to N-1; those that are there stay as
                         they are
  --profile=P            the kind of TPMs that name none: one of swtpmd --profiles, or a
                         file
  --state=DIR            keep each TPM in a directory with its name below DIR; without it
                         TPMs that name no directory end with the fleet
  --idle=DURATION        put a TPM away, as it is, that has not been used for so long, and
                         have it again with the next command (default 10s); off: never
  --fsync=on|off         off leaves it to the system when state reaches the disk
  --takeover             take the TPMs of the fleet that runs on the directory, as they
                         are, their sockets and the connections of their clients, none of
                         whom notices; that fleet ends when this one serves, and goes on
                         if it fails. Where none runs, start one
  --admin=PATH           status and steering (default DIR/admin.sock): swtpmd ctl fleet, and
                         GET /metrics for Prometheus
  --json                 the ready line as JSON
  --log=WORDS, --pid=WORDS, --daemon, -d, --core-dumps
                         see swtpmd --help; each line of the log has tpm=NAME
  --help

A TPM that cannot be had (its file is wrong, the limit of open files is reached) is left
out, and the log and the ready line tell it; the others are served. SIGTERM ends all of
them; what a TPM has acknowledged is on the disk at every moment.

Examples:
  swtpmd fleet --dir=/run/tpms --state=/var/lib/tpms --count=100
  # a new version of swtpmd, under guests that run
  swtpmd fleet --dir=/run/tpms --state=/var/lib/tpms --takeover
  # a TPM that is there from late_sync on
  printf 'defer-until=late_sync\n' >/run/tpms/web.tpm

Exit codes: 0 ended as asked; 1 failed, stderr says why; 2 the command line is wrong and
nothing was started.
`

// Command is the subcommand.
var Command = cli.Command{Name: "fleet", Help: help, New: define}

// settings are the command line as values.
type settings struct {
	options.Set
	count   int
	profile string
	state   string
	idle    time.Duration
	noSync  bool

	takeover bool
}

// mostTPMs bounds --count.
const mostTPMs = 100000

func define(f *flag.FlagSet) cli.Run {
	s := new(settings)
	s.Define(f, options.InFleet)
	f.Func("count", "", func(text string) (err error) {
		s.count, err = strconv.Atoi(text)
		if err != nil || s.count < 0 || s.count > mostTPMs {
			return fmt.Errorf("it is a number of TPMs from 0 to %d", mostTPMs)
		}
		return nil
	})
	f.StringVar(&s.profile, "profile", "", "")
	f.StringVar(&s.state, "state", "", "")
	f.Func("idle", "", s.setIdle)
	f.Func("fsync", "", func(text string) error {
		if text != "on" && text != "off" {
			return errors.New("it is on or off")
		}
		s.noSync = text == "off"
		return nil
	})
	f.BoolVar(&s.takeover, "takeover", false, "")
	return func(ctx context.Context, _ []string, streams cli.Streams) error {
		if s.Dir == "" {
			return cli.Usage(errors.New("there is no directory for the fleet"), "add --dir=DIR")
		}
		if strings.ContainsAny(s.profile, "./\\") {
			file, err := filepath.Abs(s.profile)
			if err != nil {
				return err
			}
			s.profile = file
		}
		return s.run(ctx, streams)
	}
}

func (s *settings) setIdle(text string) (err error) {
	if text == "off" {
		s.idle = -1
		return nil
	}
	if s.idle, err = time.ParseDuration(text); err != nil || s.idle <= 0 {
		return errors.New("it is off, or a time such as 30s")
	}
	return nil
}

// garbage is how much garbage there may be before it is collected, in percent of what is
// in use (GOGC). What is in use has few pointers to follow, and memory is what a fleet is
// to spare.
const garbage = 40

// closeTime is how long commands and clients may take to let go at the end.
const closeTime = time.Second

func (s *settings) run(ctx context.Context, streams cli.Streams) error {
	if s.Daemonize && !process.InBackground() {
		return process.Detach(false)
	}
	process.KeepTerminal(ctx)
	manager, unmanaged := process.NewNotifier()
	defer func() { _ = manager.Close() }()
	// Writing to a terminal that went away must not end TPMs.
	signal.Ignore(process.EndingWrites...)
	if err := process.SetCoreDumps(s.CoreDumps); err != nil {
		return fmt.Errorf("core dumps cannot be disabled: %w; allow them with --core-dumps", err)
	}
	log, err := daemon.OpenLog(&s.Log, streams.Err, new(logs.Files))
	if err != nil {
		return err
	}
	defer log.Close()
	tell := func(err error) {
		if err != nil {
			log.Warn("the service manager cannot be told", "cause", err)
		}
	}
	tell(unmanaged)
	f, from, err := s.open(ctx, fleet.Options{
		Dir: s.Dir, State: s.state, Profile: s.profile, Idle: s.idle, NoSync: s.noSync,
		Trim:     debug.FreeOSMemory,
		Describe: daemon.DescribeProfile, Log: log.Logger,
	}, log.Logger)
	if err != nil {
		return refused(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if err := f.Close(ctx); err != nil {
			log.Warn("not everything has let go in time", "cause", err)
		}
	}()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	s.make(ctx, f)
	remove, err := s.PID.WritePID()
	if err != nil {
		return err
	}
	taken := 0
	defer func() {
		if taken == 0 { // else the file is another process's
			remove()
		}
	}()
	window, err := openWindow(ctx, f, s.Dir, s.Admin, from, log.Logger)
	if err != nil {
		return err
	}
	defer window.Close()
	s.Admin = window.Admin
	next := &takeover{fleet: f, window: window, manager: manager, log: log.Logger}
	if err := serveTakeover(ctx, s.Dir, from, next); err != nil {
		return err
	}
	defer next.close()
	tell(manager.Ready())
	if err := s.announce(streams.Out, f); err != nil {
		return err
	}
	if process.InBackground() {
		_ = log.Queue.Flush()
	}
	if err := process.TellParent(); err != nil {
		return err
	}
	from.ready()
	select {
	case taken = <-next.Taken:
		log.Info("ending", "cause", "another process serves the fleet", "pid", taken)
	case <-ctx.Done():
		log.Info("ending", "cause", "signal")
		tell(manager.Stopping())
	}
	return nil
}

// refused is a *cli.UsageError for an error of the command line.
func refused(err error) error {
	var wrong *fleet.ConfigError
	if errors.As(err, &wrong) {
		return cli.Usage(fmt.Errorf("--%w", err), "swtpmd --profiles lists those that there are")
	}
	return err
}

// make makes the TPMs of --count that are not there. One that cannot be had is told, and
// the others are made all the same, unless nothing more can be had.
func (s *settings) make(ctx context.Context, f *fleet.Fleet) {
	for i := range s.count {
		name := strconv.Itoa(i)
		if _, ok := f.Status(name); ok {
			continue
		}
		err := f.AddSoon(ctx, name, fleet.Config{})
		if err == nil {
			continue
		}
		f.Refuse(name, errors.Unwrap(err))
		var limit *fleet.LimitError
		if errors.As(err, &limit) || ctx.Err() != nil {
			return
		}
	}
}

// Ready is what the fleet tells when all TPMs can be connected to.
type Ready struct {
	Ready bool   `json:"ready"`
	PID   int    `json:"pid"`
	Dir   string `json:"dir"`
	Admin string `json:"admin"`
	TPMs  int    `json:"tpms"`
	// Refused is why TPMs are left out, by their names.
	Refused map[string]string `json:"refused,omitempty"`
}

func (s *settings) announce(out io.Writer, f *fleet.Fleet) error {
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return err
	}
	r := Ready{Ready: true, PID: os.Getpid(), Dir: dir, Admin: s.Admin, Refused: map[string]string{}}
	for _, status := range f.List() {
		if status.Refused != "" {
			r.Refused[status.Name] = status.Refused
			continue
		}
		r.TPMs++
	}
	if s.JSON {
		return json.NewEncoder(out).Encode(r)
	}
	text := cli.Plural(r.TPMs, "TPM", "TPMs") + " in " + dir
	if n := len(r.Refused); n > 0 {
		text += fmt.Sprintf(", and %d left out", n)
	}
	_, err = fmt.Fprintln(out, text)
	return err
}

//go:build linux

// Command fleet, which scripts/bench-fleet builds and starts, measures many TPMs in one
// process beside many processes with one TPM each.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const help = `Usage: scripts/bench-fleet [--tpms N] [--clients N] [--rounds N] [--time TIME] [--json]

Starts N TPMs with swtpmd and then as N processes of swtpm, round after round,
and asks both the same. A TPM is ready when a client has sent INIT on its control socket
and the answer to TPM2_Startup is there. The sockets are unix sockets, and each TPM has
a directory for its state. swtpm is started by a loop of the shell that waits for
nothing.

Rows (medians of the rounds; the ratio is the median of the rounds' ratios):
  ready      from exec to the last TPM's answer to TPM2_Startup, in milliseconds
  ready-cpu  what the processes have run until then, in milliseconds of processor time
  idle       memory for a TPM that is started and has no client, in KiB: the sum of the
             proportional set sizes (PSS) of all processes, divided by N
  connected  the same with a client on the control and the data socket of each TPM
  some       PCR_Extend a second, with one client on each of --clients TPMs
  all        PCR_Extend a second, with one client on each of the N TPMs
  all-cpu    what the processes run for one command of the row before, in microseconds
  slowest    with all clients: the median client's rate divided by the slowest client's

All clients are one thread that sends a client's next command as soon as the answer to
its last one is there. For a share of the processors say taskset -c 0,1 before the
script.

  --tpms N        TPMs (default 100)
  --clients N     clients of the row "some" (default 64; at most all)
  --rounds N      rounds (default 7)
  --time TIME     how long the clients of a row send (default 2s)
  --ours HOW      fleet: one process (default); processes: swtpmd socket for each TPM
  --flags WORDS   more flags for the fleet, or for each process of swtpmd
  --json          one JSON object for each row on stdout
  --swtpmd PATH   the swtpmd to measure (scripts/bench-fleet builds one)
  --swtpm PATH    the swtpm to measure (default: from $PATH)

Examples:
  scripts/bench-fleet
  scripts/bench-fleet --tpms 1000 --json >fleet.json
  scripts/bench-fleet --tpms 100 --rounds 3 --ours processes

Exit codes: 0 measured; 1 something could not be started or answered; 2 usage.
`

// settings are the command line as values.
type settings struct {
	tpms, clients, rounds int
	time                  time.Duration
	ours, flags           string
	json                  bool
	swtpmd, swtpm         string
}

// parse reads the command line.
func parse(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("scripts/bench-fleet", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.IntVar(&s.tpms, "tpms", 100, "")
	f.IntVar(&s.clients, "clients", 64, "")
	f.IntVar(&s.rounds, "rounds", 7, "")
	f.DurationVar(&s.time, "time", 2*time.Second, "")
	f.StringVar(&s.ours, "ours", "fleet", "")
	f.StringVar(&s.flags, "flags", "", "")
	f.BoolVar(&s.json, "json", false, "")
	f.StringVar(&s.swtpmd, "swtpmd", "swtpmd", "")
	f.StringVar(&s.swtpm, "swtpm", "swtpm", "")
	err := f.Parse(args)
	switch {
	case err != nil:
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	case s.tpms < 1 || s.clients < 1 || s.rounds < 1 || s.time <= 0:
		err = errors.New("--tpms, --clients, --rounds and --time are above 0")
	case s.ours != "fleet" && s.ours != "processes":
		err = fmt.Errorf("--ours %q: say fleet or processes", s.ours)
	}
	return s, err
}

func main() {
	s, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(help)
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "scripts/bench-fleet: %v; see scripts/bench-fleet --help\n", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &s, os.Stdout); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "scripts/bench-fleet:", err)
		os.Exit(1)
	}
}

// run measures both in turn and prints the rows.
func run(ctx context.Context, s *settings, out io.Writer) error {
	if err := allowDescriptors(4*s.tpms + 100); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ours := processes("swtpmd", s.swtpmd, strings.Fields(s.flags))
	if s.ours == "fleet" {
		ours = fleet(s.swtpmd, strings.Fields(s.flags))
	}
	pair := [2]rival{ours, processes("swtpm", s.swtpm, nil)}
	var taken [2][]visit
	for round := range s.rounds {
		for i := range pair {
			at := (i + round) % 2 // who is first changes
			fmt.Fprintf(os.Stderr, "round %d of %d, %s\n", round+1, s.rounds, pair[at].name)
			v, err := pair[at].visit(ctx, filepath.Join(dir, fmt.Sprintf("%s%d", pair[at].name, round)), s)
			if err != nil {
				return fmt.Errorf("%s: %w", pair[at].name, err)
			}
			taken[at] = append(taken[at], v)
		}
	}
	return printRows(out, rowsOf(taken), s.json)
}

// allowDescriptors lets this process and what it starts have n open files.
func allowDescriptors(n int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max < uint64(n) {
		return fmt.Errorf("so many TPMs take %d open files, and the hard limit is %d: raise it (ulimit -Hn)", n, limit.Max)
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

//go:build linux

// Command v185, which scripts/bench-v185 builds and starts, measures the commands with
// keys of version 185 beside the same operations of libraries, in turn, in one process.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"
)

const help = `Usage: scripts/bench-v185 [--rounds N] [--time TIME] [--rows REGEXP] [--session KIND] [--json]

Measures commands of a TPM with the profile v185 beside the same operation called
directly: of a library (crypto/mlkem, of github.com/cloudflare/circl for ML-KEM-512,
curve 448 and DHKEM, filippo.io/mldsa, crypto/ed25519), and of the package emulator/crypt that the TPM itself
computes with. All are in one process and
take turns, round after round, in an order that changes; commands are bytes that go into
the TPM, and responses bytes that come out.

A row is a command and a key. Times are in microseconds (medians of the rounds), a ratio
is the command's time by the other one's in the same round (median, lowest, highest).
Last come rows that say how many times as many a second a command makes as the same
command with RSA-2048.

What a row needs is made before it is measured: keys are loaded, and expanded on both
sides where the library can keep an expanded key (filippo.io/mldsa expands a public key
again for every signature that it verifies). What a command loads is flushed outside of
the time. Equal keys are not made again: CreatePrimary has another template every time,
and the library another seed.

  --rounds N      rounds (default 31)
  --time TIME     time for each side in a round (default 50ms)
  --rows REGEXP   measure only the rows whose name matches
  --session KIND  what authorizes the commands: hmac, a session with SHA-256 whose HMACs
                  are computed and checked (default), or password. Encapsulate and
                  VerifyDigestSignature need no authorization
  --clock KIND    cpu: the processor time of the process, in which others on the machine
                  count for little (default); wall: the time of day
  --json          one JSON object for each row on stdout

Examples:
  scripts/bench-v185
  scripts/bench-v185 --rows 'Quote ML-DSA' --clock wall
  scripts/bench-v185 --rounds 101 --json >v185.json
  go test ./conformance/bench/v185 -run '^$' -bench . -count 10

Exit codes: 0 measured; 1 something could not be started or answered; 2 usage.
`

// settings are the command line as values.
type settings struct {
	rounds  int
	time    time.Duration
	rows    *regexp.Regexp
	session string
	clock   string
	json    bool
}

// parse reads the command line.
func parse(args []string) (s settings, err error) {
	f := flag.NewFlagSet("scripts/bench-v185", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	var only string
	f.IntVar(&s.rounds, "rounds", 31, "")
	f.DurationVar(&s.time, "time", 50*time.Millisecond, "")
	f.StringVar(&only, "rows", "", "")
	f.StringVar(&s.session, "session", sessionHMAC, "")
	f.StringVar(&s.clock, "clock", "cpu", "")
	f.BoolVar(&s.json, "json", false, "")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	switch {
	case f.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case s.rounds < 1 || s.time <= 0:
		return s, errors.New("--rounds and --time are above 0")
	case s.session != sessionHMAC && s.session != sessionPassword:
		return s, fmt.Errorf("--session %q: say hmac or password", s.session)
	case clocks[s.clock] == nil:
		return s, fmt.Errorf("--clock %q: say cpu or wall", s.clock)
	}
	if s.rows, err = regexp.Compile(only); err != nil {
		return s, fmt.Errorf("--rows: %w", err)
	}
	return s, nil
}

func main() {
	s, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(help)
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "scripts/bench-v185: %v; see scripts/bench-v185 --help\n", err)
		os.Exit(2)
	}
	if err := run(&s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "scripts/bench-v185:", err)
		os.Exit(1)
	}
}

// run measures the rows and prints them.
func run(s *settings, out io.Writer) error {
	device, err := start()
	if err != nil {
		return err
	}
	var results []result
	for _, r := range rows() {
		if !s.rows.MatchString(r.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, r.name)
		measured, err := measure(device, &r, s)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		results = append(results, measured)
	}
	return printResults(out, results, s.json)
}

// Command differential compares the emulator with other TPMs; see usage.txt and
// package conformance/differential. scripts/differential builds and starts it.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"

	"github.com/swtpmd/swtpmd/conformance/differential"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/known"
)

//go:embed usage.txt
var usage string

// Exit codes.
const (
	exitEqual  = 0
	exitFound  = 1
	exitUsage  = 2
	exitBroken = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the command line.
type options struct {
	commands, sequences, power int
	seed                       uint64
	against, device            string
	check, json                bool
	maxFindings                int
	replay                     string
	version185                 int
	share                      float64
}

func parse(args []string) (options, error) {
	o := options{seed: rand.Uint64()}
	flags := flag.NewFlagSet("differential", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.commands, "commands", 20000, "")
	flags.IntVar(&o.sequences, "sequences", 500, "")
	flags.IntVar(&o.power, "power", 100, "")
	flags.Uint64Var(&o.seed, "seed", o.seed, "")
	flags.StringVar(&o.against, "against", "simulator", "")
	flags.StringVar(&o.device, "device", "emulator", "")
	flags.BoolVar(&o.check, "check", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.IntVar(&o.maxFindings, "max-findings", 50, "")
	flags.StringVar(&o.replay, "replay", "", "")
	flags.IntVar(&o.version185, "version185", 0, "")
	flags.Float64Var(&o.share, "share", 0, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.commands < 0 || o.sequences < 0 || o.power < 0 || o.version185 < 0 || o.maxFindings < 1:
		return o, errors.New("counts may not be negative")
	case o.share < 0 || o.share > 1:
		return o, fmt.Errorf("--share is %g; want a number from 0 to 1", o.share)
	case o.against == o.device:
		return o, fmt.Errorf("--device and --against are both %q; there is nothing to compare", o.device)
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitEqual
	}
	if err != nil {
		fmt.Fprintf(stderr, "differential: %v; see --help\n", err)
		return exitUsage
	}
	if o.version185 > 0 || o.share > 0 {
		return playVersion185(ctx, o, stdout, stderr)
	}
	// Physical presence is always asserted to the simulator, and never to swtpm.
	targets := &targets{check: o.check, present: o.against == "simulator"}
	defer func() { err = errors.Join(err, targets.close()) }()
	ours, errOurs := targets.named(o.device)
	theirs, errTheirs := targets.named(o.against)
	if err := errors.Join(errOurs, errTheirs); err != nil {
		fmt.Fprintf(stderr, "differential: %v\n", err)
		var unknown *unknownTargetError
		if errors.As(err, &unknown) {
			return exitUsage
		}
		return exitBroken
	}
	if o.replay != "" {
		return replay(ctx, o, ours, theirs, stdin, stdout, stderr)
	}
	return campaign(ctx, o, ours, theirs, stdout, stderr)
}

func campaign(ctx context.Context, o options, ours, theirs conversation.Target, stdout, stderr io.Writer) int {
	fmt.Fprintf(stderr, "%s against %s, --seed %d\n", ours.Name, theirs.Name, o.seed)
	last := time.Now()
	report, err := differential.Campaign{
		Ours: ours, Theirs: theirs, Seed: o.seed,
		Packets: o.commands, Sequences: o.sequences, Power: o.power,
		Known: known.Differences(), MaxFindings: o.maxFindings,
		Progress: func(layer string, done, of, unexplained int) {
			if done == of || time.Since(last) > 5*time.Second {
				last = time.Now()
				fmt.Fprintf(stderr, "%s: script %d of %d, %d unexplained differences\n", layer, done, of, unexplained)
			}
		},
		Found: func(f differential.Finding) {
			fmt.Fprintf(stderr, "found: %s: %s\n%s\n", f.Command, f.Detail, f.Transcript)
		},
	}.Run(ctx)
	if o.json {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		err = errors.Join(err, encoder.Encode(report))
	} else {
		err = errors.Join(err, report.WriteText(stdout))
	}
	switch {
	case err != nil && !errors.Is(err, differential.ErrTooManyFindings):
		fmt.Fprintf(stderr, "differential: %v\n", err)
		return exitBroken
	case err != nil || report.Unexplained() > 0:
		fmt.Fprintf(stderr, "differential: %d unexplained differences of %d kinds\n", report.Unexplained(), len(report.Findings))
		return exitFound
	}
	return exitEqual
}

func replay(ctx context.Context, o options, ours, theirs conversation.Target, stdin io.Reader, stdout, stderr io.Writer) int {
	script, err := readScript(o.replay, stdin)
	if err != nil {
		fmt.Fprintf(stderr, "differential: %v\n", err)
		return exitUsage
	}
	equal, err := differential.Replay(ctx, ours, theirs, known.Differences(), script, stdout)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "differential: %v\n", err)
		return exitBroken
	case !equal:
		return exitFound
	}
	return exitEqual
}

func readScript(name string, stdin io.Reader) (conversation.Script, error) {
	if name == "-" {
		return conversation.ReadScript(stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return conversation.ReadScript(file)
}

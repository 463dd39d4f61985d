// Command tpm2-tour runs the chapters of package conformance/tour, which call
// tpm2-tools against a TPM; see usage.txt. scripts/tpm2-tour builds and starts it.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/conformance/tour"
)

//go:embed usage.txt
var usage string

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitBroken = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the command line.
type options struct {
	tpm, tcti, reset string
	swtpmd, swtpm    string
	list, json       bool
	chapters         []tour.Chapter
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("tpm2-tour", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.tpm, "tpm", "swtpmd", "")
	flags.StringVar(&o.tcti, "tcti", "", "")
	flags.StringVar(&o.reset, "reset", "", "")
	flags.StringVar(&o.swtpmd, "swtpmd", "swtpmd", "")
	flags.StringVar(&o.swtpm, "swtpm", "swtpm", "")
	flags.BoolVar(&o.list, "list", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case !slices.Contains([]string{"swtpmd", "mssim", "swtpm"}, o.tpm):
		return o, fmt.Errorf("--tpm is %q; there are swtpmd, mssim and swtpm", o.tpm)
	case o.reset != "" && o.tcti == "":
		return o, errors.New("--reset goes with --tcti; what is started here is reset without it")
	}
	all, err := tour.Chapters()
	if err != nil {
		return o, err
	}
	o.chapters, err = chosen(all, flags.Args())
	return o, err
}

// chosen returns the named chapters in the order of the tour, all if none is named.
func chosen(all []tour.Chapter, wanted []string) ([]tour.Chapter, error) {
	if len(wanted) == 0 {
		return all, nil
	}
	var some []tour.Chapter
	var known []string
	for _, c := range all {
		known = append(known, c.Name)
		if slices.Contains(wanted, c.Name) {
			some = append(some, c)
		}
	}
	for _, name := range wanted {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no chapter %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return some, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "tpm2-tour: %v; see --help\n", err)
		return exitUsage
	}
	if o.list {
		list(o.chapters, stdout)
		return exitOK
	}
	failed, err := o.walk(ctx, stdout, stderr)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "tpm2-tour: %v\n", err)
		return exitBroken
	case failed:
		return exitFailed
	}
	return exitOK
}

func list(chapters []tour.Chapter, out io.Writer) {
	for _, c := range chapters {
		for _, s := range c.Steps {
			fmt.Fprintf(out, "%s\t%s\t%s\n", c.Name, strings.Join(s.Tools, ","), s.Proves)
		}
	}
}

// walk runs the chapters and reports whether a step failed.
func (o *options) walk(ctx context.Context, stdout, stderr io.Writer) (failed bool, err error) {
	target, stop, err := o.target(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	count := map[tour.Outcome]int{}
	proved := map[string]bool{}
	report := func(r tour.Result) {
		count[r.Outcome]++
		for _, tool := range r.Tools {
			proved[tool] = proved[tool] || r.Outcome == tour.OK
		}
		err = errors.Join(err, o.print(stdout, r))
	}
	for _, c := range o.chapters {
		if broken := c.Run(ctx, target, "", report); broken != nil {
			return false, errors.Join(err, broken)
		}
	}
	tools := 0
	for _, ok := range proved {
		if ok {
			tools++
		}
	}
	fmt.Fprintf(stderr, "tpm2-tour: %d tools proved; steps: %d ok, %d failed, %d left out\n",
		tools, count[tour.OK], count[tour.Failed], count[tour.LeftOut])
	return count[tour.Failed] > 0, err
}

func (o *options) print(out io.Writer, r tour.Result) error {
	if o.json {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", r.Outcome, r.Chapter, strings.Join(r.Tools, ","), r.Proves)
	if r.Reason != "" {
		_, more := fmt.Fprintf(out, "\t%s\n", strings.ReplaceAll(r.Reason, "\n", "\n\t"))
		err = errors.Join(err, more)
	}
	return err
}

// target returns the TPM that the command line asks for, and a function that ends it.
func (o *options) target(ctx context.Context) (tour.Target, func() error, error) {
	switch {
	case o.tcti == "" && o.tpm == "mssim":
		return o.startMSSIM(ctx)
	case o.tcti == "":
		return o.start(ctx)
	}
	target := tour.Target{TCTI: o.tcti}
	if o.reset != "" {
		target.Reset = func(ctx context.Context) error {
			out, err := exec.CommandContext(ctx, "sh", "-c", o.reset).CombinedOutput()
			if err != nil {
				return fmt.Errorf("--reset: %w: %s", err, out)
			}
			return nil
		}
	}
	return target, func() error { return nil }, nil
}

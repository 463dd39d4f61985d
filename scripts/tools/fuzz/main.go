// Command fuzz runs the fuzz targets of this module and prints how fast they are and
// what they reach; see usage.txt. scripts/fuzz builds and starts it.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the command line.
type options struct {
	time                    string
	parallel                int
	fresh, noCoverage, keep bool
	list, json              bool
	targets                 []*regexp.Regexp
}

func parse(args []string, fuzztime string) (options, error) {
	if fuzztime == "" {
		fuzztime = "10s"
	}
	var o options
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.time, "time", fuzztime, "")
	flags.IntVar(&o.parallel, "parallel", 1, "")
	flags.BoolVar(&o.fresh, "fresh", false, "")
	flags.BoolVar(&o.noCoverage, "no-coverage", false, "")
	flags.BoolVar(&o.keep, "keep", false, "")
	flags.BoolVar(&o.list, "list", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if _, err := limit(o.time); err != nil {
		return o, err
	}
	if o.parallel < 1 {
		return o, fmt.Errorf("--parallel %d: at least 1 process is needed", o.parallel)
	}
	for _, a := range flags.Args() {
		re, err := regexp.Compile(a)
		if err != nil {
			return o, fmt.Errorf("TARGET %q: %w", a, err)
		}
		o.targets = append(o.targets, re)
	}
	return o, nil
}

// limit returns how long a run with --time may take before it counts as hung.
func limit(fuzztime string) (time.Duration, error) {
	const patience = 10 * time.Minute
	if count, ok := strings.CutSuffix(fuzztime, "x"); ok {
		if n, err := strconv.Atoi(count); err != nil || n < 1 {
			return 0, fmt.Errorf("--time %q: a count is a number from 1 with an x, such as 1000x", fuzztime)
		}
		return patience, nil
	}
	d, err := time.ParseDuration(fuzztime)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("--time %q: neither a time such as 30s nor a count such as 1000x", fuzztime)
	}
	return d + patience, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, os.Getenv("FUZZTIME"))
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "fuzz: %v; see scripts/fuzz --help\n", err)
		return exitUsage
	}
	all, err := find(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "fuzz: %v\n", err)
		return exitBroken
	}
	chosen := choose(all, o.targets)
	if len(chosen) == 0 {
		fmt.Fprintf(stderr, "fuzz: no target is called so; scripts/fuzz --list prints all\n")
		return exitUsage
	}
	if o.list {
		for _, t := range chosen {
			fmt.Fprintln(stdout, t)
		}
		return exitOK
	}
	return campaign(ctx, o, chosen, stdout, stderr)
}

// campaign runs targets one after another.
func campaign(ctx context.Context, o options, targets []target, stdout, stderr io.Writer) int {
	work, err := os.MkdirTemp("", "swtpmd-fuzz-")
	if err != nil {
		fmt.Fprintf(stderr, "fuzz: %v\n", err)
		return exitBroken
	}
	defer os.RemoveAll(work)
	cache := filepath.Join(work, "inputs")
	if !o.fresh {
		if cache, err = filepath.Abs(filepath.Join(".cache", "fuzz")); err != nil {
			fmt.Fprintf(stderr, "fuzz: %v\n", err)
			return exitBroken
		}
	}
	b := builder{work: work, progress: stderr}
	print := printer(stdout, o.json, !o.noCoverage)
	code := exitOK
	for _, t := range targets {
		r, err := one(ctx, o, &b, t, filepath.Join(cache, t.pkg), stderr)
		if ctx.Err() != nil {
			fmt.Fprintf(stderr, "fuzz: %s: interrupted\n", t)
			return exitFailed
		}
		if err != nil {
			fmt.Fprintf(stderr, "fuzz: %s: %v\n", t, err)
			code = exitBroken
			continue
		}
		if r.Failed && code == exitOK {
			code = exitFailed
		}
		print(r)
	}
	return code
}

// one runs one target, and measures and keeps what was asked for.
func one(ctx context.Context, o options, b *builder, t target, cache string, stderr io.Writer) (result, error) {
	binary, err := b.instrumented(ctx, t)
	if err != nil {
		return result{}, err
	}
	r, err := fuzz(ctx, o, t, binary, cache, stderr)
	if err != nil || r.Failed || o.noCoverage && !o.keep {
		return r, err
	}
	if binary, err = b.covered(ctx, t); err != nil {
		return r, err
	}
	c, err := newCoverage(b.work, t, binary)
	if err != nil {
		return r, err
	}
	found := filepath.Join(cache, t.name)
	if o.keep {
		if r.Kept, err = c.keep(ctx, found); err != nil {
			return r, err
		}
	}
	r.Coverage, err = c.percent(ctx, found)
	return r, err
}

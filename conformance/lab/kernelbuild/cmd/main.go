// Command kernel-lab, which scripts/kernel-lab builds and starts, builds the kernels of the
// lab and finds those that were built.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/conformance/lab/kernelbuild"
)

// Exit codes.
const (
	exitDone     = 0
	exitFailed   = 1   // a kernel did not build, or is not built
	exitUsage    = 2   // the command line is wrong
	exitSetup    = 3   // something that a build needs is missing
	exitSignaled = 130 // ended by Ctrl-C or SIGTERM
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitDone
	}
	if err == nil {
		err = o.command(ctx, stdout, stderr)
	}
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "kernel-lab: %v\n", err)
	code := exitCode(ctx, err)
	if code == exitUsage {
		fmt.Fprintln(stderr, "See scripts/kernel-lab --help.")
	}
	return code
}

func exitCode(ctx context.Context, err error) int {
	var wrong *usageError
	var made *kernelbuild.MakeError
	var none *kernelbuild.NotBuiltError
	switch {
	case ctx.Err() != nil:
		return exitSignaled
	case errors.As(err, &wrong):
		return exitUsage
	case errors.As(err, &made), errors.As(err, &none):
		return exitFailed
	}
	return exitSetup
}

// command carries out the command line.
func (o *options) command(ctx context.Context, stdout, stderr io.Writer) error {
	dir, err := lab.CacheDir(o.cache)
	if err != nil {
		return err
	}
	switch o.name {
	case "list":
		return o.list(kernelbuild.InCache(dir), stdout)
	case "path":
		built, err := kernelbuild.InCache(dir).Find(o.kernels[0])
		if err != nil {
			return err
		}
		if o.json {
			return writeJSON(stdout, built)
		}
		_, err = fmt.Fprintln(stdout, built.Image)
		return err
	}
	return o.build(ctx, dir, stdout, stderr)
}

// build builds the kernels and prints those that are there afterwards, even if others
// failed.
func (o *options) build(ctx context.Context, dir string, stdout, stderr io.Writer) error {
	b := &kernelbuild.Builder{
		Apt:    &lab.Apt{Cache: dir, Progress: stderr},
		Suites: o.suites, Install: !o.noInstall, Jobs: o.jobs, Progress: stderr,
	}
	results, err := b.Build(ctx, o.kernels)
	if o.json {
		if results == nil {
			results = []kernelbuild.Result{}
		}
		return errors.Join(err, writeJSON(stdout, results))
	}
	for _, r := range results {
		fmt.Fprintln(stdout, r.Image)
	}
	return err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Command shape measures how the module is built: how far the files of a package
// depend on each other, what has no comment, which words are used, how often a
// command looks up its handles. scripts/shape builds and starts it.
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
	"os/signal"
	"syscall"
)

//go:embed usage.txt
var usage string

// Exit codes.
const (
	exitOK       = 0
	exitExceeded = 1
	exitUsage    = 2
	exitBroken   = 3
)

// shape has the figures of one tree.
type shape struct {
	Tree     string    `json:"tree"`
	Packages []figures `json:"packages"`
	Words    []word    `json:"words"`
	Lookups  []lookups `json:"lookups,omitempty"`
}

// figures are those of one package.
type figures struct {
	Path        string     `json:"path"` // below the module, "." for its root
	Files       int        `json:"files"`
	Lines       int        `json:"lines"`
	Code        int        `json:"code"`
	Knots       [][]string `json:"knots"`       // the largest first
	Uncommented []string   `json:"uncommented"` // FILE:LINE: NAME
}

// options are the command line.
type options struct {
	noLookups, check, json bool
	trees                  []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("shape", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.noLookups, "no-lookups", false, "")
	flags.BoolVar(&o.check, "check", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.trees = flags.Args(); len(o.trees) == 0 {
		o.trees = []string{"."}
	}
	if o.check && len(o.trees) > 1 {
		return o, fmt.Errorf("--check takes one tree, not %d", len(o.trees))
	}
	return o, nil
}

// run measures the trees of the module in the current directory.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "shape: %v; see scripts/shape --help\n", err)
		return exitUsage
	}
	var shapes []shape
	for _, name := range o.trees {
		s, err := measureTree(ctx, name, !o.noLookups)
		if err != nil {
			fmt.Fprintf(stderr, "shape: %s: %v\n", name, err)
			return exitBroken
		}
		shapes = append(shapes, s)
	}
	if err := write(stdout, shapes, o.json); err != nil {
		fmt.Fprintf(stderr, "shape: %v\n", err)
		return exitBroken
	}
	if o.check {
		return check(shapes[0], stderr)
	}
	return exitOK
}

// write prints the shapes: as JSON objects, or as tables with a column for each.
func write(out io.Writer, shapes []shape, asJSON bool) error {
	if !asJSON {
		return writeTables(out, shapes)
	}
	encoder := json.NewEncoder(out)
	for _, s := range shapes {
		if err := encoder.Encode(s); err != nil {
			return err
		}
	}
	return nil
}

// check names what exceeds a limit.
func check(s shape, stderr io.Writer) int {
	list, err := parseLimits(limitsText)
	if err != nil {
		fmt.Fprintf(stderr, "shape: %v\n", err)
		return exitBroken
	}
	found := exceeded(s, list)
	for _, e := range found {
		fmt.Fprintf(stderr, "shape: %s\n", e)
	}
	if len(found) > 0 {
		return exitExceeded
	}
	return exitOK
}

// Command deferral, which scripts/deferral builds and starts, boots kernels that defer
// their TPM and prints what became of IMA.
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
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/conformance/lab/deferral"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/ima/boot"
)

//go:embed usage.txt
var usage string

// Exit codes.
const (
	exitAgrees   = 0
	exitDiffers  = 1
	exitUsage    = 2
	exitSetup    = 3
	exitSignaled = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the command line.
type options struct {
	deferral.BootOptions
	row                  string
	boots                int
	simulate, json, list bool
}

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("deferral", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.row, "row", "", "")
	f.IntVar(&o.boots, "boots", 4, "")
	f.BoolVar(&o.simulate, "simulate", false, "")
	f.BoolVar(&o.json, "json", false, "")
	o.Define(f)
	f.BoolVar(&o.list, "list", false, "")
	return f
}

// rows returns the rows to boot.
func (o *options) rows() ([]deferral.Row, error) {
	var chosen []deferral.Row
	for _, r := range deferral.Rows() {
		if strings.Contains(r.Name(), o.row) {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("--row=%s: no row has that in its name; --list prints them", o.row)
	}
	return chosen, nil
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	f := o.flags()
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitAgrees
	}
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("%q is no option", f.Arg(0))
	}
	if err == nil && o.boots < 1 {
		err = fmt.Errorf("--boots=%d: a race is booted once at least", o.boots)
	}
	if err == nil {
		err = o.Check()
	}
	rows, none := o.rows()
	if err = errors.Join(err, none); err != nil {
		fmt.Fprintf(stderr, "deferral: %v\nSee deferral --help.\n", err)
		return exitUsage
	}
	if o.list {
		for _, r := range rows {
			fmt.Fprintln(stdout, r.Name())
		}
		return exitAgrees
	}
	cells, err := o.cells(ctx, rows, stderr)
	var setup *lab.SetupError
	switch {
	case ctx.Err() != nil:
		return exitSignaled
	case errors.As(err, &setup):
		fmt.Fprintf(stderr, "deferral: %v\n", err)
		return exitSetup
	case err != nil:
		fmt.Fprintf(stderr, "deferral: %v\n", err)
		return exitDiffers
	}
	return o.print(cells, stdout, stderr)
}

func (o *options) print(cells []deferral.Cell, stdout, stderr io.Writer) int {
	var err error
	if o.json {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		err = e.Encode(cells)
	} else {
		err = deferral.WriteTable(stdout, cells)
	}
	code := exitAgrees
	for _, c := range cells {
		if c.Differs != "" {
			fmt.Fprintf(stderr, "deferral: %s, IMA at %s: %s\n", c.Row, c.Start, c.Differs)
			code = exitDiffers
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "deferral: %v\n", err)
		code = exitDiffers
	}
	return code
}

// cells simulates and boots the rows.
func (o *options) cells(ctx context.Context, rows []deferral.Row, progress io.Writer) ([]deferral.Cell, error) {
	var l *deferral.Lab
	if !o.simulate {
		var done func()
		var err error
		if l, done, err = o.Equip(ctx, os.Getenv("DEFERRAL_SOURCE"), progress); err != nil {
			return nil, err
		}
		defer done()
	}
	var cells []deferral.Cell
	selfTests := new(crypt.SelfTests)
	for _, r := range rows {
		for _, start := range deferral.Starts() {
			c := deferral.Cell{Row: r.Name(), Start: start, Kernel: r.Kernel(start), Why: r.Why}
			if err := simulate(ctx, r, &c, selfTests); err != nil {
				return nil, err
			}
			if l != nil {
				if err := o.boot(ctx, *l, r, &c); err != nil {
					return nil, fmt.Errorf("%s, IMA at %s: %w", c.Row, start, err)
				}
			}
			cells = append(cells, c)
		}
	}
	return cells, nil
}

// seeds is how often a race is simulated.
const seeds = 16

// simulate simulates a row: once, or often enough to see both ends of a race. The TPMs
// share their self-tests.
func simulate(ctx context.Context, r deferral.Row, c *deferral.Cell, selfTests *crypt.SelfTests) error {
	often, scatter := uint64(1), time.Duration(0)
	if r.Outcome[c.Start] == deferral.Race {
		often, scatter, c.SimulatedRace = seeds, boot.RaceWindow, new(deferral.Share)
	}
	for seed := uint64(1); seed <= often; seed++ {
		now := new(boot.Time)
		tpm, err := emulator.New(emulator.Platform{Clock: now, SelfTest: selfTests.SelfTest}, emulator.Config{})
		if err != nil {
			return err
		}
		o, err := r.Simulate(ctx, c.Start, tpm, now, seed, scatter)
		if err != nil {
			return err
		}
		if differs := r.Mismatch(o); differs != "" {
			c.Differ(fmt.Sprintf("simulated with seed %d: %s", seed, differs))
		}
		c.Simulated = o
		if c.SimulatedRace != nil {
			c.SimulatedRace.Add(o)
		}
	}
	return nil
}

// boot boots a row, if its kernel is there.
func (o *options) boot(ctx context.Context, l deferral.Lab, r deferral.Row, c *deferral.Cell) error {
	if _, err := l.Kernel(c.Kernel); err != nil {
		c.NotBooted = err.Error()
		fmt.Fprintf(l.Progress, "%s, IMA at %s: no boot: %v\n", c.Row, c.Start, err)
		return nil
	}
	keep := ""
	if o.Keep != "" {
		keep = filepath.Join(o.Keep, strings.NewReplacer(", ", "-", "=", "-").Replace(c.Row)+"-"+string(c.Start))
	}
	often := 1
	if r.Outcome[c.Start] == deferral.Race {
		often, c.BootedRace = o.boots, new(deferral.Share)
	}
	for n := range often {
		if l.Keep = keep; keep != "" && n > 0 {
			l.Keep = fmt.Sprintf("%s-%d", keep, n+1)
		}
		booted, verdict, err := l.Boot(ctx, r, c.Start)
		if err != nil {
			return err
		}
		c.Booted = booted
		if c.BootedRace != nil {
			c.BootedRace.Add(booted)
		}
		for _, differs := range []string{r.Mismatch(booted), deferral.PCRMismatch(verdict.Last())} {
			if differs != "" {
				c.Differ("booted: " + differs)
			}
		}
		fmt.Fprintf(l.Progress, "%s, IMA at %s: %s\n", c.Row, c.Start, verdict.Last().Sentence)
	}
	return nil
}

package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/conformance/lab/kernelbuild"
	"github.com/swtpmd/swtpmd/conformance/lab/prediction"
)

//go:embed usage.txt
var usage string

// options are the command line.
type options struct {
	source            string // the module's folder
	results, page     string
	cells             []string // patterns
	count, race       int
	list, again, json bool
	tableOnly         bool
	kernels, keep     string
	swtpmd, cache     string
	noInstall         bool
	timeout           time.Duration
}

func parse(args []string) (options, error) {
	o := options{source: os.Getenv("PREDICTION_SOURCE")}
	f := flag.NewFlagSet("prediction", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.results, "results", filepath.Join(o.source, "conformance/lab/prediction/testdata/campaign"), "")
	f.StringVar(&o.page, "page", filepath.Join(o.source, "docs/predictions.md"), "")
	f.Func("cells", "", func(pattern string) error {
		_, err := path.Match(pattern, "")
		o.cells = append(o.cells, pattern)
		return err
	})
	f.IntVar(&o.count, "count", 0, "")
	f.IntVar(&o.race, "race-boots", 8, "")
	f.BoolVar(&o.list, "list", false, "")
	f.BoolVar(&o.again, "again", false, "")
	f.BoolVar(&o.json, "json", false, "")
	f.BoolVar(&o.tableOnly, "table", false, "")
	f.StringVar(&o.keep, "keep", "", "")
	f.StringVar(&o.kernels, "kernels", "", "")
	f.StringVar(&o.swtpmd, "swtpmd", "", "")
	f.StringVar(&o.cache, "cache", "", "")
	f.BoolVar(&o.noInstall, "no-install", false, "")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q is no option", f.Arg(0))
	case o.count < 0:
		return o, fmt.Errorf("--count=%d: a number of cells is not negative", o.count)
	case o.race < 1:
		return o, fmt.Errorf("--race-boots=%d: a race is booted once at least", o.race)
	case o.timeout <= 0:
		return o, fmt.Errorf("--timeout=%s: a boot takes longer than that", o.timeout)
	}
	return o, nil
}

// chosen are the cells that the patterns name, all without any.
func (o *options) chosen() ([]prediction.Cell, error) {
	var all []prediction.Cell
	for _, m := range prediction.Machines() {
		all = append(all, m.Cells()...)
	}
	if len(o.cells) == 0 {
		return all, nil
	}
	all = slices.DeleteFunc(all, func(c prediction.Cell) bool {
		return !slices.ContainsFunc(o.cells, func(pattern string) bool {
			matched, err := path.Match(pattern, c.ID())
			return err == nil && matched
		})
	})
	if len(all) == 0 {
		return nil, fmt.Errorf("no cell matches --cells=%s; --list names them", o.cells[0])
	}
	return all, nil
}

// run does what the options ask for, and reports whether every boot had an outcome that
// was predicted.
func (o *options) run(ctx context.Context, stdout, stderr io.Writer) (same bool, err error) {
	cells, err := o.chosen()
	if err != nil {
		return false, err
	}
	store := prediction.Store{Dir: o.results}
	if o.list {
		for _, c := range cells {
			fmt.Fprintln(stdout, c.ID())
		}
		return true, nil
	}
	if !o.tableOnly {
		if err := o.campaign(ctx, store, cells, stdout, stderr); err != nil {
			return false, err
		}
	}
	results, err := store.Results()
	if err != nil {
		return false, err
	}
	if err := o.writePage(results, stdout); err != nil {
		return false, err
	}
	for _, r := range results {
		if slices.Contains(cells, r.Cell) && r.Agreement() == prediction.Differs {
			fmt.Fprintf(stderr, "%s differs\n", r.Cell.ID())
			return false, nil
		}
	}
	return true, nil
}

// writePage puts the table into the page, and prints it where no results are printed.
func (o *options) writePage(results []*prediction.Result, stdout io.Writer) error {
	if !o.json {
		if err := prediction.Table(stdout, results); err != nil {
			return err
		}
	}
	if o.page == "" {
		return nil
	}
	page, err := os.ReadFile(o.page)
	if err != nil {
		return err
	}
	text, ok, err := prediction.Replace(string(page), results)
	if err != nil || !ok {
		return fmt.Errorf("%s has no place for the table (%q): %w", o.page, prediction.Begin, err)
	}
	return os.WriteFile(o.page, []byte(text), 0o644)
}

// campaign predicts and boots the cells.
func (o *options) campaign(ctx context.Context, store prediction.Store, cells []prediction.Cell, stdout, stderr io.Writer) error {
	cache, err := lab.CacheDir(o.cache)
	if err != nil {
		return err
	}
	if o.keep == "" {
		o.keep = filepath.Join(cache, "not-reproduced")
	}
	apt := &lab.Apt{Cache: cache, Progress: stderr}
	bench := &prediction.Lab{Apt: apt, Install: !o.noInstall, Kernel: o.image(apt), Timeout: o.timeout, Swtpmd: o.swtpmd, Progress: io.Discard}
	if bench.Swtpmd == "" {
		fmt.Fprintln(stderr, "building swtpmd")
		path, remove, err := lab.BuildSwtpmd(ctx, o.source)
		if err != nil {
			return err
		}
		defer remove()
		bench.Swtpmd = path
	}
	c := prediction.Campaign{Store: store, Boot: bench.Boot, RaceBoots: o.race, Again: o.again, Limit: o.count, Keep: o.keep, Progress: stderr}
	c.Done = func(r *prediction.Result) error {
		fmt.Fprintf(stderr, "  %s\n", r)
		if !o.json {
			return nil
		}
		return json.NewEncoder(stdout).Encode(r)
	}
	return c.Run(ctx, cells)
}

// image returns a function that finds the images of kernels.
func (o *options) image(apt *lab.Apt) func(context.Context, lab.Board, string) (string, error) {
	debian := make(map[lab.Board]string)
	return func(ctx context.Context, board lab.Board, name string) (path string, err error) {
		if name != "" {
			return o.labKernel(apt, name)
		}
		if debian[board] != "" {
			return debian[board], nil
		}
		if debian[board], err = lab.CachedKernel(apt, board); err != nil && !o.noInstall {
			debian[board], err = lab.DebianKernel(ctx, apt, board)
		}
		return debian[board], err
	}
}

// labKernel returns the image of a kernel that scripts/kernel-lab has built, or that is in
// the folder of --kernels.
func (o *options) labKernel(apt *lab.Apt, name string) (path string, err error) {
	if o.kernels != "" {
		path = filepath.Join(o.kernels, name+".Image")
		if _, err := os.Stat(path); err != nil {
			return "", &lab.SetupError{What: "the kernel " + name, Err: err}
		}
		return path, nil
	}
	kernel, err := kernelbuild.ParseName(name)
	if err != nil {
		return "", &lab.SetupError{What: "the kernel " + name, Err: err}
	}
	built, err := kernelbuild.InCache(apt.Cache).Find(kernel)
	if err != nil {
		return "", &lab.SetupError{What: "the kernel " + name, Hint: "scripts/kernel-lab build " + name, Err: err}
	}
	return built.Image, nil
}

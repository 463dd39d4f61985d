package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/conformance/lab/kernelbuild"
)

//go:embed usage.txt
var usage string

// usageError reports a wrong command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// options are the command line.
type options struct {
	name          string // list, build or path
	kernels       []kernelbuild.Kernel
	all, json     bool
	noInstall     bool
	cache, config string
	jobs          int
	suites        suites
}

// suites is a flag that may be given several times.
type suites []string

func (s *suites) String() string { return strings.Join(*s, ",") }

func (s *suites) Set(name string) error {
	if name == "" || strings.ContainsAny(name, " \t\n/") {
		return fmt.Errorf("%q is no suite", name)
	}
	*s = append(*s, name)
	return nil
}

// commandFlags are the flags of each command.
var commandFlags = map[string][]string{
	"list":  {"json", "cache"},
	"path":  {"json", "cache", "config"},
	"build": {"json", "cache", "config", "all", "jobs", "suite", "no-install"},
}

// flags returns the flags that set o.
func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("kernel-lab", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&o.all, "all", false, "")
	f.BoolVar(&o.json, "json", false, "")
	f.BoolVar(&o.noInstall, "no-install", false, "")
	f.StringVar(&o.cache, "cache", "", "")
	f.StringVar(&o.config, "config", "", "")
	f.IntVar(&o.jobs, "jobs", 0, "")
	f.Var(&o.suites, "suite", "")
	return f
}

// parse reads the command line. The error is flag.ErrHelp or a *usageError.
func parse(args []string) (*options, error) {
	o := new(options)
	names, err := o.words(args)
	if err == nil {
		err = o.choose(names)
	}
	if errors.Is(err, flag.ErrHelp) {
		return nil, err
	}
	if err != nil {
		return nil, &usageError{err}
	}
	if len(o.suites) == 0 {
		o.suites = kernelbuild.Suites
	}
	return o, nil
}

// words reads the command, and its options and names in any order.
func (o *options) words(args []string) (names []string, err error) {
	f := o.flags()
	for len(args) > 0 {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if args = f.Args(); len(args) == 0 {
			break
		}
		if o.name == "" {
			o.name = args[0]
		} else {
			names = append(names, args[0])
		}
		args = args[1:]
	}
	allowed, ok := commandFlags[o.name]
	switch {
	case o.name == "":
		return nil, errors.New("a command is missing: list, build or path")
	case !ok:
		return nil, fmt.Errorf("%q is no command; the commands are list, build and path", o.name)
	}
	f.Visit(func(set *flag.Flag) {
		if !slices.Contains(allowed, set.Name) && err == nil {
			err = fmt.Errorf("%s takes no --%s", o.name, set.Name)
		}
		if set.Name == "jobs" && o.jobs < 1 {
			err = fmt.Errorf("--jobs=%d: make runs one job at least", o.jobs)
		}
	})
	return names, err
}

// choose sets the kernels.
func (o *options) choose(names []string) error {
	switch {
	case o.name == "list":
		if len(names) > 0 {
			return fmt.Errorf("list takes no names: %q", names[0])
		}
		return nil
	case o.all && len(names) > 0:
		return errors.New("--all and names exclude each other")
	case o.all:
		o.kernels = kernelbuild.Catalog()
	case len(names) == 0:
		return fmt.Errorf("%s: which kernel? scripts/kernel-lab list shows their names", o.name)
	}
	chosen, err := kernelbuild.Select(names)
	if err != nil {
		return err
	}
	o.kernels = append(o.kernels, chosen...)
	if o.name == "path" && len(o.kernels) > 1 {
		return errors.New("path takes one name")
	}
	return o.extra()
}

// extra adds the lines of --config to the kernels.
func (o *options) extra() error {
	if o.config == "" {
		return nil
	}
	text, err := os.ReadFile(o.config)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	if err := kernelbuild.CheckConfig(o.config, string(text)); err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	for i := range o.kernels {
		o.kernels[i].Extra = string(text)
	}
	return nil
}

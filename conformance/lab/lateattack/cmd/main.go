// Command late-attack, which scripts/late-attack builds and starts, shows with boots what
// runs before a late start of IMA and is in no list.
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

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/conformance/lab/deferral"
	"github.com/swtpmd/swtpmd/conformance/lab/lateattack"
)

//go:embed usage.txt
var usage string

// Exit codes.
const (
	exitAsSaid   = 0
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
	scene      string
	json, list bool
}

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("late-attack", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.scene, "scene", "", "")
	f.BoolVar(&o.list, "list", false, "")
	f.BoolVar(&o.json, "json", false, "")
	o.Define(f)
	return f
}

func (o *options) scenes() ([]lateattack.Scene, error) {
	var chosen []lateattack.Scene
	for _, s := range lateattack.Scenes() {
		if o.scene == "" || o.scene == s.Name {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("--scene=%s: there is no such scene; --list prints them", o.scene)
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
		return exitAsSaid
	}
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("%q is no option", f.Arg(0))
	}
	if err == nil {
		err = o.Check()
	}
	scenes, none := o.scenes()
	if err = errors.Join(err, none); err != nil {
		fmt.Fprintf(stderr, "late-attack: %v\nSee late-attack --help.\n", err)
		return exitUsage
	}
	if o.list {
		for _, s := range scenes {
			fmt.Fprintf(stdout, "%-20s %s\n", s.Name, s.Teaches)
		}
		return exitAsSaid
	}
	code, err := o.show(ctx, scenes, stdout, stderr)
	if err == nil {
		return code
	}
	fmt.Fprintf(stderr, "late-attack: %v\n", err)
	var setup *lab.SetupError
	switch {
	case ctx.Err() != nil:
		return exitSignaled
	case errors.As(err, &setup):
		return exitSetup
	}
	return exitDiffers
}

// show boots the scenes and prints what was seen.
func (o *options) show(ctx context.Context, scenes []lateattack.Scene, stdout, stderr io.Writer) (code int, err error) {
	l, done, err := o.equip(ctx, scenes, stderr)
	if err != nil {
		return exitSetup, err
	}
	defer done()
	all := []*lateattack.Seen{}
	for _, s := range scenes {
		seen, err := lateattack.Boot(ctx, l, s)
		if err != nil {
			return exitDiffers, fmt.Errorf("scene %s: %w", s.Name, err)
		}
		if differs := s.Mismatch(seen); differs != "" {
			fmt.Fprintf(stderr, "late-attack: scene %s: %s\n", s.Name, differs)
			code = exitDiffers
		}
		all = append(all, seen)
		if !o.json {
			if err := lateattack.WriteText(stdout, s, seen); err != nil {
				return exitDiffers, err
			}
		}
	}
	if o.json {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return code, e.Encode(all)
	}
	return code, nil
}

// equip is Equip, and refuses to begin without the kernels.
func (o *options) equip(ctx context.Context, scenes []lateattack.Scene, progress io.Writer) (*deferral.Lab, func(), error) {
	l, done, err := o.Equip(ctx, os.Getenv("LATE_ATTACK_SOURCE"), progress)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range scenes {
		if _, err := l.Kernel(s.Kernel()); err != nil {
			done()
			return nil, nil, &lab.SetupError{What: "a kernel", Err: err}
		}
	}
	return l, done, nil
}

// Command swtpmd runs a software TPM 2.0 whose availability to the guest can be
// held back until the guest's kernel has come far enough, and steers it while
// it runs. docs/daemon.md is its reference.
//
// This folder holds words, flags and wiring: what the words do lives in the
// packages that are wired.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it ran and failed; stderr says why
	exitUsage  = 2 // the command line is wrong; nothing was started
)

// streams are the three standard streams. stdout carries data only.
type streams struct {
	in       io.Reader
	out, err io.Writer
	// sandboxes are what a daemon may put the process into. There is no way
	// out, so they are nil where the process is not swtpmd's own.
	sandboxes *sandboxes
}

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	// The terminal that went away ends it in order too, unless nohup(1) asks it
	// to stay.
	if !signal.Ignored(syscall.SIGHUP) {
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, sandboxes: &sandboxes{sandbox.Landlock, sandbox.Seccomp}}))
}

// subcommands are what may stand first on the command line. The daemon itself
// has no word.
var subcommands = map[string]func(context.Context, []string, streams) error{
	"socket":   runSocket,
	"ctl":      runCtl,
	"boot":     runBoot,
	"commands": runCommands,
	"verify":   runVerify,
	"measure":  runMeasure,
	"matrix":   runMatrix,
}

// run is main without the process: tests call it.
func run(ctx context.Context, args []string, s streams) int {
	command := runDaemon
	name := "swtpmd"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		var ok bool
		if command, ok = subcommands[args[0]]; !ok {
			return fail(s, name, &usageError{
				fmt.Errorf("unknown command %q", args[0]),
				"the commands are " + strings.Join(slices.Sorted(maps.Keys(subcommands)), ", ") + "; without one the daemon runs; see swtpmd --help",
			})
		}
		name += " " + args[0]
		args = args[1:]
	}
	return fail(s, name, command(ctx, args, s))
}

// fail prints err, if it is one, and gives the exit code.
func fail(s streams, name string, err error) int {
	var usage *usageError
	var code *codeError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &code):
		return code.code
	case errors.As(err, &usage):
		text := fmt.Sprintf("%s: %v\n", name, usage.err)
		if usage.hint != "" {
			text += fmt.Sprintf("hint: %s\n", usage.hint)
		}
		s.say(text)
		return exitUsage
	default:
		s.say(fmt.Sprintf("%s: %v\n", name, err))
		return exitFailed
	}
}

// say writes the last words to stderr, and does not wait long for somebody to
// read them: the process ends anyway.
func (s streams) say(text string) {
	ctx, cancel := context.WithTimeout(context.Background(), logPatience)
	defer cancel()
	within(ctx, func() { _, _ = io.WriteString(s.err, text) })
}

// usageError is a command line that is refused.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// codeError is an exit code of a command that has said all there is to say.
type codeError struct {
	code int
}

func (e *codeError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// parse reads args into f and refuses what is left over. Help goes to stdout,
// because it was asked for.
func parse(f *flag.FlagSet, args []string, s streams, help string) error {
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(s.out, help)
		return err
	}
	if err != nil {
		return &usageError{err, "see " + f.Name() + " --help" + flagsIfUnknown(f, err)}
	}
	return nil
}

// flagsIfUnknown lists the flags after one that does not exist. Package flag has
// no type for that error, only its words.
func flagsIfUnknown(f *flag.FlagSet, err error) string {
	if !strings.HasPrefix(err.Error(), "flag provided but not defined") {
		return ""
	}
	var names []string
	f.VisitAll(func(known *flag.Flag) {
		if unsupported[known.Name] == "" && len(known.Name) > 1 {
			names = append(names, "--"+known.Name)
		}
	})
	return "; the flags are " + strings.Join(names, ", ")
}

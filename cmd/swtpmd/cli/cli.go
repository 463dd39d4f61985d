// Package cli runs a program with subcommands. It has what those of swtpmd share:
// the table that they are rows of, exit codes, errors of the command line, and
// the groups of flags that several of them take.
//
// stdout carries data, stderr carries talk. Help goes to stdout, because somebody
// asked for it.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Exit codes that every subcommand has.
const (
	ExitOK     = 0
	ExitFailed = 1 // it ran and failed; stderr says why
	ExitUsage  = 2 // the command line is wrong; nothing was started
)

// Release is the newest version that CHANGELOG.md has a chapter of. A build from a
// later revision has the same one: its revision tells them apart.
const Release = "v0.1.0"

// Streams are the three standard streams.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// A Command is a row of the table of subcommands.
type Command struct {
	// Name is the first word of the command line. The command without a name
	// is the one that runs when the command line begins with a flag, or is
	// empty.
	Name string
	Help string
	// Args tells where arguments that are not flags may stand.
	Args Args
	// New defines the command's flags and returns what runs once they are
	// parsed.
	New func(*flag.FlagSet) Run
}

// Run runs a subcommand. args are the arguments besides the flags. Run returns a
// *UsageError for a wrong command line and an *ExitError for an exit code whose
// reason the output has told.
type Run func(ctx context.Context, args []string, s Streams) error

// Args tells where a command takes arguments that are not flags.
type Args uint8

const (
	NoArgs         Args = iota // nowhere
	ArgsAfterFlags             // after the flags
	ArgsAmongFlags             // before, between and after flags
)

// Main runs the command that args name and returns the exit code.
func Main(ctx context.Context, program string, commands []Command, args []string, s Streams) int {
	word, named := "", len(args) > 0 && !strings.HasPrefix(args[0], "-")
	if named {
		word, args = args[0], args[1:]
	}
	at := slices.IndexFunc(commands, func(c Command) bool { return c.Name == word })
	if at < 0 || named && word == "" {
		return finish(s, program, Usage(
			fmt.Errorf("unknown command %q", word),
			"the commands are "+strings.Join(names(commands), ", ")+"; without one the daemon runs; see "+program+" --help"))
	}
	name := strings.TrimSpace(program + " " + word)
	return finish(s, name, commands[at].run(ctx, name, args, s))
}

// Single runs a program that has one command, which name is the user's name for.
func Single(ctx context.Context, name string, command Command, args []string, s Streams) int {
	return finish(s, name, command.run(ctx, name, args, s))
}

// names returns the names of the commands that have one, in alphabetical order.
func names(commands []Command) (all []string) {
	for _, c := range commands {
		if c.Name != "" {
			all = append(all, c.Name)
		}
	}
	slices.Sort(all)
	return all
}

// run parses args and runs the command. name is what the user calls it.
func (c *Command) run(ctx context.Context, name string, args []string, s Streams) error {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	run := c.New(f)
	words, err := c.parse(f, args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(s.Out, c.Help)
		return nil
	}
	if err != nil {
		return err
	}
	return run(ctx, words, s)
}

// parse parses args and returns those that are not flags.
func (c *Command) parse(f *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, Usage(&flagError{err}, "see "+f.Name()+" --help"+flagsIfUnknown(f, err))
		}
		switch {
		case f.NArg() == 0:
			return words, nil
		case c.Args == NoArgs:
			return nil, Unexpected(f.Name(), f.Args())
		case c.Args == ArgsAfterFlags:
			return f.Args(), nil
		}
		words = append(words, f.Arg(0))
		args = f.Args()[1:]
	}
}

// flagError is an error of package flag, which writes a flag's name with one dash.
type flagError struct{ err error }

func (e *flagError) Error() string {
	text := e.err.Error()
	for _, before := range []string{"flag needs an argument: -", "flag provided but not defined: -"} {
		if name, ok := strings.CutPrefix(text, before); ok {
			return before + "-" + name
		}
	}
	// The value that comes before may have the words too, and is quoted.
	if quoted, err := strconv.QuotedPrefix(strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyz ")); err == nil {
		before, after, _ := strings.Cut(text, quoted)
		after = strings.Replace(after, " for flag -", " for flag --", 1)
		return before + quoted + strings.Replace(after, " for -", " for --", 1)
	}
	return text
}

func (e *flagError) Unwrap() error { return e.err }

// Unexpected returns a *UsageError if there are arguments. name is the program's
// with the subcommand's.
func Unexpected(name string, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return Usage(fmt.Errorf("unexpected argument %q", args[0]), "see "+name+" --help")
}

// Hidden is the usage of flags that are not listed after an unknown one.
const Hidden = "hidden"

// flagsIfUnknown lists the flags if err is about one that does not exist. Package
// flag has no type for that error, only its words.
func flagsIfUnknown(f *flag.FlagSet, err error) string {
	if !strings.HasPrefix(err.Error(), "flag provided but not defined") {
		return ""
	}
	var names []string
	f.VisitAll(func(known *flag.Flag) {
		if known.Usage != Hidden && len(known.Name) > 1 {
			names = append(names, "--"+known.Name)
		}
	})
	return "; the flags are " + strings.Join(names, ", ")
}

// finish prints err, if there is one, and returns the exit code.
func finish(s Streams, name string, err error) int {
	var usage *UsageError
	var exit *ExitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		return exit.Code
	case errors.As(err, &usage):
		text := fmt.Sprintf("%s: %v\n", name, usage.Err)
		if usage.Hint != "" {
			text += fmt.Sprintf("hint: %s\n", usage.Hint)
		}
		s.say(text)
		return ExitUsage
	default:
		s.say(fmt.Sprintf("%s: %v\n", name, err))
		return ExitFailed
	}
}

// patience is how long the last words wait for somebody to read stderr.
const patience = 250 * time.Millisecond

// say writes the last words to stderr, and does not wait long for somebody to
// read them: the process ends anyway.
func (s Streams) say(text string) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		_, _ = io.WriteString(s.Err, text)
	}()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-said:
	case <-limit.C:
	}
}

// Command qemu-boot, which scripts/qemu-boot builds and starts, boots an unmodified
// Debian kernel in QEMU against a software TPM and prints a verdict.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/swtpmd/swtpmd/conformance/lab"
)

// Exit codes.
const (
	exitVerdict  = 0   // there is a verdict, whichever
	exitNoBoot   = 1   // the boot failed or took too long
	exitUsage    = 2   // the command line is wrong
	exitSetup    = 3   // something that a boot needs could not be had
	exitSignaled = 130 // ended by Ctrl-C or SIGTERM
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitVerdict
	}
	if err != nil {
		fmt.Fprintf(stderr, "qemu-boot: %v\nSee qemu-boot --help.\n", err)
		return exitUsage
	}
	if err := boot(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "qemu-boot: %v\n", err)
		var setup *lab.SetupError
		switch {
		case ctx.Err() != nil:
			return exitSignaled
		case errors.As(err, &setup):
			return exitSetup
		default:
			return exitNoBoot
		}
	}
	return exitVerdict
}

// boot installs what is missing, boots, and prints the verdict.
func boot(ctx context.Context, o options, stdout, stderr io.Writer) error {
	config, done, err := o.config(ctx, stderr)
	if err != nil {
		return err
	}
	defer done()
	if o.printCommand {
		return printCommands(ctx, config, stdout)
	}
	if warning := o.holdWarning(); warning != "" {
		fmt.Fprintf(stderr, "qemu-boot: warning: %s\n", warning)
	}
	record, err := lab.Run(ctx, config)
	if err != nil {
		return err
	}
	verdict, err := lab.Judge(record)
	if err != nil {
		return err
	}
	if o.json {
		return verdict.WriteJSON(stdout)
	}
	return verdict.WriteText(stdout)
}

// printCommands prints the commands of the TPM and QEMU, quoted for a shell.
func printCommands(ctx context.Context, config lab.Config, stdout io.Writer) error {
	commands, err := lab.Commands(ctx, config)
	if err != nil {
		return err
	}
	for _, argv := range commands {
		quoted := make([]string, len(argv))
		for i, word := range argv {
			quoted[i] = quote(word)
		}
		if _, err := fmt.Fprintln(stdout, strings.Join(quoted, " ")); err != nil {
			return err
		}
	}
	return nil
}

// quote returns a word as a POSIX shell reads it.
func quote(word string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_=.,:/@%+", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

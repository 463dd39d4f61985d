// Command prediction, which scripts/prediction builds and starts, predicts boots from the
// consoles of other boots, boots them, and compares.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/swtpmd/swtpmd/conformance/lab"
)

// Exit codes.
const (
	exitSame     = 0   // every boot had an outcome that was predicted
	exitDiffers  = 1   // one had not, or a cell could not be booted
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
		return exitSame
	}
	if err != nil {
		fmt.Fprintf(stderr, "prediction: %v\nSee prediction --help.\n", err)
		return exitUsage
	}
	same, err := o.run(ctx, stdout, stderr)
	var setup *lab.SetupError
	switch {
	case err == nil && same:
		return exitSame
	case err == nil:
		return exitDiffers
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "prediction: interrupted; the results so far are kept, and the next run goes on")
		return exitSignaled
	}
	fmt.Fprintf(stderr, "prediction: %v\n", err)
	if errors.As(err, &setup) {
		return exitSetup
	}
	return exitDiffers
}

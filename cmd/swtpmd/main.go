// Command swtpmd runs a software TPM 2.0 whose availability to the guest can be
// held back until the guest's kernel has come far enough, and steers it while
// it runs. docs/daemon.md is its reference.
//
// This folder holds words, flags and wiring: what the words do lives in the
// packages that are wired.
package main

import (
	"context"
	"flag"
	"os"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/campaign"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/commands"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/completion"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/conform"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/ctl"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/fleet"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/importer"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/manual"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/measure"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/plan"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/replay"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/setup"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/simulate"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/verify"
)

func main() {
	ctx, stop := process.WithSignals(context.Background())
	defer stop()
	os.Exit(runNamed(ctx, os.Args[0], os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, &daemon.Sandboxes{Landlock: sandbox.Landlock, Seccomp: sandbox.Seccomp}))
}

// subcommands is the table of subcommands. The daemon itself has no word. There is no
// way out of sandboxes, so they are nil where the process is not swtpmd's own.
func subcommands(sandboxes *daemon.Sandboxes) []cli.Command {
	table := func() []cli.Command { return subcommands(sandboxes) }
	return []cli.Command{
		{Help: daemonHelp, Args: cli.ArgsAfterFlags, New: func(f *flag.FlagSet) cli.Run { return newDaemon(f, sandboxes) }},
		{Name: "socket", Help: socketHelp, Args: cli.ArgsAfterFlags, New: func(f *flag.FlagSet) cli.Run { return newSocket(f, sandboxes) }},
		{Name: "chardev", Help: chardevHelp, Args: cli.ArgsAfterFlags, New: func(f *flag.FlagSet) cli.Run { return newChardev(f, sandboxes) }},
		{Name: "mssim", Help: mssimHelp, Args: cli.ArgsAfterFlags, New: func(f *flag.FlagSet) cli.Run { return newMSSIM(f, sandboxes) }},
		{Name: "cuse", Help: cuseHelp, Args: cli.ArgsAfterFlags, New: func(f *flag.FlagSet) cli.Run { return newCUSE(f, sandboxes) }},
		fleet.Command,
		ctl.Command,
		plan.Command,
		replay.Command,
		simulate.Boot,
		simulate.Matrix,
		campaign.Command,
		campaign.Shrink,
		verify.Command,
		measure.Command,
		conform.Command,
		commands.Command,
		setup.Command,
		importer.Command,
		manual.Command(release, table),
		completion.Command(table),
	}
}

// run is main without the process: tests call it.
func run(ctx context.Context, args []string, s cli.Streams, sandboxes *daemon.Sandboxes) int {
	return cli.Main(ctx, "swtpmd", subcommands(sandboxes), args, s)
}

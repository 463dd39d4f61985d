package main

import (
	"context"
	"flag"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
)

// newDaemon defines the flags of swtpmd without a subcommand.
func newDaemon(f *flag.FlagSet, sandboxes *daemon.Sandboxes) cli.Run {
	set := new(options.Set)
	set.Define(f, options.InDaemon)
	showVersion := f.Bool("version", false, "")
	profiles := f.Bool("profiles", false, "")
	printProfile := f.Bool("print-profile", false, "")
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if *showVersion {
			return printVersion(s.Out, set.JSON)
		}
		if err := cli.Unexpected("swtpmd", args); err != nil {
			return err
		}
		switch {
		case *profiles:
			return cli.ListProfiles(s.Out)
		case *printProfile:
			return set.Profile.Print(s.Out)
		}
		if err := set.TakeActivated(); err != nil {
			return err
		}
		if err := set.Check(); err != nil {
			return err
		}
		return daemon.Run(ctx, set, nil, s, sandboxes, true)
	}
}

package main

import (
	"context"
	"errors"
	"flag"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
)

// newSocket defines the flags of swtpmd socket, swtpm's own command line.
func newSocket(f *flag.FlagSet, sandboxes *daemon.Sandboxes) cli.Run {
	i := newImitation(f, options.InSocket)
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if done, err := i.answer(args, s.Out); done || err != nil {
			return err
		}
		set := i.set
		if err := set.TakeActivated(); err != nil {
			return err
		}
		if len(set.Control) == 0 && len(set.Data) == 0 {
			return cli.Usage(errors.New("nothing to listen on"), "add --ctrl, --server, --port or --fd, or have a service manager pass sockets")
		}
		if err := i.check(); err != nil {
			return err
		}
		return daemon.Run(ctx, set, nil, s, sandboxes, false)
	}
}

func needsConsole(set *options.Set) bool {
	return set.Followed() && set.Console == "" && set.Timeline == "" && !set.GDB.Wanted && set.Admin == ""
}

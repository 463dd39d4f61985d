package main

import (
	"context"
	"errors"
	"flag"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

// newSocket defines the flags of swtpmd socket, swtpm's own command line.
func newSocket(f *flag.FlagSet, sandboxes *sandboxes) cli.Run {
	i := newImitation(f, inSocket)
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if done, err := i.answer(args, s.Out); done || err != nil {
			return err
		}
		set := i.set
		if err := set.takeActivated(); err != nil {
			return err
		}
		if len(set.control) == 0 && len(set.data) == 0 {
			return cli.Usage(errors.New("nothing to listen on"), "add --ctrl, --server, --port or --fd, or have a service manager pass sockets")
		}
		if err := i.check(); err != nil {
			return err
		}
		return start(ctx, set, s, sandboxes, false)
	}
}

func needsConsole(set *settings) bool {
	return len(set.deferral.Rules()) > 0 && set.console == "" && set.timeline == "" && !set.gdb.wanted && set.admin == ""
}

package main

import (
	"context"
	"errors"
	"flag"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/transport/cuse"
)

// newCUSE defines the flags of swtpmd cuse.
func newCUSE(f *flag.FlagSet, sandboxes *daemon.Sandboxes) cli.Run {
	flags := newDeviceFlags(f, options.InCUSE)
	var o cuse.Options
	var major, minor uint
	for _, name := range []string{"name", "n"} {
		f.StringVar(&o.Name, name, "", "")
	}
	for _, name := range []string{"maj", "M"} {
		f.UintVar(&major, name, 0, "")
	}
	for _, name := range []string{"min", "m"} {
		f.UintVar(&minor, name, 0, "")
	}
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if done, err := flags.answer(args, s.Out); done || err != nil {
			return err
		}
		const most = 1<<20 - 1 // MINORMASK, include/linux/kdev_t.h
		switch {
		case o.Name == "":
			return cli.Usage(errors.New("the device has no name"), "add -n NAME for /dev/NAME")
		case major > most || minor > most:
			return cli.Usage(errors.New("--maj and --min make no device number"), "leave them out: the kernel chooses")
		}
		o.Name = strings.TrimPrefix(o.Name, "/dev/")
		o.Major, o.Minor = uint32(major), uint32(minor)
		set := flags.set
		on := &daemon.CuseDevice{Absent: flags.absent, Opts: o}
		if flags.absent && set.Startup == options.StartupByClient {
			return cli.Usage(errors.New("the TPM has no power, and without a device nobody can ask for it"), "add --flags=startup-clear")
		}
		if err := flags.check(); err != nil {
			return err
		}
		return daemon.Run(ctx, set, on, s, sandboxes, false)
	}
}

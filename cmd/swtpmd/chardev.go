package main

import (
	"context"
	"errors"
	"flag"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
)

// newChardev defines the flags of swtpmd chardev.
func newChardev(f *flag.FlagSet, sandboxes *daemon.Sandboxes) cli.Run {
	flags := newDeviceFlags(f, options.InChardev)
	set := flags.set
	proxy := f.Bool("vtpm-proxy", false, "")
	path := f.String("chardev", "", "")
	f.StringVar(path, "c", "", "")
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if done, err := flags.answer(args, s.Out); done || err != nil {
			return err
		}
		fd := set.TakeDescriptor()
		given := 0
		for _, one := range []bool{*proxy, *path != "", fd >= 0} {
			if one {
				given++
			}
		}
		switch {
		case given == 0:
			return cli.Usage(errors.New("no device to serve"), "add --vtpm-proxy for a TPM of this machine's kernel, --chardev=PATH or --fd=N")
		case given > 1:
			return cli.Usage(errors.New("there is one device only"), "say one of --vtpm-proxy, --chardev and --fd")
		case flags.absent && !*proxy:
			return cli.Usage(errors.New("--while-deferred=absent is for a device that swtpmd makes"), "say --vtpm-proxy, or another way")
		}
		var on daemon.Device
		if *proxy {
			// The kernel asks for its locality with the vendor command.
			set.Locality.AllowSet = true
			on = &daemon.ProxyDevice{Absent: flags.absent}
		} else {
			on = &daemon.StreamDevice{Path: *path, FD: fd}
		}
		if set.Startup == options.StartupByClient && (*proxy || len(set.Control) == 0) {
			set.Startup = options.StartupClear
		}
		if err := flags.check(); err != nil {
			return err
		}
		return daemon.Run(ctx, set, on, s, sandboxes, false)
	}
}

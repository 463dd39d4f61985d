package main

import (
	"context"
	"errors"
	"flag"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
	"github.com/swtpmd/swtpmd/transport/cuse"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// newCUSE defines the flags of swtpmd cuse.
func newCUSE(f *flag.FlagSet, sandboxes *sandboxes) cli.Run {
	flags := newDeviceFlags(f, inCUSE)
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
		set.device = &cuseDevice{absent: flags.absent, opts: o}
		if flags.absent && set.startup == startupByClient {
			return cli.Usage(errors.New("the TPM has no power, and without a device nobody can ask for it"), "add --flags=startup-clear")
		}
		if err := flags.check(); err != nil {
			return err
		}
		return start(ctx, set, s, sandboxes, false)
	}
}

// cuseDevice is a device whose driver is the daemon.
type cuseDevice struct {
	absent bool // while the TPM is deferred
	opts   cuse.Options

	d      *daemon
	mu     sync.Mutex
	device *cuse.Device
	made   bool
}

// open makes the device, unless it is to come later.
func (c *cuseDevice) open() (err error) {
	if c.device, err = cuse.Open(c.opts); err != nil || c.absent {
		return err
	}
	return c.make()
}

func (c *cuseDevice) make() error {
	if err := c.device.Make(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = true
	return nil
}

func (c *cuseDevice) attach(d *daemon) { c.d = d }

func (c *cuseDevice) about() (text string, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.made {
		return "", nil
	}
	return "New TPM device: " + c.device.Path(), deviceReady{
		Ready: true, PID: os.Getpid(), Device: c.device.Path(), Major: c.opts.Major, Minor: c.opts.Minor, Admin: c.d.set.admin,
	}
}

// serve has the control requests go the way of a control channel.
func (c *cuseDevice) serve(ctx context.Context) error {
	if c.absent {
		if err := c.d.awaitTPM(ctx); err != nil {
			return err
		}
		if err := c.make(); err != nil {
			return err
		}
		go func() { _ = tellDevice(c.d.out, c.d.set) }()
	}
	near, far := net.Pipe()
	control := swtpm.NewClient(near)
	var served sync.WaitGroup
	served.Go(func() { c.d.server.ServeControlConn(far) })
	defer served.Wait()
	defer control.Close()
	return c.device.Serve(ctx, c.d.server, control, c.d.log)
}

func (c *cuseDevice) close() {
	if c.device != nil {
		_ = c.device.Close()
	}
}

func (c *cuseDevice) reach(*sandbox.Reach) {}

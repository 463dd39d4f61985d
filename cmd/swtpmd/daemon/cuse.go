package daemon

import (
	"context"
	"net"
	"os"
	"sync"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
	"github.com/swtpmd/swtpmd/transport/cuse"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// CuseDevice is a device whose driver is the daemon.
type CuseDevice struct {
	Absent bool // while the TPM is deferred
	Opts   cuse.Options

	d      *daemon
	mu     sync.Mutex
	device *cuse.Device
	made   bool
}

// open makes the device, unless it is to come later.
func (c *CuseDevice) open() (err error) {
	if c.device, err = cuse.Open(c.Opts); err != nil || c.Absent {
		return err
	}
	return c.make()
}

func (c *CuseDevice) make() error {
	if err := c.device.Make(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = true
	return nil
}

func (c *CuseDevice) attach(d *daemon) { c.d = d }

func (c *CuseDevice) about() (text string, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.made {
		return "", nil
	}
	return "New TPM device: " + c.device.Path(), deviceReady{
		Ready: true, PID: os.Getpid(), Device: c.device.Path(), Major: c.Opts.Major, Minor: c.Opts.Minor, Admin: c.d.set.Admin,
	}
}

// serve has the control requests go the way of a control channel.
func (c *CuseDevice) serve(ctx context.Context) error {
	if c.Absent {
		if err := c.d.awaitTPM(ctx); err != nil {
			return err
		}
		if err := c.make(); err != nil {
			return err
		}
		go func() { _ = c.d.tellDevice(c.d.out) }()
	}
	near, far := net.Pipe()
	control := swtpm.NewClient(near)
	var served sync.WaitGroup
	served.Go(func() { c.d.server.ServeControlConn(far) })
	defer served.Wait()
	defer control.Close()
	return c.device.Serve(ctx, c.d.server, control, c.d.log)
}

func (c *CuseDevice) close() {
	if c.device != nil {
		_ = c.device.Close()
	}
}

func (c *CuseDevice) reach(*sandbox.Reach) {}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/transport/chardev"
)

// newChardev defines the flags of swtpmd chardev.
func newChardev(f *flag.FlagSet, sandboxes *sandboxes) cli.Run {
	flags := newDeviceFlags(f, inChardev)
	set := flags.set
	proxy := f.Bool("vtpm-proxy", false, "")
	path := f.String("chardev", "", "")
	f.StringVar(path, "c", "", "")
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if done, err := flags.answer(args, s.Out); done || err != nil {
			return err
		}
		fd := set.takeDescriptor()
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
		if *proxy {
			// The kernel asks for its locality with the vendor command.
			set.locality.allowSet = true
			set.device = &proxyDevice{absent: flags.absent}
		} else {
			set.device = &streamDevice{path: *path, fd: fd}
		}
		if set.startup == startupByClient && (*proxy || len(set.control) == 0) {
			set.startup = startupClear
		}
		if err := flags.check(); err != nil {
			return err
		}
		return start(ctx, set, s, sandboxes, false)
	}
}

// takeDescriptor takes the descriptor of --fd, which is the device here and no data
// connection, out of the settings. It returns -1 if there is none.
func (s *settings) takeDescriptor() int {
	for i, e := range s.data {
		if e.fd >= 0 && e.client {
			s.data = append(s.data[:i:i], s.data[i+1:]...)
			s.terminate = false
			return e.fd
		}
	}
	return -1
}

// proxyDevice is a TPM of the running kernel.
type proxyDevice struct {
	// absent is set if the kernel has no TPM while that is deferred.
	absent bool

	d          *daemon
	controller *chardev.Controller
	mu         sync.Mutex
	proxy      *chardev.Proxy // nil while there is none
	closed     bool
}

// open makes the TPM, so that who may not make one learns it now.
func (p *proxyDevice) open() (err error) {
	if p.controller, err = chardev.OpenController(); err != nil {
		return err
	}
	if p.absent {
		return nil
	}
	return p.make()
}

// make makes the TPM.
func (p *proxyDevice) make() error {
	proxy, err := p.controller.NewProxy()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return proxy.Close()
	}
	p.proxy = proxy
	return nil
}

func (p *proxyDevice) attach(d *daemon) {
	p.d = d
	if p.proxy != nil {
		d.log.Info("the kernel has got a TPM", "device", p.proxy.Path())
	}
}

// about has the words of swtpm, which scripts look for.
func (p *proxyDevice) about() (text string, value any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proxy == nil {
		return "", nil
	}
	path, major, minor := p.proxy.Path(), p.proxy.Major, p.proxy.Minor
	return fmt.Sprintf("New TPM device: %s (major/minor = %d/%d)", path, major, minor),
		deviceReady{true, os.Getpid(), path, major, minor, p.d.set.admin}
}

// deviceReady describes a device that is there.
type deviceReady struct {
	Ready  bool   `json:"ready"`
	PID    int    `json:"pid"`
	Device string `json:"device"`
	Major  uint32 `json:"major,omitempty"` // 0 where the kernel chooses
	Minor  uint32 `json:"minor,omitempty"`
	Admin  string `json:"admin,omitempty"`
}

// serve serves the TPM. A kernel whose first commands are refused does not register the
// TPM and hangs up. If a deferral did that, it gets another one when the TPM comes, as
// a driver that probes again.
func (p *proxyDevice) serve(ctx context.Context) error {
	for {
		p.mu.Lock()
		proxy := p.proxy
		p.mu.Unlock()
		if proxy == nil {
			if err := p.d.awaitTPM(ctx); err != nil {
				return err
			}
			if err := p.make(); err != nil {
				return err
			}
			p.d.log.Info("the kernel has got another TPM")
			// Nobody may read stdout: the TPM is served all the same.
			go func() { _ = tellDevice(p.d.out, p.d.set) }()
			continue
		}
		before := p.d.meddled.Load()
		err := proxy.Serve(ctx, p.d.server, p.d.log)
		p.mu.Lock()
		p.proxy = nil
		p.mu.Unlock()
		_ = proxy.Close()
		switch {
		case ctx.Err() != nil:
			return nil
		case !errors.Is(err, chardev.ErrHungUp):
			return err
		case p.d.meddled.Load() == before:
			return fmt.Errorf("the kernel has not registered %s, and its log (dmesg) tells why: %w", proxy.Path(), err)
		}
		p.d.log.Info("the kernel has not registered the TPM; it gets another one after the deferral", "device", proxy.Path())
	}
}

func (p *proxyDevice) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.proxy != nil {
		_ = p.proxy.Close()
	}
	if p.controller != nil {
		_ = p.controller.Close()
	}
}

// reach lets the daemon make another TPM where a deferral may cost the first one.
func (p *proxyDevice) reach(r *sandbox.Reach) {
	r.VTPMProxy = len(p.d.set.deferral.Rules()) > 0
}

// streamDevice is a device with a stream of TPM commands.
type streamDevice struct {
	path string // or
	fd   int

	d    *daemon
	node *chardev.Node
}

func (s *streamDevice) attach(d *daemon) { s.d = d }

func (s *streamDevice) open() (err error) {
	if s.path != "" {
		s.node, err = chardev.Open(s.path)
		return err
	}
	if s.node, err = chardev.FromFD(s.fd); err != nil {
		return fmt.Errorf("--fd=%d: %w", s.fd, err)
	}
	return nil
}

func (s *streamDevice) about() (text string, value any) { return "", nil }

func (s *streamDevice) serve(ctx context.Context) error {
	err := s.node.Serve(ctx, s.d.server, s.d.log)
	if errors.Is(err, chardev.ErrHungUp) {
		return &deviceGone{err.Error()}
	}
	return err
}

func (s *streamDevice) close() {
	if s.node != nil {
		_ = s.node.Close()
	}
}

func (s *streamDevice) reach(*sandbox.Reach) {}

// meddles reports whether a decision may have cost the kernel an answer that it needs.
func meddles(decision *faults.Decision) bool { return decision.Outcome != faults.Passed }

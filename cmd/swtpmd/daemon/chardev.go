package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
	"github.com/swtpmd/swtpmd/transport/chardev"
)

// ProxyDevice is a TPM of the running kernel.
type ProxyDevice struct {
	// Absent is set if the kernel has no TPM while that is deferred.
	Absent bool

	d          *daemon
	controller *chardev.Controller
	mu         sync.Mutex
	proxy      *chardev.Proxy // nil while there is none
	closed     bool
}

// open makes the TPM, so that who may not make one learns it now.
func (p *ProxyDevice) open() (err error) {
	if p.controller, err = chardev.OpenController(); err != nil {
		return err
	}
	if p.Absent {
		return nil
	}
	return p.make()
}

// make makes the TPM.
func (p *ProxyDevice) make() error {
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

func (p *ProxyDevice) attach(d *daemon) {
	p.d = d
	if p.proxy != nil {
		d.log.Info("the kernel has got a TPM", "device", p.proxy.Path())
	}
}

// about has the words of swtpm, which scripts look for.
func (p *ProxyDevice) about() (text string, value any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proxy == nil {
		return "", nil
	}
	path, major, minor := p.proxy.Path(), p.proxy.Major, p.proxy.Minor
	return fmt.Sprintf("New TPM device: %s (major/minor = %d/%d)", path, major, minor),
		deviceReady{true, os.Getpid(), path, major, minor, p.d.set.Admin}
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
func (p *ProxyDevice) serve(ctx context.Context) error {
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
			go func() { _ = p.d.tellDevice(p.d.out) }()
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

func (p *ProxyDevice) close() {
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
func (p *ProxyDevice) reach(r *sandbox.Reach) {
	r.VTPMProxy = len(p.d.set.Deferral.Rules()) > 0
}

// StreamDevice is a device with a stream of TPM commands.
type StreamDevice struct {
	Path string // or
	FD   int

	d    *daemon
	node *chardev.Node
}

func (s *StreamDevice) attach(d *daemon) { s.d = d }

func (s *StreamDevice) open() (err error) {
	if s.Path != "" {
		s.node, err = chardev.Open(s.Path)
		return err
	}
	if s.node, err = chardev.FromFD(s.FD); err != nil {
		return fmt.Errorf("--fd=%d: %w", s.FD, err)
	}
	return nil
}

func (s *StreamDevice) about() (text string, value any) { return "", nil }

func (s *StreamDevice) serve(ctx context.Context) error {
	err := s.node.Serve(ctx, s.d.server, s.d.log)
	if errors.Is(err, chardev.ErrHungUp) {
		return &deviceGone{err.Error()}
	}
	return err
}

func (s *StreamDevice) close() {
	if s.node != nil {
		_ = s.node.Close()
	}
}

func (s *StreamDevice) reach(*sandbox.Reach) {}

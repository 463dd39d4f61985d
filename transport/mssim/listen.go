package mssim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/swtpmd/swtpmd/transport"
)

// DefaultPort is the command port where nothing else is said.
const DefaultPort = 2321

// Ports are the listeners of a server: the command port and the platform port of each
// address.
type Ports struct {
	Command, Platform []net.Listener
}

// Close closes the listeners.
func (p *Ports) Close() error {
	var errs []error
	for _, l := range append(p.Command[:len(p.Command):len(p.Command)], p.Platform...) {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// Port returns the number of the command port, 0 for unix sockets.
func (p *Ports) Port() int {
	if a, ok := p.Command[0].Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// pairs is how many pairs of ports are tried where any will do.
const pairs = 64

// ListenTCP listens on port and the one after it, at each of the hosts. Port 0 is any
// pair that is free; the others are 1 to 65534.
func ListenTCP(ctx context.Context, port int, hosts ...string) (*Ports, error) {
	if port < 0 || port > 65534 {
		return nil, fmt.Errorf("command port %d: there is none, or no platform port after it; take 1 to 65534, or 0 for any", port)
	}
	if port != 0 {
		return listenPair(ctx, port, hosts)
	}
	var config net.ListenConfig
	var last error
	for range pairs {
		l, err := config.Listen(ctx, "tcp", net.JoinHostPort(hosts[0], "0"))
		if err != nil {
			return nil, err
		}
		free := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return nil, err
		}
		p, err := listenPair(ctx, min(free, 65534), hosts)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return p, err
		}
		last = err
	}
	return nil, last
}

// listenPair opens the platform ports first: a client that waits until it reaches the
// command port goes on to the platform port at once.
func listenPair(ctx context.Context, port int, hosts []string) (*Ports, error) {
	var config net.ListenConfig
	p := new(Ports)
	for _, one := range []struct {
		listeners *[]net.Listener
		port      int
	}{{&p.Platform, port + 1}, {&p.Command, port}} {
		for _, host := range hosts {
			l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(one.port)))
			if err != nil {
				return nil, errors.Join(err, p.Close())
			}
			*one.listeners = append(*one.listeners, l)
		}
	}
	return p, nil
}

// ListenUnix listens on unix sockets: the command port at path, and before it the platform
// port at PlatformAddress.
func ListenUnix(ctx context.Context, path string, access transport.Access) (*Ports, error) {
	at, err := PlatformAddress("unix", path)
	if err != nil {
		return nil, err
	}
	platform, err := transport.ListenUnix(ctx, at, access)
	if err != nil {
		return nil, err
	}
	command, err := transport.ListenUnix(ctx, path, access)
	if err != nil {
		return nil, errors.Join(err, platform.Close())
	}
	return &Ports{[]net.Listener{command}, []net.Listener{platform}}, nil
}

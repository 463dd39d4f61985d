package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/transport"
)

// endpoint is a place at which clients connect, or a connection that exists
// already, as swtpm's --ctrl, --server, --port and --fd describe it.
type endpoint struct {
	network string // "unix" or "tcp"; "" for a descriptor
	address string // path, or host:port
	mode    uint32 // permissions of a unix socket
	uid     int    // owner of a unix socket, -1 for our own
	gid     int
	fd      int  // inherited descriptor, -1 for none
	client  bool // fd is a connection, not a listener
	// disconnect closes a data connection after each response; terminate
	// ends the daemon when the connection closes.
	disconnect, terminate bool
}

// unixEndpoint returns a socket for the user alone.
func unixEndpoint(path string) *endpoint {
	return &endpoint{network: "unix", address: path, mode: 0o600, uid: -1, gid: -1, fd: -1}
}

func (e *endpoint) String() string {
	if e.fd >= 0 {
		return fmt.Sprintf("descriptor %d", e.fd)
	}
	return e.network + ":" + e.address
}

// Words of --ctrl and --server.
var (
	ctrlWords   = []string{"type", "path", "port", "bindaddr", "ifname", "fd", "clientfd", "mode", "uid", "gid", "terminate"}
	serverWords = []string{"type", "path", "port", "bindaddr", "ifname", "fd", "mode", "uid", "gid", "disconnect"}
)

// parseEndpoint reads the value of --ctrl or --server (option). def is the type
// where the value names none: swtpm has none for --ctrl and tcp for --server.
func parseEndpoint(option, text, def string, known []string) (*endpoint, error) {
	w, err := parseWords(option, text, known...)
	if err != nil {
		return nil, err
	}
	e := &endpoint{fd: -1, uid: -1, gid: -1}
	for _, read := range []func(string, words) error{e.readDescriptor, e.readFlags, e.readOwner} {
		if err := read(option, w); err != nil {
			return nil, err
		}
	}
	kind := w["type"]
	if kind == "" {
		kind = def
	}
	switch {
	case kind == "unixio":
		err = e.readUnix(option, w)
	case kind == "tcp":
		err = e.readTCP(option, w)
	case kind == "" && e.fd >= 0:
	default:
		err = &wordError{option, "type=" + kind, "the types are unixio and tcp"}
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (e *endpoint) readDescriptor(option string, w words) error {
	fd, err := w.number(option, "fd", maxDescriptor)
	if err != nil {
		return err
	}
	client, err := w.number(option, "clientfd", maxDescriptor)
	if err != nil {
		return err
	}
	switch {
	case fd >= 0 && client >= 0:
		return &wordError{option, "clientfd=" + w["clientfd"], "fd and clientfd exclude each other"}
	case fd >= 0:
		e.fd = fd
	case client >= 0:
		e.fd, e.client = client, true
	}
	return nil
}

func (e *endpoint) readFlags(option string, w words) (err error) {
	if e.terminate, err = w.yes(option, "terminate"); err != nil {
		return err
	}
	e.disconnect, err = w.yes(option, "disconnect")
	return err
}

func (e *endpoint) readOwner(option string, w words) (err error) {
	if e.mode, err = w.mode(option, "mode", 0o770); err != nil {
		return err
	}
	if e.uid, err = w.owner(option, "uid", userID); err != nil {
		return err
	}
	e.gid, err = w.owner(option, "gid", groupID)
	return err
}

func (e *endpoint) readUnix(option string, w words) error {
	if e.fd >= 0 {
		return nil
	}
	path, ok := w["path"]
	if !ok || path == "" {
		return &wordError{option, "type=unixio", "it needs path= (or fd=)"}
	}
	e.network, e.address = "unix", path
	return nil
}

func (e *endpoint) readTCP(option string, w words) error {
	if e.fd >= 0 {
		return nil
	}
	port, err := w.number(option, "port", 65535)
	if err != nil {
		return err
	}
	if port < 0 {
		// swtpm's word for "the caller says it elsewhere".
		text := os.Getenv("TPM_PORT")
		if port, err = strconv.Atoi(text); option != "server" || err != nil || port < 0 || port > 65535 {
			return &wordError{option, "type=tcp", "it needs port= (or fd=)"}
		}
	}
	host := w["bindaddr"]
	if host == "" {
		host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return &wordError{option, "bindaddr=" + host, "not an address in numbers, such as 127.0.0.1 or ::1"}
	}
	if zone := w["ifname"]; zone != "" && strings.Contains(host, ":") {
		host += "%" + zone
	}
	e.network, e.address = "tcp", net.JoinHostPort(host, strconv.Itoa(port))
	return nil
}

// descriptorError is an inherited descriptor that is no socket.
type descriptorError struct {
	option string
	fd     int
}

func (e *descriptorError) Error() string {
	return fmt.Sprintf("--%s: descriptor %d is not an open socket: have who starts swtpmd pass one", e.option, e.fd)
}

// look finds out what an inherited descriptor is. swtpm's fd= is a listener for --ctrl
// and a connection for --server; the socket itself knows.
func (e *endpoint) look(option string) error {
	if e.fd < 0 {
		return nil
	}
	if !process.IsSocket(e.fd) {
		return &descriptorError{option, e.fd}
	}
	if e.fd < 3 {
		moved, err := process.TakeStandard(e.fd)
		if err != nil {
			return fmt.Errorf("--%s: descriptor %d: %w", option, e.fd, err)
		}
		e.fd = moved
	}
	if e.client {
		return nil
	}
	listens, err := process.IsListener(e.fd)
	e.client = !listens
	return err
}

// lookAtDescriptors finds out what all inherited sockets are. The end of a data
// connection that was passed is the daemon's (swtpm(8), "--server").
func (s *settings) lookAtDescriptors() error {
	for _, e := range s.control {
		if err := e.look("ctrl"); err != nil {
			return err
		}
	}
	for _, e := range s.data {
		if err := e.look("server"); err != nil {
			return err
		}
		s.terminate = s.terminate || e.client
	}
	return nil
}

// takesStdin reports whether an endpoint is standard input.
func (s *settings) takesStdin() bool {
	for _, e := range append(slices.Clip(s.control), s.data...) {
		if e.fd == 0 {
			return true
		}
	}
	return false
}

// listen makes the listener that the endpoint describes.
func (e *endpoint) listen(ctx context.Context) (net.Listener, error) {
	if e.fd >= 0 {
		file := os.NewFile(uintptr(e.fd), e.String())
		defer file.Close()
		return net.FileListener(file)
	}
	if e.network != "unix" {
		var config net.ListenConfig
		return config.Listen(ctx, e.network, e.address)
	}
	access := transport.Access{Mode: os.FileMode(e.mode)}
	if e.uid >= 0 || e.gid >= 0 {
		access.Owner = &transport.Owner{UID: e.uid, GID: e.gid}
	}
	return transport.ListenUnix(ctx, e.address, access)
}

// connection makes a connection of an inherited descriptor.
func (e *endpoint) connection() (net.Conn, error) {
	file := os.NewFile(uintptr(e.fd), e.String())
	defer file.Close()
	return net.FileConn(file)
}

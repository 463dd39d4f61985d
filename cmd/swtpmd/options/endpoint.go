package options

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
	"github.com/swtpmd/swtpmd/transport"
)

// TakeDescriptor takes the descriptor of --fd, which is the device here and no data
// connection, out of the settings. It returns -1 if there is none.
func (s *Set) TakeDescriptor() int {
	for i, e := range s.Data {
		if e.FD >= 0 && e.Client {
			s.Data = append(s.Data[:i:i], s.Data[i+1:]...)
			s.Terminate = false
			return e.FD
		}
	}
	return -1
}

// Endpoint is a place at which clients connect, or a connection that exists
// already, as swtpm's --ctrl, --server, --port and --fd describe it.
type Endpoint struct {
	Network string // "unix" or "tcp"; "" for a descriptor
	Address string // path, or host:port
	mode    uint32 // permissions of a unix socket
	uid     int    // owner of a unix socket, -1 for our own
	gid     int
	FD      int  // inherited descriptor, -1 for none
	Client  bool // fd is a connection, not a listener
	// Disconnect closes a data connection after each response; terminate
	// ends the daemon when the connection closes.
	Disconnect, Terminate bool
}

// UnixEndpoint returns a socket for the user alone.
func UnixEndpoint(path string) *Endpoint {
	return &Endpoint{Network: "unix", Address: path, mode: 0o600, uid: -1, gid: -1, FD: -1}
}

func (e *Endpoint) String() string {
	if e.FD >= 0 {
		return fmt.Sprintf("descriptor %d", e.FD)
	}
	return e.Network + ":" + e.Address
}

// Words of --ctrl and --server.
var (
	ctrlWords   = []string{"type", "path", "port", "bindaddr", "ifname", "fd", "clientfd", "mode", "uid", "gid", "terminate"}
	serverWords = []string{"type", "path", "port", "bindaddr", "ifname", "fd", "mode", "uid", "gid", "disconnect"}
)

// parseEndpoint reads the value of --ctrl or --server (option). def is the type
// where the value names none: swtpm has none for --ctrl and tcp for --server.
func parseEndpoint(option, text, def string, known []string) (*Endpoint, error) {
	w, err := words.Parse(option, text, known...)
	if err != nil {
		return nil, err
	}
	e := &Endpoint{FD: -1, uid: -1, gid: -1}
	for _, read := range []func(string, words.Values) error{e.readDescriptor, e.readFlags, e.readOwner} {
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
	case kind == "" && e.FD >= 0:
	default:
		err = words.Wrong(option, "type="+kind, "the types are unixio and tcp")
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Endpoint) readDescriptor(option string, w words.Values) error {
	fd, err := w.Number(option, "fd", words.MaxDescriptor)
	if err != nil {
		return err
	}
	client, err := w.Number(option, "clientfd", words.MaxDescriptor)
	if err != nil {
		return err
	}
	switch {
	case fd >= 0 && client >= 0:
		return words.Wrong(option, "clientfd="+w["clientfd"], "fd and clientfd exclude each other")
	case fd >= 0:
		e.FD = fd
	case client >= 0:
		e.FD, e.Client = client, true
	}
	return nil
}

func (e *Endpoint) readFlags(option string, w words.Values) (err error) {
	if e.Terminate, err = w.Yes(option, "terminate"); err != nil {
		return err
	}
	e.Disconnect, err = w.Yes(option, "disconnect")
	return err
}

func (e *Endpoint) readOwner(option string, w words.Values) (err error) {
	if e.mode, err = w.Mode(option, "mode", 0o770); err != nil {
		return err
	}
	if e.uid, err = w.Owner(option, "uid", words.UserID); err != nil {
		return err
	}
	e.gid, err = w.Owner(option, "gid", words.GroupID)
	return err
}

func (e *Endpoint) readUnix(option string, w words.Values) error {
	if e.FD >= 0 {
		return nil
	}
	path, ok := w["path"]
	if !ok || path == "" {
		return words.Wrong(option, "type=unixio", "it needs path= (or fd=)")
	}
	e.Network, e.Address = "unix", path
	return nil
}

func (e *Endpoint) readTCP(option string, w words.Values) error {
	if e.FD >= 0 {
		return nil
	}
	port, err := w.Number(option, "port", 65535)
	if err != nil {
		return err
	}
	if port < 0 {
		// swtpm's word for "the caller says it elsewhere".
		text := os.Getenv("TPM_PORT")
		if port, err = strconv.Atoi(text); option != "server" || err != nil || port < 0 || port > 65535 {
			return words.Wrong(option, "type=tcp", "it needs port= (or fd=)")
		}
	}
	host := w["bindaddr"]
	if host == "" {
		host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return words.Wrong(option, "bindaddr="+host, "not an address in numbers, such as 127.0.0.1 or ::1")
	}
	if zone := w["ifname"]; zone != "" && strings.Contains(host, ":") {
		host += "%" + zone
	}
	e.Network, e.Address = "tcp", net.JoinHostPort(host, strconv.Itoa(port))
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
func (e *Endpoint) look(option string) error {
	if e.FD < 0 {
		return nil
	}
	if !process.IsSocket(e.FD) {
		return &descriptorError{option, e.FD}
	}
	if e.FD < 3 {
		moved, err := process.TakeStandard(e.FD)
		if err != nil {
			return fmt.Errorf("--%s: descriptor %d: %w", option, e.FD, err)
		}
		e.FD = moved
	}
	if e.Client {
		return nil
	}
	listens, err := process.IsListener(e.FD)
	e.Client = !listens
	return err
}

// Listen makes the listener that the endpoint describes.
func (e *Endpoint) Listen(ctx context.Context) (net.Listener, error) {
	if e.FD >= 0 {
		file := os.NewFile(uintptr(e.FD), e.String())
		defer file.Close()
		return net.FileListener(file)
	}
	if e.Network != "unix" {
		var config net.ListenConfig
		return config.Listen(ctx, e.Network, e.Address)
	}
	access := transport.Access{Mode: os.FileMode(e.mode)}
	if e.uid >= 0 || e.gid >= 0 {
		access.Owner = &transport.Owner{UID: e.uid, GID: e.gid}
	}
	return transport.ListenUnix(ctx, e.Address, access)
}

// Connection makes a connection of an inherited descriptor.
func (e *Endpoint) Connection() (net.Conn, error) {
	file := os.NewFile(uintptr(e.FD), e.String())
	defer file.Close()
	return net.FileConn(file)
}

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
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

func (e *endpoint) String() string {
	if e.fd >= 0 {
		return fmt.Sprintf("descriptor %d", e.fd)
	}
	return e.network + ":" + e.address
}

// maxSocketPath is how many bytes the path of a unix socket may have: the system
// ends it with a zero byte (unix(7)).
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// pathLengthError is a socket that the system cannot make, for which it would
// say no more than "invalid argument".
type pathLengthError struct {
	option, path string
}

func (e *pathLengthError) Error() string {
	return fmt.Sprintf("--%s: the path %s has %d bytes, and that of a socket has at most %d", e.option, e.path, len(e.path), maxSocketPath)
}

// checkPaths finds paths of unix sockets that are too long, those in --dir
// included.
func (s *settings) checkPaths() error {
	console, _ := strings.CutPrefix(s.console, "unix:")
	if console == s.console {
		console = ""
	}
	paths := []pathLengthError{{"admin", s.admin}, {"console", console}, {"levels", s.gdb.path}}
	for option, endpoints := range map[string][]*endpoint{"ctrl": s.control, "server": s.data} {
		for _, e := range endpoints {
			if e.network == "unix" {
				paths = append(paths, pathLengthError{option, e.address})
			}
		}
	}
	for _, p := range paths {
		switch {
		case len(p.path) <= maxSocketPath:
		case s.dir != "" && filepath.Dir(p.path) == s.dir:
			p.option = "dir"
			return cli.Usage(&p, "choose a shorter --dir")
		default:
			return cli.Usage(&p, "choose a shorter path")
		}
	}
	return nil
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

// maxDescriptor bounds the numbers of inherited descriptors.
const maxDescriptor = 1 << 20

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
	if 0 <= e.fd && e.fd < 3 {
		return &wordError{option, "fd=" + strconv.Itoa(e.fd), "0 to 2 are the standard streams"}
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
	if e.uid, err = w.number(option, "uid", 1<<31-1); err != nil {
		return err
	}
	e.gid, err = w.number(option, "gid", 1<<31-1)
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
	if zone := w["ifname"]; zone != "" && strings.Contains(host, ":") {
		host += "%" + zone
	}
	e.network, e.address = "tcp", net.JoinHostPort(host, strconv.Itoa(port))
	return nil
}

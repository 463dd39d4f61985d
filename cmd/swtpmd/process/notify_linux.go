package process

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notifySocket is the environment variable with the address at which a service
// manager wants to be told (sd_notify(3)).
const notifySocket = "NOTIFY_SOCKET"

// Notifier tells the service manager that started this process how far the process
// is, as sd_notify(3) has it. A nil one tells nobody.
type Notifier struct{ conn net.Conn }

// NewNotifier connects to the service manager. It returns nil where there is none:
// NOTIFY_SOCKET is not set, or is no unix socket. A sandbox does not let a process
// make such a socket, so it has to be made before.
func NewNotifier() (*Notifier, error) {
	address := os.Getenv(notifySocket)
	if !strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "@") {
		return nil, nil
	}
	conn, err := net.Dial("unixgram", address)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", notifySocket, address, err)
	}
	return &Notifier{conn}, nil
}

// Ready tells that the process serves, or serves again after Reloading. A process in
// the background tells its number too: its manager knows another one.
func (n *Notifier) Ready() error {
	if InBackground() {
		return n.tell(fmt.Sprintf("READY=1\nMAINPID=%d", os.Getpid()))
	}
	return n.tell("READY=1")
}

// Reloading tells that the process has been asked to reload. Ready tells the end of it.
func (n *Notifier) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	return n.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}

// Main tells that another process does from now on what this one did, and that it is ready:
// the manager is to follow that one.
func (n *Notifier) Main(pid int) error { return n.tell(fmt.Sprintf("READY=1\nMAINPID=%d", pid)) }

// Peer returns the process that has connected a unix socket, 0 if that is not known.
func Peer(conn *net.UnixConn) (pid int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// Stopping tells that the process is about to end.
func (n *Notifier) Stopping() error { return n.tell("STOPPING=1") }

// notifyTime is how long a manager may take to read what it has been told before.
const notifyTime = 250 * time.Millisecond

// tell sends one datagram, for which it does not wait long.
func (n *Notifier) tell(state string) error {
	if n == nil {
		return nil
	}
	if err := n.conn.SetWriteDeadline(time.Now().Add(notifyTime)); err != nil {
		return err
	}
	if _, err := n.conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("the service manager was not told %q: %w", state, err)
	}
	return nil
}

// Close lets go of the service manager's socket.
func (n *Notifier) Close() error {
	if n == nil {
		return nil
	}
	return n.conn.Close()
}

//go:build unix

package swtpm

import (
	"context"
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNotUnix says that the control channel cannot carry a descriptor.
var ErrNotUnix = errors.New("the control channel is not a unix socket: give the address of a data channel instead")

// DataConn makes a socket pair, passes one end to the server as its data
// channel (SET_DATAFD) and returns the other.
func (c *Client) DataConn(ctx context.Context) (net.Conn, error) {
	control, ok := c.conn.(*net.UnixConn)
	if !ok {
		return nil, ErrNotUnix
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	err = c.exchange(ctx, CmdSetDataFD,
		func() error {
			_, _, err := control.WriteMsgUnix(words(uint32(CmdSetDataFD)), unix.UnixRights(int(theirs.Fd())), nil)
			return err
		},
		func() error { return c.result(CmdSetDataFD) })
	err = errors.Join(err, theirs.Close())
	if err == nil {
		var conn net.Conn
		if conn, err = net.FileConn(ours); err == nil {
			return conn, ours.Close()
		}
	}
	return nil, errors.Join(err, ours.Close())
}

func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return os.NewFile(uintptr(fds[0]), "data"), os.NewFile(uintptr(fds[1]), "data"), nil
}

//go:build !unix

package swtpm

import (
	"context"
	"errors"
	"net"
)

// ErrNotUnix says that the control channel cannot carry a descriptor.
var ErrNotUnix = errors.New("descriptors cannot be passed on this system: give the address of a data channel instead")

// DataConn fails with ErrNotUnix on this system.
func (c *Client) DataConn(context.Context) (net.Conn, error) { return nil, ErrNotUnix }

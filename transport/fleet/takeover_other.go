//go:build !unix

package fleet

import (
	"context"
	"errors"
	"net"
	"os"
)

// HandOver fails: sockets carry no descriptors here.
func (f *Fleet) HandOver(_ context.Context, conn *net.UnixConn, _ map[string]*os.File) error {
	return errors.Join(errors.ErrUnsupported, conn.Close())
}

// Take fails: sockets carry no descriptors here.
func Take(_ context.Context, conn *net.UnixConn, _ Options) (*Fleet, map[string]*os.File, error) {
	return nil, nil, errors.Join(errors.ErrUnsupported, conn.Close())
}

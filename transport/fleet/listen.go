package fleet

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// listenInPlace takes the place of the socket that a fleet before has left.
func listenInPlace(ctx context.Context, path string) (net.Listener, error) {
	config := net.ListenConfig{Control: private}
	l, err := config.Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if info, errStat := os.Lstat(path); errStat == nil && info.Mode().Type() == fs.ModeSocket {
			if err := os.Remove(path); err != nil {
				return nil, err
			}
			l, err = config.Listen(ctx, "unix", path)
		}
	}
	if err != nil {
		return nil, err
	}
	if privateFromBind {
		return l, nil
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// socketMode are the permissions of sockets.
const socketMode = 0o600

//go:build unix && !aix

package transport

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// lockPatience is how long a process waits for another one that makes a socket in
// the directory. That takes no time, so a lock that is held longer is another's,
// and does not count.
const lockPatience = time.Second

// lockDirectory has those who make sockets in a directory do so one after the
// other (flock(2)). A directory that cannot be locked is used without.
func lockDirectory(ctx context.Context, dir string) (unlock func()) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			break
		}
		select {
		case <-time.After(time.Millisecond):
			continue
		case <-ctx.Done():
		}
		break
	}
	// A process that is being started may have the descriptor too.
	return func() { _ = unix.Flock(fd, unix.LOCK_UN); _ = unix.Close(fd) }
}

//go:build unix

package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Passed is a socket that the service manager made and has passed to this process.
type Passed struct {
	FD   int
	Name string // FileDescriptorName= of its unit; systemd's default is the unit's name
	Path string // of a unix socket that has one
}

const (
	firstPassed = 3   // SD_LISTEN_FDS_START
	maxPassed   = 128 // more is no count of sockets
)

// Activated returns the sockets that the service manager has passed to this process, or
// to the one that has sent it to the background (sd_listen_fds(3)).
func Activated() ([]Passed, error) {
	pid, err := strconv.Atoi(os.Getenv("LISTEN_PID"))
	if err != nil || pid != os.Getpid() && !(InBackground() && pid == os.Getppid()) {
		return nil, nil // they are somebody else's
	}
	text := os.Getenv("LISTEN_FDS")
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxPassed {
		return nil, fmt.Errorf("LISTEN_FDS=%s is no number of sockets", text)
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	var all []Passed
	for i := range n {
		p := Passed{FD: firstPassed + i}
		if i < len(names) {
			p.Name = names[i]
		}
		address, err := unix.Getsockname(p.FD)
		if err != nil {
			return nil, fmt.Errorf("LISTEN_FDS=%s: descriptor %d: %w", text, p.FD, err)
		}
		if socket, ok := address.(*unix.SockaddrUnix); ok {
			p.Path = socket.Name
		}
		all = append(all, p)
	}
	return all, nil
}

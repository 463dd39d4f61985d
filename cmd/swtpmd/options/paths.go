package options

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

// MaxSocketPath is how many bytes the path of a unix socket may have: the system
// ends it with a zero byte (unix(7)).
const MaxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// pathLengthError is a socket that the system cannot make, for which it would
// say no more than "invalid argument".
type pathLengthError struct {
	option, path string
}

func (e *pathLengthError) Error() string {
	return fmt.Sprintf("--%s: the path %s has %d bytes, and that of a socket has at most %d", e.option, e.path, len(e.path), MaxSocketPath)
}

// CheckPaths finds paths of unix sockets that are too long, those in --dir
// included.
func (s *Set) CheckPaths() error {
	console, _ := strings.CutPrefix(s.Console, "unix:")
	if console == s.Console {
		console = ""
	}
	paths := []pathLengthError{{"admin", s.Admin}, {"console", console}, {"levels", s.GDB.Path}}
	for _, path := range s.SimulatorPaths() {
		paths = append(paths, pathLengthError{"unix", path})
	}
	for option, endpoints := range map[string][]*Endpoint{"ctrl": s.Control, "server": s.Data} {
		for _, e := range endpoints {
			if e.Network == "unix" {
				paths = append(paths, pathLengthError{option, e.Address})
			}
		}
	}
	for _, p := range paths {
		switch {
		case len(p.path) <= MaxSocketPath:
		case s.Dir != "" && filepath.Dir(p.path) == s.Dir:
			p.option = "dir"
			return cli.Usage(&p, "choose a shorter --dir")
		default:
			return cli.Usage(&p, "choose a shorter path")
		}
	}
	return nil
}

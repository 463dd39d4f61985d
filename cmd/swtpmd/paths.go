package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

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
	for _, path := range s.simulatorPaths() {
		paths = append(paths, pathLengthError{"unix", path})
	}
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

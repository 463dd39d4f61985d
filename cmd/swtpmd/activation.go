package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
)

// takeActivated takes the sockets that the service manager has passed, but for those
// that the command line names (systemd.socket(5)). What one is for is its name, ctrl or
// server, or the end of its path: .ctrl as tpm2-tss has it for a control channel.
func (s *settings) takeActivated() error {
	passed, err := process.Activated()
	if err != nil {
		return cli.Usage(err, "it is for the service manager to set")
	}
	for _, p := range passed {
		if slices.ContainsFunc(append(slices.Clip(s.control), s.data...), func(e *endpoint) bool { return e.fd == p.FD }) {
			continue
		}
		e := &endpoint{fd: p.FD, uid: -1, gid: -1}
		if p.Path != "" {
			e.network, e.address = "unix", p.Path
		}
		switch {
		case p.Name == "ctrl":
			s.control = append(s.control, e)
		case p.Name == "server":
			s.data = append(s.data, e)
		case p.Path != "" && strings.HasSuffix(p.Path, ".ctrl"):
			s.control = append(s.control, e)
		case p.Path != "":
			s.data = append(s.data, e)
		default:
			return cli.Usage(fmt.Errorf("nothing tells what descriptor %d (%q) of the service manager is for", p.FD, p.Name),
				"say FileDescriptorName=ctrl or FileDescriptorName=server in its socket unit")
		}
	}
	return nil
}

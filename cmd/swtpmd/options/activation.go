package options

import (
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
)

// TakeActivated takes the sockets that the service manager has passed, but for those
// that the command line names (systemd.socket(5)). What one is for is its name, ctrl or
// server, or the end of its path: .ctrl as tpm2-tss has it for a control channel.
func (s *Set) TakeActivated() error {
	passed, err := process.Activated()
	if err != nil {
		return cli.Usage(err, "it is for the service manager to set")
	}
	for _, p := range passed {
		if slices.ContainsFunc(append(slices.Clip(s.Control), s.Data...), func(e *Endpoint) bool { return e.FD == p.FD }) {
			continue
		}
		e := &Endpoint{FD: p.FD, uid: -1, gid: -1}
		if p.Path != "" {
			e.Network, e.Address = "unix", p.Path
		}
		switch {
		case p.Name == "ctrl":
			s.Control = append(s.Control, e)
		case p.Name == "server":
			s.Data = append(s.Data, e)
		case p.Path != "" && strings.HasSuffix(p.Path, ".ctrl"):
			s.Control = append(s.Control, e)
		case p.Path != "":
			s.Data = append(s.Data, e)
		default:
			return cli.Usage(fmt.Errorf("nothing tells what descriptor %d (%q) of the service manager is for", p.FD, p.Name),
				"say FileDescriptorName=ctrl or FileDescriptorName=server in its socket unit")
		}
	}
	return nil
}

package options

import (
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
	"github.com/swtpmd/swtpmd/transport/mssim"
)

// SimulatorWords say where the TPM is served by the protocol of the TCG's simulator.
type SimulatorWords struct {
	Port int    // the command port; 0 for any
	Bind string // address; "" for this machine's own
	Unix string // path of the command socket; "" for TCP
	Pick bool   // the first pair that is free, from port on
	// Announce writes where the TPM listens.
	Announce func(io.Writer, *Set) error
	// Ports are the sockets once they are open.
	Ports *mssim.Ports
}

// SetSimulatorPort takes the command port of the simulator.
func (s *Set) SetSimulatorPort(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 65534 {
		return words.Wrong("port", text, "not a port from 1 to 65534, which has one after it, nor 0 for any")
	}
	s.Simulator.Port = n
	return nil
}

func (s *Set) setBind(text string) error {
	if _, err := netip.ParseAddr(text); err != nil {
		return words.Wrong("bind", text, "not an address in numbers, such as 127.0.0.1, ::1 or 0.0.0.0")
	}
	s.Simulator.Bind = text
	return nil
}

func (s *Set) setUnix(text string) error {
	s.Simulator.Unix = text
	return nil
}

// SimulatorPaths are the sockets of --unix.
func (s *Set) SimulatorPaths() []string {
	if s.Simulator == nil || s.Simulator.Unix == "" {
		return nil
	}
	platform, err := mssim.PlatformAddress("unix", s.Simulator.Unix)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc([]string{s.Simulator.Unix, platform}, func(path string) bool { return strings.HasPrefix(path, "@") })
}

package options

import (
	"errors"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

// levelsGDB is the word of --levels for QEMU's gdbstub; its socket comes after a
// colon, or is in the daemon's directory.
const levelsGDB = "gdb"

func (s *Set) setLevels(text string) error {
	rest, ok := strings.CutPrefix(text, levelsGDB)
	path, unix := strings.CutPrefix(rest, ":unix:")
	switch {
	case !ok || rest != "" && !unix:
		return errors.New("it is gdb or gdb:unix:PATH")
	case unix && path == "":
		return errors.New("the path after gdb:unix: is missing")
	}
	s.GDB.Wanted, s.GDB.Path = true, path
	return nil
}

// GdbWords are --levels=gdb and what belongs to it.
type GdbWords struct {
	Wanted bool
	Path   string // of the socket
	Kernel string // file with the System.map
}

// check finds what does not go together with --levels=gdb.
func (g *GdbWords) check(s *Set) error {
	switch {
	case !g.Wanted && g.Kernel != "":
		return cli.Usage(errors.New("--system-map is for --levels=gdb"), "add it, or leave out --system-map")
	case !g.Wanted:
		return nil
	case g.Kernel == "":
		return cli.Usage(errors.New("--levels=gdb knows no kernel"), "add --system-map=FILE, the System.map of the guest's kernel")
	case s.Console != "" || s.ConsoleLog != "" || s.Timeline != "":
		return cli.Usage(errors.New("--levels=gdb and --console, --console-log or --timeline exclude each other"), "one source says how far the boot has come")
	case s.TrustConsole || len(s.Markers) > 0:
		return cli.Usage(errors.New("--trust-console and --marker are for a console, and --levels=gdb reads none"), "leave them out")
	}
	return nil
}

package options

import (
	"errors"
	"flag"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

// Command is a set of the commands that run a TPM, by their words: swtpmd without
// one, and the words for interfaces that swtpm has too.
type Command uint8

const (
	InDaemon  Command = 1 << iota // swtpmd
	InSocket                      // swtpmd socket
	InChardev                     // swtpmd chardev
	InCUSE                        // swtpmd cuse
	InMSSIM                       // swtpmd mssim
	InFleet                       // swtpmd fleet

	// inSwtpm are the words of swtpm, inAll those, swtpmd itself and swtpmd mssim.
	inSwtpm = InSocket | InChardev | InCUSE
	inAll   = InDaemon | inSwtpm | InMSSIM
)

// option is a row of the table of options: one long name, and a letter where swtpm has
// one.
type option struct {
	Name, Letter string
	in           Command
	// Newer is set for what swtpm 0.7 does not have.
	Newer bool
	// value takes the option's value; an option without is a switch, which turns
	// on what on returns.
	value func(*Set, string) error
	on    func(*Set) *bool
	// Refused is why an option of swtpm is not offered.
	Refused string
}

// Table is the table of options of the commands that run a TPM. What several
// commands of swtpmd have besides running one (--profile, those of the deferral and of faults) is
// defined by package cli. swtpm's own are those of swtpm(8).
var Table = []option{
	{Name: "ctrl", in: inAll &^ InCUSE &^ InMSSIM, value: (*Set).setCtrl},
	{Name: "server", in: InDaemon | InSocket, value: (*Set).setServer},
	{Name: "port", Letter: "p", in: InDaemon | InSocket, value: (*Set).setPort},
	{Name: "fd", Letter: "f", in: inAll &^ InCUSE &^ InMSSIM, value: (*Set).setFD},
	{Name: "flags", in: inAll, value: (*Set).setFlags},
	{Name: "locality", in: inAll &^ InMSSIM, value: (*Set).setLocality},
	{Name: "pid", in: inAll | InFleet, value: (*Set).setPID},
	{Name: "log", in: inAll | InFleet, value: func(s *Set, text string) error { return s.Log.set(text) }},
	{Name: "tpmstate", in: inAll, value: func(s *Set, text string) error { return s.State.set(text) }},
	{Name: "key", in: inAll, value: (*Set).setKey},
	{Name: "migration-key", in: inAll, value: (*Set).setMigrationKey},
	{Name: "migration", in: inAll, Newer: true, value: func(s *Set, text string) error { return s.Migration.set(text) }},
	{Name: "terminate", Letter: "t", in: InDaemon | InSocket, on: func(s *Set) *bool { return &s.Terminate }},
	{Name: "daemon", Letter: "d", in: inAll&^InCUSE | InFleet, on: func(s *Set) *bool { return &s.Daemonize }},
	{Name: "seccomp", in: inAll, value: func(s *Set, text string) error { return s.Sandbox.setSeccomp(text) }},
	{Name: "runas", Letter: "r", in: inAll, value: (*Set).setRunAs},
	{Name: "chroot", Letter: "R", in: inAll, Newer: true, value: (*Set).setChroot},

	// Those of swtpmd mssim.
	{Name: "port", Letter: "p", in: InMSSIM, value: (*Set).SetSimulatorPort},
	{Name: "bind", in: InMSSIM, value: (*Set).setBind},
	{Name: "unix", in: InMSSIM, value: (*Set).setUnix},

	// swtpmd's own.
	{Name: "version-like", in: inSwtpm, value: (*Set).setLike},
	{Name: "state", in: inAll, value: func(s *Set, text string) error { return s.State.setDir(text) }},
	{Name: "sandbox", in: inAll, value: func(s *Set, text string) error { return s.Sandbox.set(text) }},
	{Name: "core-dumps", in: inAll | InFleet, on: func(s *Set) *bool { return &s.CoreDumps }},
	{Name: "dir", in: inAll | InFleet, value: func(s *Set, text string) error { s.Dir = text; return nil }},
	{Name: "admin", in: inAll | InFleet, value: func(s *Set, text string) error { s.Admin = text; return nil }},
	{Name: "json", in: inAll | InFleet, on: func(s *Set) *bool { return &s.JSON }},
	{Name: "console", in: inAll, value: func(s *Set, text string) error { s.Console = text; return nil }},
	{Name: "console-log", in: inAll, value: func(s *Set, text string) error { s.ConsoleLog = text; return nil }},
	{Name: "trust-console", in: inAll, on: func(s *Set) *bool { return &s.TrustConsole }},
	{Name: "follow-kexec", in: inAll, on: func(s *Set) *bool { return &s.FollowKexec }},
	{Name: "timeline", in: inAll, value: func(s *Set, text string) error { s.Timeline = text; return nil }},
	{Name: "levels", in: inAll, value: (*Set).setLevels},
	{Name: "system-map", in: inAll, value: func(s *Set, text string) error { s.GDB.Kernel = text; return nil }},
	{Name: "marker", in: inAll, value: func(s *Set, text string) error { s.Markers = append(s.Markers, text); return nil }},

	{Name: "pcap", in: inAll, Newer: true, value: func(s *Set, text string) error { return s.Pcap.set(text) }},
	{Name: "journal", in: inAll, value: func(s *Set, text string) error { return s.Journal.setFile(text) }},
	{Name: "journal-commands", in: inAll, on: func(s *Set) *bool { return &s.Journal.Commands }},
	{Name: "tpm-seed", in: inAll, value: func(s *Set, text string) error { return s.Journal.setSeed(text) }},
	{Name: "trace", in: inAll, value: func(s *Set, text string) error { s.Trace = text; return nil }},
	{Name: "busy-poll", in: InDaemon | InSocket | InMSSIM, value: (*Set).setBusyPoll},
	{Name: "remember-keys", in: inAll, value: (*Set).setRememberKeys},
	{Name: "backend", in: inAll, value: (*Set).setBackend},
}

// Define defines the options of one command.
func (s *Set) Define(f *flag.FlagSet, c Command) {
	s.NameNone()
	s.BusyPoll = defaultBusyPoll
	if c != InFleet { // of which each TPM has its own
		s.Profile.Define(f)
		s.Deferral.Define(f)
		f.IntVar(&s.Deferral.Boots, "defer-boots", 0, "")
		s.Faults.Define(f)
	}
	for i := range Table {
		if o := &Table[i]; o.in&c != 0 {
			o.define(s, f)
		}
	}
}

// NameNone has no option name a descriptor or a level: their zero values would be standard
// input and the level 0.
func (s *Set) NameNone() { s.PID.FD, s.Log.FD, s.Log.Level, s.Pcap.FD = -1, -1, -1, -1 }

// define defines one option, by both of its names.
func (o *option) define(s *Set, f *flag.FlagSet) {
	for _, name := range []string{o.Name, o.Letter} {
		switch {
		case name == "":
		case o.Refused != "":
			f.Func(name, cli.Hidden, func(string) error { return errors.New("not offered: " + o.Refused) })
		case o.on != nil:
			f.BoolVar(o.on(s), name, false, "")
		default:
			f.Func(name, "", func(text string) error { return o.value(s, text) })
		}
	}
}

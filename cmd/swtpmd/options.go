package main

import (
	"errors"
	"flag"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

// command is a set of the commands that run a TPM, by their words: swtpmd without
// one, and the words for interfaces that swtpm has too.
type command uint8

const (
	inDaemon  command = 1 << iota // swtpmd
	inSocket                      // swtpmd socket
	inChardev                     // swtpmd chardev
	inCUSE                        // swtpmd cuse
	inMSSIM                       // swtpmd mssim

	// inSwtpm are the words of swtpm, inAll those, swtpmd itself and swtpmd mssim.
	inSwtpm = inSocket | inChardev | inCUSE
	inAll   = inDaemon | inSwtpm | inMSSIM
)

// option is a row of the table of options: one long name, and a letter where swtpm has
// one.
type option struct {
	name, letter string
	in           command
	// newer is set for what swtpm 0.7 does not have.
	newer bool
	// value takes the option's value; an option without is a switch, which turns
	// on what on returns.
	value func(*settings, string) error
	on    func(*settings) *bool
	// refused is why an option of swtpm is not offered.
	refused string
}

// options is the table of options of the commands that run a TPM. What several
// commands of swtpmd have besides running one (--profile, those of the deferral) is
// defined by package cli. swtpm's own are those of swtpm(8).
var options = []option{
	{name: "ctrl", in: inAll &^ inCUSE &^ inMSSIM, value: (*settings).setCtrl},
	{name: "server", in: inDaemon | inSocket, value: (*settings).setServer},
	{name: "port", letter: "p", in: inDaemon | inSocket, value: (*settings).setPort},
	{name: "fd", letter: "f", in: inAll &^ inCUSE &^ inMSSIM, value: (*settings).setFD},
	{name: "flags", in: inAll, value: (*settings).setFlags},
	{name: "locality", in: inAll &^ inMSSIM, value: (*settings).setLocality},
	{name: "pid", in: inAll, value: (*settings).setPID},
	{name: "log", in: inAll, value: func(s *settings, text string) error { return s.log.set(text) }},
	{name: "tpmstate", in: inAll, value: func(s *settings, text string) error { return s.state.set(text) }},
	{name: "key", in: inAll, value: (*settings).setKey},
	{name: "migration-key", in: inAll, value: (*settings).setMigrationKey},
	{name: "migration", in: inAll, newer: true, value: func(s *settings, text string) error { return s.migration.set(text) }},
	{name: "terminate", letter: "t", in: inDaemon | inSocket, on: func(s *settings) *bool { return &s.terminate }},
	{name: "daemon", letter: "d", in: inAll &^ inCUSE, on: func(s *settings) *bool { return &s.daemonize }},
	{name: "seccomp", in: inAll, value: func(s *settings, text string) error { return s.sandbox.setSeccomp(text) }},
	{name: "runas", letter: "r", in: inAll, value: (*settings).setRunAs},
	{name: "chroot", letter: "R", in: inAll, newer: true, value: (*settings).setChroot},

	// Those of swtpmd mssim.
	{name: "port", letter: "p", in: inMSSIM, value: (*settings).setSimulatorPort},
	{name: "bind", in: inMSSIM, value: (*settings).setBind},
	{name: "unix", in: inMSSIM, value: (*settings).setUnix},

	// swtpmd's own.
	{name: "version-like", in: inSwtpm, value: (*settings).setLike},
	{name: "state", in: inAll, value: func(s *settings, text string) error { return s.state.setDir(text) }},
	{name: "sandbox", in: inAll, value: func(s *settings, text string) error { return s.sandbox.set(text) }},
	{name: "core-dumps", in: inAll, on: func(s *settings) *bool { return &s.coreDumps }},
	{name: "dir", in: inAll, value: func(s *settings, text string) error { s.dir = text; return nil }},
	{name: "admin", in: inAll, value: func(s *settings, text string) error { s.admin = text; return nil }},
	{name: "json", in: inAll, on: func(s *settings) *bool { return &s.json }},
	{name: "console", in: inAll, value: func(s *settings, text string) error { s.console = text; return nil }},
	{name: "console-log", in: inAll, value: func(s *settings, text string) error { s.consoleLog = text; return nil }},
	{name: "trust-console", in: inAll, on: func(s *settings) *bool { return &s.trustConsole }},
	{name: "follow-kexec", in: inAll, on: func(s *settings) *bool { return &s.followKexec }},
	{name: "timeline", in: inAll, value: func(s *settings, text string) error { s.timeline = text; return nil }},
	{name: "levels", in: inAll, value: (*settings).setLevels},
	{name: "system-map", in: inAll, value: func(s *settings, text string) error { s.gdb.kernel = text; return nil }},
	{name: "marker", in: inAll, value: func(s *settings, text string) error { s.markers = append(s.markers, text); return nil }},

	{name: "pcap", in: inAll, newer: true, value: func(s *settings, text string) error { return s.pcap.set(text) }},
	{name: "trace", in: inAll, value: func(s *settings, text string) error { s.trace = text; return nil }},
	{name: "backend", in: inAll, value: (*settings).setBackend},
}

// define defines the options of one command.
func (s *settings) define(f *flag.FlagSet, c command) {
	s.pid.fd, s.log.fd, s.log.level, s.pcap.fd = -1, -1, -1, -1
	s.profile.Define(f)
	s.deferral.Define(f)
	f.IntVar(&s.deferral.Boots, "defer-boots", 0, "")
	for i := range options {
		if o := &options[i]; o.in&c != 0 {
			o.define(s, f)
		}
	}
}

// define defines one option, by both of its names.
func (o *option) define(s *settings, f *flag.FlagSet) {
	for _, name := range []string{o.name, o.letter} {
		switch {
		case name == "":
		case o.refused != "":
			f.Func(name, cli.Hidden, func(string) error { return errors.New("not offered: " + o.refused) })
		case o.on != nil:
			f.BoolVar(o.on(s), name, false, "")
		default:
			f.Func(name, "", func(text string) error { return o.value(s, text) })
		}
	}
}

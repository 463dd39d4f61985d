package main

import (
	"context"
	"errors"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/dial"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// settings are the command line as values.
type settings struct {
	// What swtpm has words for.
	control, data []*endpoint
	startup       startup
	locality      localityWords
	terminate     bool
	daemonize     bool
	coreDumps     bool
	runAs         *process.Identity // nil without --runas
	chroot        string
	sandbox       sandboxWords
	pid           output
	log           logWords
	state         stateWords
	keys          keyWords
	migration     migrationWords
	autoShutdown  autoShutdown
	profile       cli.Profile
	like          swtpm.Version
	// firstProfile says that a profile is for the first start only, as in swtpm.
	firstProfile bool

	pcap pcapWords

	// What is swtpmd's own.
	trace    string        // a file, "-" for stdout
	backend  *dial.Address // nil: our own TPM
	dir      string
	ownDir   bool // dir was made for this daemon
	admin    string
	json     bool
	deferral cli.Deferral
	console  string
	// consoleLog is a file for a copy of what the console brings.
	consoleLog string
	// trustConsole and followKexec say what of a console is believed.
	trustConsole bool
	followKexec  bool
	timeline     string
	gdb          gdbWords
	markers      []string
	// device is where TPM commands come besides the sockets, nil for none.
	device device
	// deferFor is how long after power-on the TPM comes, 0 if that is not how it is said.
	deferFor time.Duration
	// simulator is set for swtpmd mssim, and nil for the others.
	simulator *simulatorWords
}

// startup is the start of the TPM before the first client comes.
type startup uint8

const (
	startupByClient startup = iota // INIT comes over the control channel
	startupPower                   // power, no TPM2_Startup
	startupClear
	startupState
)

// send sends the TPM2_Startup that was asked for.
func (how startup) send(ctx context.Context, device transport.Device) error {
	tpm := ask.TPM{Device: device}
	switch how {
	case startupClear:
		return tpm.Startup(ctx, wire.SUClear)
	case startupState:
		return tpm.Startup(ctx, wire.SUState)
	}
	return nil
}

type localityWords struct {
	rejectFour, allowSet bool
}

func (s *settings) setLike(text string) (err error) {
	s.like, err = swtpm.ParseVersion(text)
	return err
}

func (s *settings) setCtrl(text string) error {
	e, err := parseEndpoint("ctrl", text, "", ctrlWords)
	if err == nil {
		s.control = append(s.control, e)
	}
	return err
}

func (s *settings) setServer(text string) error {
	e, err := parseEndpoint("server", text, "tcp", serverWords)
	if err == nil {
		s.data = append(s.data, e)
	}
	return err
}

// setPort is swtpm's short form of --server type=tcp,disconnect.
func (s *settings) setPort(text string) error {
	return s.setServer("type=tcp,disconnect,port=" + text)
}

// setFD is a data connection that exists already; its end is the daemon's.
func (s *settings) setFD(text string) error {
	fd, err := words{"fd": text}.number("fd", "fd", maxDescriptor)
	if err != nil {
		return err
	}
	s.data = append(s.data, &endpoint{fd: fd, uid: -1, gid: -1, client: true, terminate: true})
	s.terminate = true
	return nil
}

func (s *settings) setFlags(text string) error {
	w, err := parseWords("flags", text, "not-need-init", "startup-clear", "startup-state", "startup-none",
		"startup-deactivated", "disable-auto-shutdown", "auto-shutdown")
	if err != nil {
		return err
	}
	if err := s.autoShutdown.set(w); err != nil {
		return err
	}
	chosen := 0
	for word, value := range map[string]startup{
		"startup-clear": startupClear, "startup-state": startupState, "startup-none": startupPower,
	} {
		if _, ok := w[word]; ok {
			s.startup = value
			chosen++
		}
	}
	if _, ok := w["startup-deactivated"]; ok {
		return &wordError{"flags", "startup-deactivated", "only a TPM 1.2 can be started so"}
	}
	if chosen > 1 {
		return &wordError{"flags", text, "only one startup- word can be followed"}
	}
	if _, ok := w["not-need-init"]; ok && chosen == 0 {
		s.startup = startupPower
	}
	return nil
}

func (s *settings) setLocality(text string) error {
	w, err := parseWords("locality", text, "reject-locality-4", "allow-set-locality")
	if err != nil {
		return err
	}
	if s.locality.rejectFour, err = w.yes("locality", "reject-locality-4"); err != nil {
		return err
	}
	s.locality.allowSet, err = w.yes("locality", "allow-set-locality")
	return err
}

func (s *settings) setPID(text string) error {
	w, err := parseWords("pid", text, "file", "fd")
	if err != nil {
		return err
	}
	return s.pid.set("pid", w)
}

// check finds what no single option can see.
func (s *settings) check() error {
	d := &s.deferral
	switch {
	case (s.migration.incoming || s.migration.release) && (s.state.dir == "" || s.state.noLock):
		return cli.Usage(errors.New("--migration hands the lock of a state directory over, and there is none"), "add --tpmstate=dir=DIR, without lock=false")
	case d.Until == initcall.Firmware && (s.console != "" && s.consoleLog == "" || s.timeline != ""):
		return cli.Usage(errors.New("--console and --timeline say when a deferral ends, and none was asked for"), "add --defer-until=LEVEL")
	case s.timeline != "" && s.consoleLog != "":
		return cli.Usage(errors.New("--console-log is for a console, and --timeline goes by time"), "leave out one of the two")
	case s.console != "" && s.timeline != "":
		return cli.Usage(errors.New("--console and --timeline exclude each other"), "one source says how far the boot has come")
	case s.timeline != "" && (s.trustConsole || s.followKexec):
		return cli.Usage(errors.New("--trust-console and --follow-kexec are for a console, and --timeline goes by time"), "leave out one of the two")
	case s.timeline != "" && len(s.markers) > 0:
		return cli.Usage(errors.New("--marker is for a console, and --timeline goes by time"), "leave out one of the two")
	}
	for _, check := range []func() error{func() error { return s.gdb.check(s) }, s.checkBackend, s.checkCapture} {
		if err := check(); err != nil {
			return err
		}
	}
	return d.Check()
}

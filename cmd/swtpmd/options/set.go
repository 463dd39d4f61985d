// Package options holds the command line of the commands that run a TPM, as values, and
// opens the sockets that it names.
package options

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/dial"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// LookAtDescriptors finds out what all inherited sockets are. The end of a data
// connection that was passed is the daemon's (swtpm(8), "--server").
func (s *Set) LookAtDescriptors() error {
	for _, e := range s.Control {
		if err := e.look("ctrl"); err != nil {
			return err
		}
	}
	for _, e := range s.Data {
		if err := e.look("server"); err != nil {
			return err
		}
		s.Terminate = s.Terminate || e.Client
	}
	return nil
}

// TakesStdin reports whether an endpoint is standard input.
func (s *Set) TakesStdin() bool {
	for _, e := range append(slices.Clip(s.Control), s.Data...) {
		if e.FD == 0 {
			return true
		}
	}
	return false
}

// Set are the command line as values.
type Set struct {
	// What swtpm has words for.
	Control, Data []*Endpoint
	Startup       startup
	Locality      localityWords
	Terminate     bool
	Daemonize     bool
	CoreDumps     bool
	RunAs         *process.Identity // nil without --runas
	Chroot        string
	Sandbox       SandboxWords
	PID           Output
	Log           LogWords
	State         StateWords
	Keys          keyWords
	Migration     migrationWords
	AutoShutdown  autoShutdown
	Profile       cli.Profile
	Like          swtpm.Version
	// FirstProfile says that a profile is for the first start only, as in swtpm.
	FirstProfile bool

	// ForgetKeys has each primary key computed anew; RememberKeys is how many RSA keys
	// are not, 0 for the default.
	ForgetKeys   bool
	RememberKeys int

	// BusyPoll is how long a server looks for the next command before it sleeps.
	BusyPoll time.Duration

	Pcap    PcapWords
	Journal JournalWords

	// What is swtpmd's own.
	Trace    string        // a file, "-" for stdout
	Backend  *dial.Address // nil: our own TPM
	Dir      string
	OwnDir   bool // dir was made for this daemon
	Admin    string
	JSON     bool
	Deferral cli.Deferral
	Faults   cli.Faults
	Console  string
	// ConsoleLog is a file for a copy of what the console brings.
	ConsoleLog string
	// TrustConsole and followKexec say what of a console is believed.
	TrustConsole bool
	FollowKexec  bool
	Timeline     string
	GDB          GdbWords
	Markers      []string
	// DeferFor is how long after power-on the TPM comes, 0 if that is not how it is said.
	DeferFor time.Duration
	// Simulator is set for swtpmd mssim, and nil for the others.
	Simulator *SimulatorWords
}

// startup is the start of the TPM before the first client comes.
type startup uint8

const (
	StartupByClient startup = iota // INIT comes over the control channel
	startupPower                   // power, no TPM2_Startup
	// StartupClear is power and TPM2_Startup(CLEAR).
	StartupClear
	startupState
)

// Send sends the TPM2_Startup that was asked for.
func (how startup) Send(ctx context.Context, device transport.Device) error {
	tpm := ask.TPM{Device: device}
	switch how {
	case StartupClear:
		return tpm.Startup(ctx, wire.SUClear)
	case startupState:
		return tpm.Startup(ctx, wire.SUState)
	}
	return nil
}

type localityWords struct {
	RejectFour, AllowSet bool
}

func (s *Set) setLike(text string) (err error) {
	s.Like, err = swtpm.ParseVersion(text)
	return err
}

func (s *Set) setCtrl(text string) error {
	e, err := parseEndpoint("ctrl", text, "", ctrlWords)
	if err == nil {
		s.Control = append(s.Control, e)
	}
	return err
}

func (s *Set) setServer(text string) error {
	e, err := parseEndpoint("server", text, "tcp", serverWords)
	if err == nil {
		s.Data = append(s.Data, e)
	}
	return err
}

// setPort is swtpm's short form of --server type=tcp,disconnect.
func (s *Set) setPort(text string) error {
	return s.setServer("type=tcp,disconnect,port=" + text)
}

// setFD is a data connection that exists already; its end is the daemon's.
func (s *Set) setFD(text string) error {
	fd, err := words.Values{"fd": text}.Number("fd", "fd", words.MaxDescriptor)
	if err != nil {
		return err
	}
	s.Data = append(s.Data, &Endpoint{FD: fd, uid: -1, gid: -1, Client: true, Terminate: true})
	s.Terminate = true
	return nil
}

func (s *Set) setFlags(text string) error {
	w, err := words.Parse("flags", text, "not-need-init", "startup-clear", "startup-state", "startup-none",
		"startup-deactivated", "disable-auto-shutdown", "auto-shutdown")
	if err != nil {
		return err
	}
	if err := s.AutoShutdown.set(w); err != nil {
		return err
	}
	chosen := 0
	for word, value := range map[string]startup{
		"startup-clear": StartupClear, "startup-state": startupState, "startup-none": startupPower,
	} {
		if _, ok := w[word]; ok {
			s.Startup = value
			chosen++
		}
	}
	if _, ok := w["startup-deactivated"]; ok {
		return words.Wrong("flags", "startup-deactivated", "only a TPM 1.2 can be started so")
	}
	if chosen > 1 {
		return words.Wrong("flags", text, "only one startup- word can be followed")
	}
	if _, ok := w["not-need-init"]; ok && chosen == 0 {
		s.Startup = startupPower
	}
	return nil
}

func (s *Set) setLocality(text string) error {
	w, err := words.Parse("locality", text, "reject-locality-4", "allow-set-locality")
	if err != nil {
		return err
	}
	if s.Locality.RejectFour, err = w.Yes("locality", "reject-locality-4"); err != nil {
		return err
	}
	s.Locality.AllowSet, err = w.Yes("locality", "allow-set-locality")
	return err
}

func (s *Set) setPID(text string) error {
	w, err := words.Parse("pid", text, "file", "fd")
	if err != nil {
		return err
	}
	return s.PID.set("pid", w)
}

// Check finds what no single option can see.
func (s *Set) Check() error {
	d := &s.Deferral
	if s.moves() {
		d.BoundHold(movingHoldMax)
	}
	switch {
	case (s.Migration.Incoming || s.Migration.Release) && (s.State.Dir == "" || s.State.NoLock):
		return cli.Usage(errors.New("--migration hands the lock of a state directory over, and there is none"), "add --tpmstate=dir=DIR, without lock=false")
	case !s.Followed() && (s.Console != "" && s.ConsoleLog == "" || s.Timeline != ""):
		return cli.Usage(errors.New("--console and --timeline say how far the boot has come, and nothing was asked for that goes by it"), "add --defer-until=LEVEL, or a --fault with level=")
	case s.Timeline != "" && s.ConsoleLog != "":
		return cli.Usage(errors.New("--console-log is for a console, and --timeline goes by time"), "leave out one of the two")
	case s.Console != "" && s.Timeline != "":
		return cli.Usage(errors.New("--console and --timeline exclude each other"), "one source says how far the boot has come")
	case s.Timeline != "" && (s.TrustConsole || s.FollowKexec):
		return cli.Usage(errors.New("--trust-console and --follow-kexec are for a console, and --timeline goes by time"), "leave out one of the two")
	case s.Timeline != "" && len(s.Markers) > 0:
		return cli.Usage(errors.New("--marker is for a console, and --timeline goes by time"), "leave out one of the two")
	}
	for _, check := range []func() error{func() error { return s.GDB.check(s) }, s.checkBackend, s.checkCapture, s.checkJournal} {
		if err := check(); err != nil {
			return err
		}
	}
	if err := d.Check(s.Faults.Follow()); err != nil {
		return err
	}
	return s.Faults.Check(d.Rules(), cli.DrawSeed)
}

// movingHoldMax is --hold-max by default for a guest that moves: QEMU waits for the command
// that is held before it hands the guest over, and its monitor with it.
const movingHoldMax = 2 * time.Second

// moves reports whether the command line says that the guest is migrated.
func (s *Set) moves() bool {
	return s.Migration.Incoming || s.Migration.Release || s.Keys.migration.Given()
}

// Followed reports whether a rule goes by how far the boot has come.
func (s *Set) Followed() bool {
	return s.Deferral.Until != initcall.Firmware || s.Faults.Follow()
}

// setRunAs is --runas.
func (s *Set) setRunAs(text string) (err error) {
	s.RunAs, err = process.ParseIdentity(text)
	return err
}

// setChroot is --chroot.
func (s *Set) setChroot(dir string) error {
	if dir == "" {
		return words.Wrong("chroot", dir, "it needs a directory")
	}
	s.Chroot = dir
	return nil
}

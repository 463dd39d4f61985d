// Package daemon runs one TPM with its sockets, devices, faults and levels, until it ends.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/logs"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/rundir"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/faults/journal"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/fleet/machine"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// mounted returns the TPM, on its board if it has one.
func (d *daemon) mounted() transport.Device {
	if d.board == nil {
		return d.tpm
	}
	return &boardTPM{d.watched, d.board}
}

// meddles reports whether a decision may have cost the kernel an answer that it needs.
func meddles(decision *faults.Decision) bool { return decision.Outcome != faults.Passed }

// daemon is a running one: settings and what was made of them.
type daemon struct {
	set *options.Set
	// Device is where TPM commands come besides the sockets, nil for none.
	device Device
	log    *slog.Logger
	queue  *logs.Queue
	files  *logs.Files // that are opened anew on SIGHUP
	in     io.Reader
	out    io.Writer // for what comes after the daemon has told that it is ready
	// Sandboxes are nil where the process must not be confined.
	sandboxes *Sandboxes
	// manager is the service manager, which is told when the daemon serves and when
	// it ends.
	manager *process.Notifier

	tpm     transport.Device
	watched *watchedTPM // tpm, if it is our own
	// own is the TPM for the daemon's own commands, and observers stand before what is
	// served: --pcap and --trace.
	own       transport.Device
	observers []func(transport.Device) transport.Device
	// failure returns why the TPM is in failure mode, if it is and that is known.
	failure     func() error
	description *swtpm.Description
	// askInfo asks the swtpm that is served for what it tells of its TPM; nil: there is none.
	askInfo func(ctx context.Context, flags uint64) ([]byte, error)
	told    chan struct{} // closed when the daemon has told that it is ready
	// directory has the TPM's state, nil if the TPM ends with the daemon.
	directory *state.Directory
	// orderly is nil where nobody but a client shuts the TPM down.
	orderly *transport.Orderly
	clock   *initcall.Clock
	panel   *control.Panel
	journal *journal.Writer // nil without --journal
	ticks   *journal.Ticks  // nil without --tpm-seed
	server  *swtpm.Server
	source  levelSource
	guest   machine.Guest
	// meddled counts the commands that a deferral has not let through at once.
	meddled atomic.Uint64
	// simulator is the server of swtpmd mssim, nil without it.
	simulator *mssim.Server
	board     *board // nil without simulator

	services
	stop  context.CancelFunc
	admin *http.Server
}

// makeDir makes the directory and puts the sockets there that no flag puts
// elsewhere.
func (d *daemon) makeDir() error {
	set := d.set
	if set.Dir == "" {
		dir, err := rundir.Make()
		if err != nil {
			return err
		}
		set.Dir, set.OwnDir = dir, true
		d.undo = append(d.undo, func() { os.Remove(dir) })
	}
	dir, err := filepath.Abs(set.Dir)
	if err != nil {
		return err
	}
	set.Dir = dir
	if len(set.Control) == 0 && len(set.Data) == 0 && set.Simulator == nil {
		set.Control = []*options.Endpoint{options.UnixEndpoint(filepath.Join(dir, rundir.Control))}
		set.Data = []*options.Endpoint{options.UnixEndpoint(filepath.Join(dir, rundir.Data))}
	}
	if set.Admin == "" {
		set.Admin = filepath.Join(dir, rundir.Admin)
	}
	followed := set.Followed() || set.ConsoleLog != ""
	if set.GDB.Wanted && set.GDB.Path == "" {
		set.GDB.Path = filepath.Join(dir, rundir.GDB)
	}
	if set.Console == "" && set.Timeline == "" && !set.GDB.Wanted && followed {
		set.Console = "unix:" + filepath.Join(dir, rundir.Console)
	}
	if err := set.CheckPaths(); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o700)
}

// build makes the chain from transport to TPM. It opens nothing that others connect to.
func (d *daemon) build(ctx context.Context) error {
	set := d.set
	if err := d.chooseTPM(ctx); err != nil {
		return err
	}
	tapped, err := d.observe(tap(&set.Log, d.mounted(), d.log))
	if err != nil {
		return err
	}
	d.clock = new(initcall.Clock)
	plan := set.Faults.Plan()
	plan.Clock, plan.Journal = d.clock, d.decided
	if d.ticks != nil {
		plan.Time = d.ticks.Time
	}
	if len(plan.Rules) > 0 {
		d.log.Info("faults", "rules", len(plan.Rules), "seed", plan.Seed)
	}
	d.panel = d.newPanel(plan.Seed)
	d.clock.Subscribe(d.reached)
	// Another TPM's power is not this daemon's at its end.
	if set.Backend == nil && set.AutoShutdown.On(set.Like) {
		d.orderly = transport.NewOrderly(tapped)
		tapped = d.orderly
	}
	device, err := faults.Wrap(tapped, plan)
	if err != nil {
		return err
	}
	if d.source, err = newSource(set, d.clock, d.in, d.files, d.log); err != nil {
		return err
	}
	d.panel.Layer, _ = faults.Of(device)
	d.guest = machine.Guest{Clock: d.clock, Boots: d.source.powerOn, Powered: d.recordPower, Log: d.log}
	device = d.guest.Device(d.panel.Device(through(device, d.observers)))
	options := swtpm.Options{
		Version:             set.Like,
		Description:         d.description,
		Info:                d.askInfo,
		IncomingMigration:   set.Migration.Incoming,
		ReleaseLockOutgoing: set.Migration.Release,
		FileKey:             set.Keys.FileKey,
		MigrationKey:        set.Keys.MigrationKey,
		RejectLocality4:     set.Locality.RejectFour,
		AllowSetLocality:    set.Locality.AllowSet,
		TerminateWithData:   set.Terminate,
		BusyPoll:            set.BusyPoll,
		Events:              d.guest.Power,
		Logger:              d.log,
	}
	if d.directory != nil {
		options.Storage = machine.Storage{Directory: d.directory}
	}
	for _, e := range set.Control {
		options.TerminateWithControl = options.TerminateWithControl || e.Terminate
	}
	for _, e := range set.Data {
		options.DisconnectData = options.DisconnectData || e.Disconnect
	}
	d.server = swtpm.NewServer(device, options)
	d.buildSimulator(device)
	return nil
}

// newTPM makes the TPM and has it try on the state that is kept.
func (d *daemon) newTPM() (*emulator.TPM, error) {
	w := &d.set.State
	var platform emulator.Platform
	if seed := d.set.Journal.TPMSeed; seed != nil {
		d.ticks = new(journal.Ticks)
		platform.Entropy, platform.Clock = journal.Entropy(*seed), d.ticks
		d.log.Warn("the TPM's keys are no secrets: --tpm-seed has it draw them from a number", "seed", *seed)
	}
	if !d.set.ForgetKeys {
		platform.PrimaryKeys = &crypt.RSAKeys{Limit: d.set.RememberKeys}
	}
	directory, isNew, err := openState(w, d.set.Migration.Incoming, d.set.Keys.FileKey, d.log)
	if err != nil {
		return nil, err
	}
	if directory != nil {
		d.directory = directory
		platform.Store = &machine.Store{Store: directory, Dir: w.Dir, Log: d.log}
		d.undo = append(d.undo, func() {
			if err := directory.Close(); err != nil {
				d.log.Warn("the state directory was not closed", "cause", err)
			}
		})
	}
	if d.set.Simulator != nil {
		d.board = new(board)
		d.board.around(&platform)
	}
	if directory != nil {
		if err := keptProfile(w, &d.set.Profile, isNew, d.set.FirstProfile); err != nil {
			return nil, err
		}
		if isNew {
			if err := keepProfile(w, &d.set.Profile); err != nil {
				return nil, fmt.Errorf("--profile: %w", err)
			}
		}
	}
	tpm, err := emulator.New(platform, d.set.Profile.Config())
	if err != nil || directory == nil {
		return tpm, err
	}
	if !isNew {
		if err := tryOn(tpm); err != nil {
			return nil, fmt.Errorf("%s: %w", w.Dir, err)
		}
		if err := keepProfile(w, &d.set.Profile); err != nil {
			return nil, fmt.Errorf("--profile: %w", err)
		}
	}
	d.log.Info("state is kept", "dir", w.Dir, "new", isNew, "fsync", !w.NoSync)
	return tpm, nil
}

// reached records a movement of the clock.
func (d *daemon) reached(e initcall.Event) {
	d.panel.RecordLevel(e)
	if d.journal != nil {
		d.journal.Reached(e)
	}
	d.guest.Reached(e)
}

// decided records what a rule did to a command.
func (d *daemon) decided(decision faults.Decision) {
	if meddles(&decision) {
		d.meddled.Add(1)
	}
	d.panel.RecordDecision(decision)
	if d.journal != nil {
		d.journal.Decided(decision)
	}
	logDecision(d.log, &decision)
}

// open makes every socket, gives up what is not needed any more, and only then
// starts what listens to others.
func (d *daemon) open(ctx context.Context) error {
	set := d.set
	ctx, d.stop = context.WithCancel(ctx)
	d.failed = make(chan error, 1)
	if err := d.startTPM(ctx); err != nil {
		return err
	}
	for _, e := range set.Control {
		serve := func(c net.Conn) error { d.server.ServeControlConn(c); return nil }
		if err := d.listen(ctx, e, serve, d.server.ServeControl); err != nil {
			return fmt.Errorf("control channel at %s: %w", e, err)
		}
	}
	for _, e := range set.Data {
		if err := d.listen(ctx, e, d.server.ServeDataConn, d.server.ServeData); err != nil {
			return fmt.Errorf("TPM commands at %s: %w", e, err)
		}
	}
	if err := d.openSimulator(ctx); err != nil {
		return err
	}
	if set.Admin != "" {
		if err := d.openAdmin(ctx); err != nil {
			return fmt.Errorf("admin socket: %w", err)
		}
	}
	if d.device != nil {
		d.device.attach(d)
	}
	if err := d.source.open(); err != nil {
		return err
	}
	if err := d.settle(); err != nil {
		d.source.close()
		return err
	}
	attemptPlanted(d.log)
	d.reopenOnHangup(ctx)
	d.run(func() error { return d.source.run(ctx) })
	d.services.start()
	if d.device != nil {
		d.run(func() error { return d.runDevice(ctx) })
	}
	return nil
}

// settle does what comes after everything is open: it writes the pid file and gives
// up what is not needed any more.
func (d *daemon) settle() error {
	remove, err := d.set.PID.WritePID()
	if err != nil {
		return err
	}
	d.undo = append(d.undo, remove)
	mode, err := d.sandboxes.confine(&d.set.Sandbox, d.reach, d.log)
	d.panel.Sandbox = string(mode)
	return err
}

// openAdmin opens the admin socket.
func (d *daemon) openAdmin(ctx context.Context) error {
	l, err := transport.ListenUnix(ctx, d.set.Admin, transport.Access{Mode: 0o600})
	if err != nil {
		return err
	}
	d.admin = control.NewServer(d.panel, d.log)
	path := l
	l = control.Limit(l, func(limit int) {
		d.log.Warn("clients are refused until another one leaves", "channel", "admin", "limit", limit)
	})
	d.later(path, func() error {
		if err := d.admin.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return nil
}

// wait waits for the end: a signal, the protocol's own end, or a failure. told
// gets what became of telling that the daemon is ready.
func (d *daemon) wait(ctx context.Context, told <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			d.log.Info("ending", "cause", "signal")
			return nil
		case <-d.simulatorDone():
			d.log.Info("ending", "cause", string(d.simulator.Reason()))
			return nil
		case <-d.server.Done():
			d.log.Info("ending", "cause", string(d.server.Reason()))
			if d.server.Reason() == swtpm.EndedByLock {
				return fmt.Errorf("%s: %s", d.set.State.Dir, swtpm.EndedByLock)
			}
			return nil
		case err := <-d.failed:
			var gone *deviceGone
			if errors.As(err, &gone) {
				d.log.Info("ending", "cause", gone.cause)
				return nil
			}
			return err
		case err := <-told:
			if err != nil {
				return err
			}
			told = nil
		}
	}
}

// cleanUp ends everything that build and open started, in any state of theirs.
// What does not let go within closeTime ends with the process: the state is whole
// at every moment.
func (d *daemon) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if d.stop != nil {
		d.stop()
	}
	if d.admin != nil {
		d.admin.Close()
	}
	d.closeSimulator(ctx)
	if d.server != nil {
		if err := d.server.Close(ctx); err != nil {
			d.log.Warn("a command is still running", "cause", err)
		}
	}
	if d.orderly != nil {
		within(ctx, func() { _ = d.orderly.PowerOff() })
	}
	if !within(ctx, d.running.Wait) {
		d.log.Warn("not everything has let go in time", "limit", closeTime)
	}
	// The state's directory may be on a disk that does not answer.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), logs.Patience)
	defer cancel()
	within(ctx, d.services.cleanUp)
}

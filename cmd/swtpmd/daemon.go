package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// Names in the daemon's directory. tpm2-tss finds the control channel of
// swtpm:path=P at P.ctrl.
const (
	dataName    = "tpm.sock"
	ctrlName    = dataName + ".ctrl"
	consoleName = "console.sock"
	gdbName     = "gdb.sock"
	adminName   = "admin.sock"
)

// newDaemon defines the flags of swtpmd without a subcommand.
func newDaemon(f *flag.FlagSet, sandboxes *sandboxes) cli.Run {
	set := new(settings)
	set.define(f)
	showVersion := f.Bool("version", false, "")
	profiles := f.Bool("profiles", false, "")
	printProfile := f.Bool("print-profile", false, "")
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if *showVersion {
			return printVersion(s.Out, set.json)
		}
		if err := cli.Unexpected("swtpmd", args); err != nil {
			return err
		}
		switch {
		case *profiles:
			return cli.ListProfiles(s.Out)
		case *printProfile:
			return set.profile.Print(s.Out)
		}
		if err := set.check(); err != nil {
			return err
		}
		return start(ctx, set, s, sandboxes, true)
	}
}

// start runs a daemon of these settings until it ends, in the background if
// that was asked for. In its own directory it opens what a user needs and tells
// it; without one, only what the command line names.
func start(ctx context.Context, set *settings, s cli.Streams, sandboxes *sandboxes, ownDir bool) error {
	if set.daemonize && !inBackground() {
		return detach()
	}
	// Writing to a terminal that went away must not end a daemon, nor a limit of
	// file sizes: its guest is still there.
	signal.Ignore(endingWrites...)
	twoProcessors()
	if !set.coreDumps {
		if err := noCoreDumps(); err != nil {
			return fmt.Errorf("core dumps cannot be switched off: %w; allow them with --core-dumps", err)
		}
	}
	log, err := openLog(&set.log, s.Err)
	if err != nil {
		return err
	}
	defer log.close()
	d := &daemon{set: set, log: log.Logger, queue: log.queue, in: s.In, sandboxes: sandboxes}
	defer d.cleanUp()
	if ownDir {
		if err := d.makeDir(); err != nil {
			return err
		}
	}
	if err := d.openState(); err != nil {
		return err
	}
	if err := d.build(); err != nil {
		return err
	}
	if err := d.open(ctx); err != nil {
		return err
	}
	// Nobody may read stdout: the daemon serves all the same, and ends when it
	// is asked to.
	told := make(chan error, 1)
	go func() { told <- d.tell(s.Out, ownDir) }()
	return d.wait(ctx, told)
}

// tell tells that the daemon is ready: whoever reads stdout, and the parent that
// waits for it.
func (d *daemon) tell(out io.Writer, ownDir bool) error {
	if ownDir {
		if err := d.tellReady(out); err != nil {
			return err
		}
	}
	// With a parent, stderr is not the daemon's own from here on.
	if inBackground() {
		_ = d.queue.flush()
	}
	return tellParent()
}

// twoProcessors has the scheduler believe in two processors where it is allowed
// one. A thread that waits for a client in read(2) would otherwise hold the only
// one, and the runtime's monitor would take it away and give it back for every
// command: on one core that costs a tenth of the rate.
func twoProcessors() {
	if runtime.GOMAXPROCS(0) < 2 {
		runtime.GOMAXPROCS(2)
	}
}

// daemon is a running one: settings and what was made of them.
type daemon struct {
	set   *settings
	log   *slog.Logger
	queue *logQueue
	in    io.Reader
	// sandboxes are nil where the process must not be confined.
	sandboxes *sandboxes

	store    state.Store // nil for memory
	newState bool        // the store held none
	tpm      *watchedTPM
	clock    *initcall.Clock
	panel    *control.Panel
	server   *swtpm.Server
	source   levelSource
	on       bool // the guest has had power

	// serve is what starts when all is open; running are its goroutines, and
	// failed gets the first error of one that ended by itself.
	serve   []func() error
	running sync.WaitGroup
	failed  chan error
	stop    context.CancelFunc
	admin   *http.Server
	// undo are the clean-ups, run last to first.
	undo []func()
}

// makeDir makes the directory and puts the sockets there that no flag puts
// elsewhere.
func (d *daemon) makeDir() error {
	set := d.set
	if set.dir == "" {
		dir, err := os.MkdirTemp(runtimeDir(), dirPrefix)
		if err != nil {
			return err
		}
		set.dir, set.ownDir = dir, true
		d.undo = append(d.undo, func() { os.Remove(dir) })
	}
	dir, err := filepath.Abs(set.dir)
	if err != nil {
		return err
	}
	set.dir = dir
	if len(set.control) == 0 && len(set.data) == 0 {
		set.control = []*endpoint{unixEndpoint(filepath.Join(dir, ctrlName))}
		set.data = []*endpoint{unixEndpoint(filepath.Join(dir, dataName))}
	}
	if set.admin == "" {
		set.admin = filepath.Join(dir, adminName)
	}
	followed := set.deferral.Until != initcall.Firmware || set.consoleLog != ""
	if set.gdb.wanted && set.gdb.path == "" {
		set.gdb.path = filepath.Join(dir, gdbName)
	}
	if set.console == "" && set.timeline == "" && !set.gdb.wanted && followed {
		set.console = "unix:" + filepath.Join(dir, consoleName)
	}
	if err := set.checkPaths(); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o700)
}

func unixEndpoint(path string) *endpoint {
	return &endpoint{network: "unix", address: path, mode: 0o600, uid: -1, gid: -1, fd: -1}
}

// build makes the chain from transport to TPM, without opening anything.
func (d *daemon) build() error {
	set := d.set
	tpm, err := emulator.New(emulator.Platform{Store: d.store}, set.profile.Config())
	if err != nil {
		return err
	}
	if err := d.acceptState(tpm); err != nil {
		return err
	}
	d.tpm = &watchedTPM{TPM: tpm, log: d.log}
	d.clock = new(initcall.Clock)
	rules := set.deferral.Rules()
	d.panel = &control.Panel{
		Clock: d.clock, Rules: rules, Powered: d.tpm.Powered, Failure: d.tpm.failed,
		LogLost: d.queue.Lost, PCRs: d.pcrs,
	}
	d.clock.Subscribe(d.reached)
	device, err := faults.Wrap(d.tapped(d.tpm), faults.Plan{Clock: d.clock, Rules: rules, Journal: d.decided})
	if err != nil {
		return err
	}
	if d.source, err = newSource(set, d.clock, d.in, d.log); err != nil {
		return err
	}
	options := swtpm.Options{
		RejectLocality4:   set.locality.rejectFour,
		AllowSetLocality:  set.locality.allowSet,
		TerminateWithData: set.terminate,
		Events:            d.power,
		Logger:            d.log,
	}
	for _, e := range set.control {
		options.TerminateWithControl = options.TerminateWithControl || e.terminate
	}
	for _, e := range set.data {
		options.DisconnectData = options.DisconnectData || e.disconnect
	}
	d.server = swtpm.NewServer(device, options)
	return nil
}

// power follows what the control channel does to the TPM's power: INIT is the
// power-on of the guest, and after a boot has begun it is the next one.
func (d *daemon) power(e swtpm.Event) {
	d.log.Info("power", "event", e.Kind.String())
	switch {
	case e.Kind != swtpm.EventInit:
		return
	case e.Resumes:
		// A guest that goes on does not boot. How far it was is not known: it
		// is taken to have booted already.
		d.on = true
		_ = d.clock.Advance(initcall.Userspace, initcall.NoTime, "the guest goes on from saved state")
		return
	}
	d.powerOn("INIT on the control channel")
}

// powerOn begins a boot. A reset while the last one is still in firmware
// (SeaBIOS resets twice in a row) is no boot of its own.
func (d *daemon) powerOn(cause string) {
	if d.on && d.clock.Level() == initcall.Firmware {
		return
	}
	d.on = true
	d.source.powerOn(cause)
}

// reached records a movement of the clock.
func (d *daemon) reached(e initcall.Event) {
	d.panel.RecordLevel(e)
	attributes := []any{"boot", e.Boot, "level", e.Level.String(), "cause", e.Cause}
	if e.Confirmed != "" {
		attributes = append(attributes, "confirmed", e.Confirmed)
	}
	if e.At >= 0 {
		attributes = append(attributes, "at", e.At)
	}
	d.log.Info("level reached", attributes...)
}

// decided records what the deferral did to a command.
func (d *daemon) decided(decision faults.Decision) {
	d.panel.RecordDecision(decision)
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
	for _, e := range set.control {
		if err := d.openControl(ctx, e); err != nil {
			return fmt.Errorf("control channel at %s: %w", e, err)
		}
	}
	for _, e := range set.data {
		if err := d.openData(ctx, e); err != nil {
			return fmt.Errorf("TPM commands at %s: %w", e, err)
		}
	}
	if set.admin != "" {
		if err := d.openAdmin(ctx); err != nil {
			return fmt.Errorf("admin socket: %w", err)
		}
	}
	if err := d.source.open(); err != nil {
		return err
	}
	err := d.writePID()
	if err == nil {
		err = d.confine()
	}
	if err != nil {
		d.source.close()
		return err
	}
	attemptPlanted(d.log)
	d.run(func() error { return d.source.run(ctx) })
	for _, f := range d.serve {
		d.run(f)
	}
	return nil
}

// startTPM does what --flags asks for before the first client.
func (d *daemon) startTPM(ctx context.Context) error {
	if d.set.startup == startupByClient {
		return nil
	}
	if err := d.tpm.Init(); err != nil {
		return err
	}
	d.powerOn("--flags")
	err := d.set.startup.send(ctx, d.tpm)
	if failure := d.tpm.failed(); err != nil && failure != nil {
		err = fmt.Errorf("%w: %w", err, failure)
	}
	if err != nil {
		return fmt.Errorf("--flags: %w", err)
	}
	return nil
}

// run starts a goroutine that serves; its error ends the daemon.
func (d *daemon) run(f func() error) {
	d.running.Go(func() {
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			select {
			case d.failed <- err:
			default:
			}
		}
	})
}

// later has f serve c as soon as all is open. If that never comes, c is closed in
// the end all the same.
func (d *daemon) later(c io.Closer, f func() error) {
	d.serve = append(d.serve, f)
	d.undo = append(d.undo, func() { _ = c.Close() })
}

func (d *daemon) openControl(ctx context.Context, e *endpoint) error {
	if err := e.look(); err != nil {
		return err
	}
	if e.client {
		conn, err := e.connection()
		if err != nil {
			return err
		}
		d.later(conn, func() error { d.server.ServeControlConn(conn); return nil })
		return nil
	}
	l, err := e.listen(ctx)
	if err != nil {
		return err
	}
	d.later(l, func() error { return d.server.ServeControl(l) })
	return nil
}

func (d *daemon) openData(ctx context.Context, e *endpoint) error {
	if err := e.look(); err != nil {
		return err
	}
	if e.client {
		conn, err := e.connection()
		if err != nil {
			return err
		}
		d.later(conn, func() error { return d.server.ServeDataConn(conn) })
		return nil
	}
	l, err := e.listen(ctx)
	if err != nil {
		return err
	}
	d.later(l, func() error { return d.server.ServeData(l) })
	return nil
}

func (d *daemon) openAdmin(ctx context.Context) error {
	l, err := transport.ListenUnix(ctx, d.set.admin, transport.Access{Mode: 0o600})
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

func (d *daemon) writePID() error {
	pid := strconv.Itoa(os.Getpid()) + "\n"
	switch set := d.set; {
	case set.pid.file != "":
		if err := os.WriteFile(set.pid.file, []byte(pid), 0o644); err != nil {
			return fmt.Errorf("--pid: %w", err)
		}
		d.undo = append(d.undo, func() { os.Remove(set.pid.file) })
	case set.pid.fd >= 0:
		file := os.NewFile(uintptr(set.pid.fd), "--pid fd")
		if _, err := file.WriteString(pid); err != nil {
			return fmt.Errorf("--pid: %w", err)
		}
		return file.Close()
	}
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
		case <-d.server.Done():
			d.log.Info("ending", "cause", string(d.server.Reason()))
			return nil
		case err := <-d.failed:
			return err
		case err := <-told:
			if err != nil {
				return err
			}
			told = nil
		}
	}
}

// closeTime is how long clients and commands may take to let go at the end. With
// what state and log may take after it (logPatience each) it stays below the 2 s
// in which the daemon has to end.
const closeTime = time.Second

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
	if d.server != nil {
		if err := d.server.Close(ctx); err != nil {
			d.log.Warn("a command is still running", "cause", err)
		}
	}
	if !within(ctx, d.running.Wait) {
		d.log.Warn("not everything has let go in time", "limit", closeTime)
	}
	// The state's directory may be on a disk that does not answer.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), logPatience)
	defer cancel()
	within(ctx, func() {
		for i := len(d.undo) - 1; i >= 0; i-- {
			d.undo[i]()
		}
	})
}

// within reports whether f returns before ctx ends.
func within(ctx context.Context, f func()) bool {
	returned := make(chan struct{})
	go func() { f(); close(returned) }()
	select {
	case <-returned:
		return true
	case <-ctx.Done():
		return false
	}
}

// look finds out whether an inherited descriptor listens or is connected.
// swtpm's fd= is the former for --ctrl and the latter for --server; the socket
// itself knows.
func (e *endpoint) look() error {
	if e.fd < 0 || e.client {
		return nil
	}
	listens, err := isListener(e.fd)
	e.client = !listens
	return err
}

// listen makes the listener that the endpoint describes.
func (e *endpoint) listen(ctx context.Context) (net.Listener, error) {
	if e.fd >= 0 {
		file := os.NewFile(uintptr(e.fd), e.String())
		defer file.Close()
		return net.FileListener(file)
	}
	if e.network != "unix" {
		var config net.ListenConfig
		return config.Listen(ctx, e.network, e.address)
	}
	access := transport.Access{Mode: os.FileMode(e.mode)}
	if e.uid >= 0 || e.gid >= 0 {
		access.Owner = &transport.Owner{UID: e.uid, GID: e.gid}
	}
	return transport.ListenUnix(ctx, e.address, access)
}

// connection makes a connection of an inherited descriptor.
func (e *endpoint) connection() (net.Conn, error) {
	file := os.NewFile(uintptr(e.fd), e.String())
	defer file.Close()
	return net.FileConn(file)
}

package fleet

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/attest"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/fleet/machine"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// Names of the sockets in a TPM's directory. tpm2-tss finds the control channel of
// swtpm:path=P at P.ctrl.
const (
	DataSocket    = "tpm.sock"
	ControlSocket = DataSocket + ".ctrl"
	ConsoleSocket = "console.sock"
)

// rememberedKeys is how many RSA primary keys of a TPM are not computed again.
const rememberedKeys = 16

// Status is how a TPM is.
type Status struct {
	Name string `json:"name"`
	// Control, Data and Console are the paths of the sockets; Console is empty without a
	// console of its own.
	Control string `json:"ctrl,omitempty"`
	Data    string `json:"data,omitempty"`
	Console string `json:"console,omitempty"`
	State   string `json:"state,omitempty"` // empty for memory
	Profile string `json:"profile,omitempty"`
	Powered bool   `json:"powered"`
	// InMemory reports whether the TPM's engine is made; one that is put away is not.
	InMemory bool `json:"in_memory"`
	// ControlClients and DataClients are connections.
	ControlClients int `json:"ctrl_clients"`
	DataClients    int `json:"data_clients"`
	// Commands counts the commands that have come, Errors those that were not answered
	// with TPM_RC_SUCCESS.
	Commands uint64         `json:"commands"`
	Errors   uint64         `json:"errors"`
	Boot     int            `json:"boot"`
	Level    initcall.Level `json:"level"`
	// Failure is why the TPM is in failure mode, Refused why it is left out.
	Failure string `json:"failure,omitempty"`
	Refused string `json:"refused,omitempty"`
}

// tpm is one TPM of a fleet, with what is around it.
type tpm struct {
	name   string
	config Config
	dir    string
	log    *slog.Logger
	engine *engine
	// storage is nil for a TPM that ends with the fleet.
	storage *storage
	own     transport.Device // for the fleet's own commands
	guard   *guard
	clock   initcall.Clock
	guest   machine.Guest
	panel   *control.Panel
	server  *swtpm.Server
	console *initcall.Console // nil without
	feed    *initcall.Feed    // nil before it is open, and without a console
	// followed: the feed closes by itself.
	followed bool

	listeners []net.Listener
	running   sync.WaitGroup
	// stop ends what follows the boot, with a cause; following is that.
	stop      context.CancelCauseFunc
	following sync.WaitGroup
	frozen    bool // by HandOver
	// booted is when the present boot has begun.
	booted atomic.Pointer[time.Time]
	asked  time.Time // when removal was refused; the fleet's mu is held
}

// newTPM makes a TPM. It opens nothing.
func (f *Fleet) newTPM(name string, c Config) (*tpm, error) { return f.newTPMWith(name, c, c.Rules) }

// newTPMWith is newTPM with the rules that are in force at first: clients may have changed
// those of the Config.
func (f *Fleet) newTPMWith(name string, c Config, rules []faults.Rule) (*tpm, error) {
	kind, err := f.kind(c.Profile)
	if err != nil {
		return nil, err
	}
	t := &tpm{name: name, config: c, dir: filepath.Join(f.options.Dir, name), log: f.log.With("tpm", name)}
	platform := emulator.Platform{SelfTest: f.tests.SelfTest, PrimaryKeys: &crypt.RSAKeys{Limit: rememberedKeys}}
	var store state.Store = new(state.Memory)
	if dir := t.stateDir(f.options.State); dir != "" {
		t.storage = &storage{dir: dir, noSync: f.options.NoSync, log: t.log, unsettled: func() { t.engine.settling.add() }}
		store = &machine.Store{Store: t.storage, Dir: dir, Log: t.log}
	}
	t.engine = newEngine(kind.tpm, platform, store, t.log)
	t.engine.settling.storage = t.storage
	t.engine.settling.tell = func() { f.unsettled.add(t) }
	return t, t.build(kind, rules)
}

// stateDir returns the directory for the state, "" for memory.
func (t *tpm) stateDir(all string) string {
	switch {
	case t.config.State == InMemory || t.config.State == "" && all == "":
		return ""
	case t.config.State != "":
		return t.config.State
	}
	return filepath.Join(all, t.name)
}

// build makes the chain from the transport to the TPM.
func (t *tpm) build(kind *kind, rules []faults.Rule) error {
	t.guest = machine.Guest{Clock: &t.clock, Boots: t.boots, Log: t.log, Powered: func(on bool) {
		what := control.PowerOff
		if on {
			what = control.PowerReset
		}
		t.panel.RecordPower(what)
	}}
	t.own = &guard{Device: t.engine, engine: t.engine}
	t.panel = &control.Panel{
		Clock: &t.clock, Seed: t.config.Seed, Powered: t.engine.Powered, Failure: t.engine.failures.Failed,
		PCRs: t.pcrs, Switch: t.switchPower, Save: t.save, Restore: t.restore,
	}
	t.clock.Subscribe(func(e initcall.Event) {
		t.panel.RecordLevel(e)
		if e.Level == initcall.Firmware {
			now := time.Now()
			t.booted.Store(&now)
		}
		t.guest.Reached(e)
	})
	device, err := faults.Wrap(t.engine, faults.Plan{
		Clock: &t.clock, Rules: rules, Seed: t.config.Seed, Dangerous: t.config.Dangerous, Journal: t.decided,
	})
	if err != nil {
		return err
	}
	t.panel.Layer, _ = faults.Of(device)
	t.guard = &guard{Device: t.guest.Device(t.panel.Device(device)), engine: t.engine}
	options := swtpm.Options{
		Description: kind.description, MaxControl: t.config.Clients, MaxData: t.config.Clients,
		Polled: true, OutlivesShutdown: true, Panicked: t.engine.broken, Events: t.guest.Power, Logger: t.log,
	}
	if t.storage != nil {
		options.Storage = t.storage
	}
	t.server = swtpm.NewServer(t.guard, options)
	return t.newConsole()
}

// newConsole makes the console that the boot is followed on, if it is.
func (t *tpm) newConsole() (err error) {
	if t.config.Timeline || t.config.Console == "" && !t.config.follows() {
		return nil
	}
	t.console, err = initcall.NewConsole(&t.clock)
	if err == nil {
		t.console.Doubted = func(d initcall.Doubt) {
			t.log.Warn("console line not believed", "boot", d.Boot, "level", d.Level.String(), "line", d.Line, "cause", d.Reason)
		}
	}
	return err
}

// boots begins a boot on the clock.
func (t *tpm) boots(cause string) {
	if t.console != nil {
		t.console.Reset(cause)
		return
	}
	t.clock.PowerOn(cause)
}

func (t *tpm) decided(d faults.Decision) {
	t.panel.RecordDecision(d)
	t.log.Info("fault", "outcome", string(d.Outcome), "command", fmt.Sprintf("%#x", d.Command), "boot", d.Boot, "level", d.Level.String(), "rule", d.Rule)
}

// open makes the sockets and serves them.
func (t *tpm) open(ctx context.Context) (err error) {
	if err := t.makeDir(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if t.config.Started {
		if err := t.start(ctx); err != nil {
			return err
		}
	}
	for _, name := range []string{ControlSocket, DataSocket} {
		if err := t.listen(ctx, name); err != nil {
			return err
		}
	}
	if err := t.openConsole(); err != nil {
		return err
	}
	t.serve()
	return nil
}

// serve serves the sockets, and follows the boot.
func (t *tpm) serve() {
	control, data := t.listeners[0], t.listeners[1]
	t.run(&t.running, func() error { return t.server.ServeControl(control) })
	t.run(&t.running, func() error { return t.server.ServeData(data) })
	t.follow()
}

// follow follows the boot until stop.
func (t *tpm) follow() {
	var running context.Context
	running, t.stop = context.WithCancelCause(context.Background())
	switch {
	case t.feed != nil:
		t.followed = true
		t.run(&t.following, func() error { return t.feed.Follow(running, t.console, nil) })
	case t.config.Timeline:
		begun := time.Now()
		if b := t.booted.Load(); b != nil {
			begun = *b
		}
		t.run(&t.following, func() error { return initcall.DefaultTimeline().RunSince(running, &t.clock, begun) })
	}
}

func (t *tpm) makeDir() error {
	err := os.Mkdir(t.dir, 0o700)
	o := t.config.Owner
	switch {
	case err != nil && !errors.Is(err, fs.ErrExist):
		return err
	case o == nil && err != nil: // it was there
		return os.Chmod(t.dir, 0o700)
	case o == nil:
		return nil
	}
	// The owner has to come to its own directory.
	parent := filepath.Dir(t.dir)
	info, err := os.Stat(parent)
	if err == nil {
		err = os.Chmod(parent, info.Mode().Perm()|0o011)
	}
	return errors.Join(err, os.Lchown(t.dir, o.UID, o.GID))
}

// listen makes a socket. In a directory that is for this process alone it can be made in
// place: nobody comes to it before it has its permissions.
func (t *tpm) listen(ctx context.Context, name string) error {
	var l net.Listener
	var err error
	path := filepath.Join(t.dir, name)
	if t.config.Owner != nil {
		l, err = transport.ListenUnix(ctx, path, transport.Access{Mode: 0o600, Owner: t.config.Owner})
	} else {
		l, err = listenInPlace(ctx, path)
	}
	if err == nil {
		t.listeners = append(t.listeners, l)
	}
	return err
}

func (t *tpm) openConsole() error {
	if t.console == nil {
		return nil
	}
	source, err := t.consoleSource()
	if err != nil {
		return err
	}
	if t.feed, err = source.Open(); err != nil {
		return fmt.Errorf("console: %w", err)
	}
	if o := t.config.Owner; o != nil && t.config.Console == "" {
		return os.Lchown(filepath.Join(t.dir, ConsoleSocket), o.UID, o.GID)
	}
	return nil
}

func (t *tpm) consoleSource() (initcall.Source, error) {
	text := t.config.Console
	if text == "" {
		text = "unix:" + filepath.Join(t.dir, ConsoleSocket)
	}
	return initcall.ParseSource(text)
}

// run runs what serves until the TPM ends. A panic ends it and nothing else.
func (t *tpm) run(group *sync.WaitGroup, f func() error) {
	group.Go(func() {
		err := t.engine.guarded(f)
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) {
			t.log.Error("a part of the TPM's service has ended", "cause", err)
		}
	})
}

// start does what Config.Started asks for.
func (t *tpm) start(ctx context.Context) error {
	if err := t.guest.Because("the fleet has started the TPM", func() error { return t.server.Init(0) }); err != nil {
		return err
	}
	err := ask.TPM{Device: t.own}.Startup(ctx, wire.SUClear)
	if errors.Is(err, wire.RCInitialize) {
		return nil // it goes on from stored volatile state
	}
	return err
}

// inUse reports whether there are clients.
func (t *tpm) inUse() bool {
	control, data := t.server.Clients()
	return control+data > 0
}

// putAway puts the TPM away if it has not been used for idle, and reports whether it did.
func (t *tpm) putAway(idle time.Duration) bool {
	if !t.engine.away(idle) {
		return false
	}
	if t.storage != nil && !t.engine.Powered() {
		t.storage.close()
	}
	t.log.Debug("put away")
	return true
}

// end has clients lose their connections, and does not wait.
func (t *tpm) end() {
	if t.stop != nil {
		t.stop(nil)
	}
	for _, l := range t.listeners {
		_ = l.Close()
	}
}

// close ends the TPM, in any state of open.
func (t *tpm) close(ctx context.Context) error {
	t.end()
	err := t.server.Close(ctx)
	if settled := t.engine.settling.settle(); settled != nil {
		t.log.Warn("the TPM was not stored", "cause", settled)
	}
	if t.feed != nil && !t.followed {
		_ = t.feed.Close()
	}
	ended := make(chan struct{})
	go func() { t.running.Wait(); t.following.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	err = errors.Join(err, t.engine.PowerOff())
	if t.storage != nil {
		t.storage.close()
	}
	return err
}

func (t *tpm) status() Status {
	boot, level := t.clock.Place()
	s := Status{
		Name: t.name, Control: filepath.Join(t.dir, ControlSocket), Data: filepath.Join(t.dir, DataSocket), Profile: t.config.Profile,
		Powered: t.engine.Powered(), InMemory: t.engine.inMemory(), Commands: t.guard.commands.Load(), Errors: t.guard.errors.Load(), Boot: boot, Level: level,
	}
	if t.console != nil && t.config.Console == "" {
		s.Console = filepath.Join(t.dir, ConsoleSocket)
	}
	if t.storage != nil {
		s.State = t.storage.dir
	}
	s.ControlClients, s.DataClients = t.server.Clients()
	if failure := t.engine.failures.Failed(); failure != nil {
		s.Failure = failure.Error()
	}
	return s
}

// adminCause is the cause of a boot that the panel begins.
const adminCause = "INIT on the admin socket"

func (t *tpm) switchPower(what control.Power) error {
	switch {
	case what == control.PowerOff:
		return t.server.Stop()
	case what == control.PowerOn && t.engine.Powered():
		return nil
	}
	return t.guest.Because(adminCause, func() error { return t.server.Init(0) })
}

func (t *tpm) save() (s control.Snapshot, err error) {
	s.Permanent, s.Volatile, err = t.engine.SaveState()
	return s, err
}

func (t *tpm) restore(s control.Snapshot) error {
	if !t.engine.Powered() {
		if err := t.switchPower(control.PowerOn); err != nil {
			return err
		}
	}
	return t.engine.LoadState(s.Permanent, s.Volatile)
}

func (t *tpm) pcrs(ctx context.Context) (control.PCRs, error) {
	read, err := attest.ReadPCRs(ctx, t.own)
	if err != nil {
		return nil, err
	}
	values := control.PCRs{}
	for algorithm, bank := range read {
		name := algorithm.String()
		values[name] = make(map[int]string)
		for pcr, value := range bank {
			values[name][pcr] = hex.EncodeToString(value)
		}
	}
	return values, nil
}

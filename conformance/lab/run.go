package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Run boots the machine and returns the reports of the guest and the TPM. When it
// returns, all that it started has ended, and all that it wrote outside Config.Keep and
// Config.Cache is deleted. The error is a [*SetupError] if nothing could be started and
// a [*BootError] if no report came.
func Run(ctx context.Context, c Config) (*Record, error) {
	if err := c.Machine.Check(); err != nil {
		return nil, &SetupError{What: "this machine", Err: err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("the time of %s was over", c.Timeout))
	defer cancel()
	switch c.Machine.Accel {
	case Auto:
		if c.Machine.Board.foreign() {
			c.Machine.Accel = TCG
			break
		}
		return auto(ctx, c)
	case KVM:
		return withKVM(ctx, c)
	}
	record, _, err := attempt(ctx, c)
	return record, err
}

// attempt is Run with the accelerator that c names.
func attempt(ctx context.Context, c Config) (*Record, reached, error) {
	r := &runner{Config: c, begun: time.Now(), hello: make(chan struct{})}
	var err error
	if r.dir, err = os.MkdirTemp("", "qemu-boot-"); err != nil {
		return nil, r.got, &SetupError{What: "a folder for temporary files", Err: err}
	}
	defer os.RemoveAll(r.dir)
	ctx, r.cancel = context.WithCancelCause(ctx)
	// Closing a socket ends the calls that wait for it.
	stop := context.AfterFunc(ctx, r.open.closeAll)
	record, err := r.run(ctx)
	stop()
	r.cancel(nil)
	r.watching.Wait()
	r.got.through(r.helloAt)
	var setup *SetupError
	var failed *BootError
	if err != nil && !errors.As(err, &setup) {
		failed = r.bootError(err)
		err = failed
	}
	r.close()
	if failed != nil {
		r.lastWords(failed)
	}
	if c.Keep != "" && r.tpm != nil {
		if kept := r.keep(record); kept != nil && err == nil {
			err = &SetupError{What: "the files to keep", Err: kept}
		}
	}
	return record, r.got, err
}

// runner is a run under way.
type runner struct {
	Config
	dir   string
	begun time.Time
	stage string // what run waits for

	cancel   context.CancelCauseFunc
	watching sync.WaitGroup
	got      reached       // ends and late are watch's until it has ended
	hello    chan struct{} // closed when the guest's first init has said hello
	helloAt  time.Duration // since begun
	settled  atomic.Bool   // the guest has said hello, or was late

	tpm     *TPM
	qemu    *process
	at      sockets
	open    closers
	report  net.Conn
	wire    *Wire
	monitor *monitor
}

// run starts everything and goes through the boots.
func (r *runner) run(ctx context.Context) (*Record, error) {
	if err := r.startAll(ctx); err != nil {
		return nil, err
	}
	return r.boots(ctx)
}

// startAll starts the TPM, then QEMU, and accepts QEMU's connections.
func (r *runner) startAll(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	return r.startQEMU(ctx)
}

// prepare starts the TPM and writes the files that QEMU reads.
func (r *runner) prepare(ctx context.Context) error {
	state := filepath.Join(r.dir, "tpm")
	if err := os.Mkdir(state, 0o700); err != nil {
		return &SetupError{What: "a folder for the TPM", Err: err}
	}
	tpm, err := r.TPM(ctx, state)
	if err != nil {
		return &SetupError{What: "a running TPM", Err: err}
	}
	r.tpm = tpm
	r.at = sockets{
		tpmControl: tpm.control,
		console:    tpm.console,
		gdb:        tpm.gdb,
		report:     filepath.Join(r.dir, "report.sock"),
		monitor:    filepath.Join(r.dir, "monitor.sock"),
		consoleLog: tpm.log,
		initramfs:  filepath.Join(r.dir, "initramfs"),
		vars:       filepath.Join(r.dir, "vars.fd"),
	}
	if tpm.console == "" {
		r.at.consoleLog = filepath.Join(r.dir, "console.log")
	}
	if err := r.writeFiles(); err != nil {
		return &SetupError{What: "the guest's files", Err: err}
	}
	if r.Machine.Tree != "" {
		if err := r.writeTree(ctx); err != nil {
			return &SetupError{What: "the machine's device tree", Err: err}
		}
	}
	return nil
}

// writeTree makes the machine's device tree. A TPM ends with its QEMU, so the one that
// asks for the tree has a TPM of its own.
func (r *runner) writeTree(ctx context.Context) error {
	dir := filepath.Join(r.dir, "tree")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	tpm, err := r.TPM(ctx, dir)
	if err != nil {
		return err
	}
	defer tpm.end()
	r.at.tree, err = r.Machine.makeTree(ctx, r.dir, tpm.control)
	return err
}

func (r *runner) writeFiles() error {
	busybox, err := os.ReadFile(r.Machine.Tools.Busybox)
	if err != nil {
		return err
	}
	image, err := Initramfs(Contents{Busybox: busybox, Port: r.Machine.Board.facts().port, Policy: r.Policy, Modprobe: r.Modprobe})
	if err != nil {
		return err
	}
	if r.Machine.Initrd != "" {
		before, err := os.ReadFile(r.Machine.Initrd)
		if err != nil {
			return err
		}
		image = joinInitramfs(before, image)
	}
	if err := os.WriteFile(r.at.initramfs, image, 0o600); err != nil {
		return err
	}
	if r.Machine.Firmware != OVMF {
		return nil
	}
	vars, err := os.ReadFile(r.Machine.Tools.OVMFVars)
	if err != nil {
		return err
	}
	return os.WriteFile(r.at.vars, vars, 0o600)
}

func (r *runner) startQEMU(ctx context.Context) error {
	report, err := r.listen(r.at.report)
	if err != nil {
		return err
	}
	monitor, err := r.listen(r.at.monitor)
	if err != nil {
		return err
	}
	console, err := initcall.ParseSource("file:" + r.at.consoleLog)
	if err != nil {
		return &SetupError{What: "the console", Err: err}
	}
	feed, err := console.Open()
	if err != nil {
		return &SetupError{What: "the console", Err: err}
	}
	r.progress("starting QEMU (%s, %s, firmware %s, %s)", r.Machine.Board, r.Machine.Accel, r.Machine.Firmware, r.Machine.Device)
	r.begun = time.Now()
	if r.qemu, err = start(r.Machine.command(r.at)); err != nil {
		feed.Close()
		return &SetupError{What: "a running QEMU", Err: err}
	}
	r.watching.Go(func() { r.watch(ctx, feed) })
	go func() { // a QEMU that ends without having connected ends the waiting
		<-r.qemu.ended
		report.Close()
		monitor.Close()
	}()
	r.stage = "QEMU to connect"
	if err := r.meet(report, monitor); err != nil {
		return r.ended(ctx, err)
	}
	return nil
}

func (r *runner) listen(path string) (net.Listener, error) {
	if err := checkSocket(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, &SetupError{What: "a socket for QEMU", Err: err}
	}
	r.open.add(l)
	return l, nil
}

// meet accepts QEMU's two connections.
func (r *runner) meet(report, monitor net.Listener) error {
	var err error
	if r.report, err = report.Accept(); err != nil {
		return err
	}
	r.open.add(r.report)
	r.wire = NewWire(r.report)
	conn, err := monitor.Accept()
	if err != nil {
		return err
	}
	r.open.add(conn)
	r.monitor, err = newMonitor(conn)
	return err
}

// ended returns the cause of err, if err is that of a connection to QEMU: QEMU has
// ended, or ctx.
func (r *runner) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var broken *net.OpError
	if !errors.As(err, &broken) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	timer := time.NewTimer(endPatience)
	defer timer.Stop()
	select {
	case <-r.qemu.ended:
	case <-timer.C:
		return err
	}
	if r.qemu.err != nil {
		return fmt.Errorf("QEMU ended: %w", r.qemu.err)
	}
	return errors.New("QEMU ended: the guest was powered off or reset")
}

// endPatience is how long a program may take to end after it has closed its
// connections or got SIGTERM.
const endPatience = 5 * time.Second

// boots runs the boots, and then has the guest power itself off.
func (r *runner) boots(ctx context.Context) (*Record, error) {
	record := &Record{Machine: r.Machine, TPM: append([]string{r.tpm.Name}, r.tpm.Args...)}
	for {
		boot, err := r.boot(ctx)
		if err != nil {
			return record, r.ended(ctx, err)
		}
		record.Boots = append(record.Boots, boot)
		if r.Restart == NoRestart || len(record.Boots) > 1 {
			break
		}
		if err := r.restart(); err != nil {
			return record, r.ended(ctx, err)
		}
	}
	r.stage = "the guest to power itself off"
	if err := r.send("poweroff"); err != nil {
		return record, r.ended(ctx, err)
	}
	select {
	case <-r.qemu.ended:
	case <-ctx.Done():
		return record, context.Cause(ctx)
	}
	record.Took = time.Since(r.begun)
	if r.qemu.err != nil {
		return record, fmt.Errorf("QEMU ended: %w", r.qemu.err)
	}
	return record, nil
}

// boot waits for the guest's init, sends it the orders of Config, and collects its
// reports.
func (r *runner) boot(ctx context.Context) (Boot, error) {
	var b Boot
	var err error
	r.stage = "the guest's init"
	if b.Release, err = r.wire.Hello(); err != nil {
		return b, err
	}
	b.After = time.Since(r.begun)
	if !r.got.init {
		r.helloAt = b.After
		r.greeted()
	}
	r.progress("Linux %s: init after %.1f s", b.Release, b.After.Seconds())
	if len(r.Policy) > 0 {
		status, err := r.order("policy", "policy")
		if err == nil && status != 0 {
			err = fmt.Errorf("IMA refused the policy (status %d)", status)
		}
		if err != nil {
			return b, err
		}
	}
	if err := r.collect(&b, AtInit, 0); err != nil {
		return b, err
	}
	if r.Await > 0 && !b.last().probed(r.Machine.Device) {
		ticks := max(1, int(r.Await/awaitTick))
		status, err := r.order("await", fmt.Sprint("await ", ticks))
		if err != nil {
			return b, err
		}
		if err := r.collect(&b, AfterAwait, status); err != nil {
			return b, err
		}
	}
	if r.Rebind && !b.last().registered() {
		status, err := r.order("bind", "bind")
		if err != nil {
			return b, err
		}
		if err := r.collect(&b, AfterBind, status); err != nil {
			return b, err
		}
	}
	r.stage = "the TPM's view"
	if b.View, err = r.tpm.View(ctx); err != nil {
		return b, err
	}
	return b, nil
}

// awaitTick is the unit of guest.sh's await.
const awaitTick = 50 * time.Millisecond

func (b *Boot) last() Report { return b.Reports[len(b.Reports)-1] }

// collect has the guest report.
func (r *runner) collect(b *Boot, label string, status int) error {
	r.stage = "the guest's report " + label
	if err := r.send("collect " + label); err != nil {
		return err
	}
	items, err := r.wire.Report(label)
	if err != nil {
		return err
	}
	if _, err := r.wire.Done("collect"); err != nil {
		return err
	}
	b.Reports = append(b.Reports, Report{Label: label, Items: items, Status: status})
	return nil
}

// order has the guest execute an order that ends without a report.
func (r *runner) order(name, line string) (status int, err error) {
	r.stage = "the guest to " + line
	if err := r.send(line); err != nil {
		return 0, err
	}
	return r.wire.Done(name)
}

func (r *runner) send(line string) error {
	_, err := io.WriteString(r.report, line+"\n")
	return err
}

// restart has the machine boot a second time. Until now QEMU ends at a reset, so that
// a guest that panics does not boot without end; from here on it resets the machine.
func (r *runner) restart() error {
	r.stage = "the guest's restart"
	if err := r.monitor.rebootAction("reset"); err != nil {
		return err
	}
	if r.Restart == SystemReset {
		return r.monitor.reset()
	}
	return r.send("reboot")
}

func (r *runner) progress(format string, args ...any) {
	fmt.Fprintf(r.Progress, format+"\n", args...)
}

// consoleTail is how many console lines an error shows.
const consoleTail = 12

func (r *runner) bootError(err error) *BootError {
	return &BootError{Stage: r.stage, After: time.Since(r.begun), Err: err}
}

// lastWords adds to e what the guest, QEMU and the TPM printed last.
func (r *runner) lastWords(e *BootError) {
	e.Console = r.console()
	if n := len(e.Console) - consoleTail; n > 0 {
		e.Console = e.Console[n:]
	}
	if r.qemu != nil {
		e.QEMU = r.qemu.stderr.String()
	}
	if r.tpm != nil {
		e.Daemon = r.tpm.process.stderr.String()
	}
}

// console returns the lines of the console so far.
func (r *runner) console() []string {
	log, err := os.ReadFile(r.at.consoleLog)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(strings.ReplaceAll(string(log), "\r", ""), "\n"), "\n")
}

// close ends everything. It kills QEMU first: while QEMU waits for a TPM that does not
// answer, it does not react to other signals.
func (r *runner) close() {
	r.open.closeAll()
	if r.qemu != nil {
		r.qemu.kill()
	}
	if r.tpm != nil {
		r.tpm.end()
	}
}

// closers are open sockets. The zero value has none.
type closers struct {
	mu     sync.Mutex
	all    []io.Closer
	closed bool
}

// add takes ownership of c; after closeAll it closes c at once.
func (s *closers) add(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return
	}
	s.all = append(s.all, c)
}

func (s *closers) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.all {
		c.Close()
	}
}

package daemon

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"runtime"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/logs"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
)

// Run runs a daemon of these settings until it ends, in the background if
// that was asked for. In its own directory it opens what a user needs and tells
// it; without one, only what the command line names.
func Run(ctx context.Context, set *options.Set, on Device, s cli.Streams, sandboxes *Sandboxes, ownDir bool) error {
	if set.Daemonize && !process.InBackground() {
		return process.Detach(set.TakesStdin())
	}
	if err := set.LookAtDescriptors(); err != nil {
		return err
	}
	if err := set.Keys.Read(); err != nil {
		return err
	}
	// What another user or root directory would hide is opened before.
	process.KeepTerminal(ctx)
	manager, unmanaged := process.NewNotifier()
	defer func() { _ = manager.Close() }()
	if on != nil {
		defer on.close()
		if err := on.open(); err != nil {
			return err
		}
	}
	if err := Become(set, sandboxes != nil); err != nil {
		return err
	}
	// Writing to a terminal that went away must not end a daemon, nor a limit of
	// file sizes: its guest is still there.
	signal.Ignore(process.EndingWrites...)
	twoProcessors()
	if err := process.SetCoreDumps(set.CoreDumps); err != nil {
		return fmt.Errorf("core dumps cannot be disabled: %w; allow them with --core-dumps", err)
	}
	files := new(logs.Files)
	log, err := OpenLog(&set.Log, s.Err, files)
	if err != nil {
		return err
	}
	defer log.Close()
	d := &daemon{set: set, device: on, told: make(chan struct{}), log: log.Logger, queue: log.Queue, files: files, in: s.In, out: s.Out, sandboxes: sandboxes, manager: manager}
	defer d.cleanUp()
	// A manager that cannot be told must not keep the guest from its TPM.
	d.toldManager(unmanaged)
	if ownDir {
		if err := d.makeDir(); err != nil {
			return err
		}
	}
	if err := d.build(ctx); err != nil {
		return err
	}
	if err := d.open(ctx); err != nil {
		return err
	}
	// Nobody may read stdout: the daemon serves all the same, and ends when it
	// is asked to.
	told := make(chan error, 1)
	go func() { told <- d.tell(s.Out, ownDir) }()
	err = d.wait(ctx, told)
	d.toldManager(d.manager.Stopping())
	return err
}

// tell tells that the daemon is ready: the service manager, whoever reads stdout, and
// the parent that waits for it.
func (d *daemon) tell(out io.Writer, ownDir bool) error {
	d.toldManager(d.manager.Ready())
	if ownDir || d.set.Simulator != nil {
		if err := tellReady(out, d.set); err != nil {
			return err
		}
	}
	if d.device != nil {
		if err := d.tellDevice(out); err != nil {
			return err
		}
	}
	close(d.told)
	// With a parent, stderr is not the daemon's own from here on.
	if process.InBackground() {
		_ = d.queue.Flush()
	}
	return process.TellParent()
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

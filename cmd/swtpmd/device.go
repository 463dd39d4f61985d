package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// device is a character device at which a daemon's TPM answers, besides its sockets.
type device interface {
	// open opens what takes rights or a name, before --runas and --chroot.
	open() error
	// attach tells it whose device it is.
	attach(d *daemon)
	// about describes what is there once it is open: a line of text and a value for
	// JSON; "" if nothing is there yet.
	about() (text string, value any)
	// serve serves until ctx ends. It returns a *deviceGone if the device is over and
	// the daemon with it.
	serve(ctx context.Context) error
	// close closes what is open; serve may still run.
	close()
	// reach adds what the device needs while the daemon serves.
	reach(r *sandbox.Reach)
}

// deviceGone is the end of a daemon whose device has gone as its protocol has it.
type deviceGone struct{ cause string }

func (e *deviceGone) Error() string { return e.cause }

// deviceFlags are the flags of the commands with a device that are not the daemon's.
type deviceFlags struct {
	*imitation
	// absent is --while-deferred=absent: there is no device until the TPM comes.
	absent bool
}

// newDeviceFlags defines the flags of command c. Some of the daemon's own mean more here.
func newDeviceFlags(f *flag.FlagSet, c command) *deviceFlags {
	d := &deviceFlags{imitation: newImitation(f, c)}
	set := d.set
	f.Func("defer-for", "", func(text string) error {
		wait, err := time.ParseDuration(text)
		if err != nil || wait <= 0 {
			return fmt.Errorf("%q is not a time to wait, such as 30s", text)
		}
		set.deferFor = wait
		// The only level is the one at which all is there.
		return f.Set("defer-until", initcall.Userspace.String())
	})
	way := f.Lookup("while-deferred")
	way.Value = &absentValue{Value: way.Value, absent: &d.absent}
	// No firmware has used the TPM of a kernel that runs already.
	_ = f.Lookup("defer-from").Value.Set(initcall.Firmware.String())
	return d
}

// answer is imitation's, without the need to say --tpm2: there are no scripts here that
// mean another TPM.
func (d *deviceFlags) answer(args []string, out io.Writer) (done bool, err error) {
	d.tpm2 = true
	return d.imitation.answer(args, out)
}

// absentValue is --while-deferred where a TPM can also be absent altogether.
type absentValue struct {
	flag.Value
	absent *bool
}

// Set reads the way.
func (v *absentValue) Set(text string) error {
	if *v.absent = text == "absent"; *v.absent {
		return nil
	}
	err := v.Value.Set(text)
	var unknown *faults.UnknownWayError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w, absent", err) // the error ends with the list
	}
	return err
}

// check finds what no single option can see.
func (d *deviceFlags) check() error {
	set := d.set
	switch {
	case set.dir != "":
		return cli.Usage(errors.New("--dir is for swtpmd without a word"), "name each socket, with --ctrl and --admin")
	case set.consoleLog != "" && set.console == "":
		return cli.Usage(errors.New("--console-log without a console"), "add --console=unix:PATH (or file:PATH, -)")
	case set.gdb.wanted && set.gdb.path == "":
		return cli.Usage(errors.New("--levels=gdb without a socket"), "say --levels=gdb:unix:PATH")
	case set.deferFor > 0 && set.deferral.Until != initcall.Userspace:
		return cli.Usage(errors.New("--defer-for and --defer-until exclude each other"), "leave out one of the two")
	case set.deferFor > 0 && (set.timeline != "" || set.console != "" || set.gdb.wanted):
		return cli.Usage(errors.New("--defer-for goes by time, and another flag says how far the boot has come"), "leave out one of the two")
	case set.deferFor == 0 && needsConsole(set):
		return cli.Usage(errors.New("nothing says when the TPM comes"), "add --defer-for=30s, --timeline=FILE, or --admin=PATH for swtpmd ctl advance")
	case d.absent && set.startup == startupByClient && len(set.control) == 0:
		return cli.Usage(errors.New("the TPM has no power, and there is no control channel to ask for it"), "add --ctrl, or --flags=startup-clear")
	}
	if err := set.check(); err != nil {
		return err
	}
	return set.checkPaths()
}

// tellDevice tells which device there is.
func tellDevice(out io.Writer, set *settings) error {
	text, value := set.device.about()
	switch {
	case text == "":
		return nil
	case set.json:
		return json.NewEncoder(out).Encode(value)
	}
	_, err := io.WriteString(out, text+"\n")
	return err
}

// awaitTPM returns when no deferral keeps the TPM away.
func (d *daemon) awaitTPM(ctx context.Context) error {
	for _, rule := range d.set.deferral.Rules() {
		for rule.When.InForce(d.clock.Now()) {
			if err := d.clock.Wait(ctx, rule.When.Until); err != nil {
				return err
			}
		}
	}
	return nil
}

// runDevice serves the device until the daemon ends.
func (d *daemon) runDevice(ctx context.Context) error {
	err := d.set.device.serve(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

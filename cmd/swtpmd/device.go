package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// deviceFlags are the flags of the commands with a device that are not the daemon's.
type deviceFlags struct {
	*imitation
	// absent is --while-deferred=absent: there is no device until the TPM comes.
	absent bool
}

// newDeviceFlags defines the flags of command c. Some of the daemon's own mean more here.
func newDeviceFlags(f *flag.FlagSet, c options.Command) *deviceFlags {
	d := &deviceFlags{imitation: newImitation(f, c)}
	set := d.set
	f.Func("defer-for", "", func(text string) error {
		wait, err := time.ParseDuration(text)
		if err != nil || wait <= 0 {
			return fmt.Errorf("%q is not a time to wait, such as 30s", text)
		}
		set.DeferFor = wait
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

// Check finds what no single option can see.
func (d *deviceFlags) check() error {
	set := d.set
	switch {
	case set.Dir != "":
		return cli.Usage(errors.New("--dir is for swtpmd without a word"), "name each socket, with --ctrl and --admin")
	case set.ConsoleLog != "" && set.Console == "":
		return cli.Usage(errors.New("--console-log without a console"), "add --console=unix:PATH (or file:PATH, -)")
	case set.GDB.Wanted && set.GDB.Path == "":
		return cli.Usage(errors.New("--levels=gdb without a socket"), "say --levels=gdb:unix:PATH")
	case set.DeferFor > 0 && set.Deferral.Until != initcall.Userspace:
		return cli.Usage(errors.New("--defer-for and --defer-until exclude each other"), "leave out one of the two")
	case set.DeferFor > 0 && (set.Timeline != "" || set.Console != "" || set.GDB.Wanted):
		return cli.Usage(errors.New("--defer-for goes by time, and another flag says how far the boot has come"), "leave out one of the two")
	case set.DeferFor == 0 && needsConsole(set):
		return cli.Usage(errors.New("nothing says when the TPM comes"), "add --defer-for=30s, --timeline=FILE, or --admin=PATH for swtpmd ctl advance")
	case d.absent && set.Startup == options.StartupByClient && len(set.Control) == 0:
		return cli.Usage(errors.New("the TPM has no power, and there is no control channel to ask for it"), "add --ctrl, or --flags=startup-clear")
	}
	if err := set.Check(); err != nil {
		return err
	}
	return set.CheckPaths()
}

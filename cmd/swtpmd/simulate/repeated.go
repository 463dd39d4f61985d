package simulate

import (
	"context"
	"flag"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/transport"
)

// Repeated is the flags of a simulated boot that is repeated under other fault plans. The
// machine is the same each time, down to what its platform leaves open.
type Repeated struct{ words bootWords }

// RepeatedFlags are those that Define defines.
var RepeatedFlags = []string{"boot", "strategy", "attack", "kernel", "policy"}

// Define defines the flags: --boot has the platform, the others are those of swtpmd boot.
func (r *Repeated) Define(f *flag.FlagSet) {
	w := &r.words
	w.seed, w.selfTests = 1, new(crypt.SelfTests)
	f.StringVar(&w.platformName, "boot", "", "")
	f.TextVar(&w.strategy, "strategy", boot.Late, "")
	f.TextVar(&w.attack, "attack", boot.NoAttack, "")
	f.StringVar(&w.kernel, "kernel", "", "")
	f.StringVar(&w.policy, "policy", "", "")
	own := flag.NewFlagSet("", flag.ContinueOnError)
	w.deferral.Define(own)
}

// Given reports whether the command line has a platform.
func (r *Repeated) Given() bool { return r.words.platformName != "" }

// Prepare makes the machine, with a TPM of a kind. The error is a *cli.UsageError.
func (r *Repeated) Prepare(ctx context.Context, profile cli.Profile) error {
	r.words.profile = profile
	return r.words.prepare(ctx)
}

// Boot boots the machine under a plan, whose clock and time are the machine's. It may be
// called by several goroutines. Sent, if not nil, is told each command that the TPM is
// sent. The errors are those of boot.Run.
func (r *Repeated) Boot(ctx context.Context, plan faults.Plan, sent func(command []byte)) (*boot.Result, error) {
	one := r.words.simulation
	one.plan, one.unseeded = plan, false
	if sent != nil {
		one.around = func(d transport.Device) transport.Device { return &observed{d, sent} }
	}
	o, err := one.boot(ctx)
	if err != nil {
		return nil, err
	}
	return o.Result, nil
}

// observed is a device whose commands somebody is told.
type observed struct {
	transport.Device
	sent func(command []byte)
}

// Unwrap returns the device.
func (o *observed) Unwrap() transport.Device { return o.Device }

// Send tells of the command and sends it on.
func (o *observed) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	o.sent(command)
	return o.Device.Send(ctx, locality, command)
}

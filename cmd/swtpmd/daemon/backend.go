package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/fleet/machine"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// backendTime is how long the TPM of --backend may take to be reached: swtpm lets a
// second control client wait without end.
const backendTime = 10 * time.Second

// chooseTPM makes the TPM that is served, or reaches that of --backend.
func (d *daemon) chooseTPM(ctx context.Context) error {
	if d.set.Backend == nil {
		tpm, err := d.newTPM()
		if err != nil {
			return err
		}
		watched := &watchedTPM{TPM: tpm, failures: machine.Failures{Log: d.log}}
		d.tpm, d.watched, d.failure = watched, watched, watched.failures.Failed
		d.description, err = Describe(&d.set.Profile)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, backendTime)
	defer cancel()
	tpm, err := d.set.Backend.Dial(ctx)
	if err != nil {
		return fmt.Errorf("--backend: %w", err)
	}
	d.undo = append(d.undo, func() { tpm.Close() })
	d.tpm, d.failure = tpm, func() error { return nil }
	if behind, ok := tpm.(*swtpm.TPM); ok {
		d.askInfo = behind.Control().InfoText
	}
	d.log.Info("another TPM is served", "backend", d.set.Backend.String())
	return nil
}

// powered reports whether the TPM has power. One without a switch always has.
func (d *daemon) powered() bool {
	power, ok := transport.As[transport.Power](d.tpm)
	return !ok || power.Powered()
}

// startTPM does what --flags asks for before the first client. The boot of a guest
// begins with it, and also where no INIT will begin one: with a TPM that has no switch,
// or that somebody has switched on.
func (d *daemon) startTPM(ctx context.Context) error {
	how := d.set.Startup
	power, switched := transport.As[transport.Power](d.tpm)
	switch {
	case !switched:
		d.guest.Boot("the TPM of --backend has no switch")
	case how != options.StartupByClient:
		if err := d.guest.Because("--flags", func() error { return d.server.Init(0) }); err != nil {
			return err
		}
	case d.set.Backend != nil && power.Powered():
		d.guest.Boot("the TPM of --backend has power already")
	}
	err := how.Send(ctx, d.own)
	if errors.Is(err, wire.RCInitialize) {
		// It goes on from stored volatile state, or is somebody else's.
		d.log.Info("the TPM has been started up before")
		err = nil
	}
	if failure := d.failure(); err != nil && failure != nil {
		err = fmt.Errorf("%w: %w", err, failure)
	}
	if err != nil {
		return fmt.Errorf("--flags: %w", err)
	}
	return nil
}

package daemon

import (
	"context"
	"errors"

	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/transport"
)

// newPanel returns what the admin socket shows and moves. Its layer is set once there is one.
func (d *daemon) newPanel(seed uint64) *control.Panel {
	p := &control.Panel{
		Clock: d.clock, Seed: seed, Powered: d.powered, Failure: d.failure, LogLost: d.queue.Lost,
		PCRs: func(ctx context.Context) (control.PCRs, error) { return pcrs(ctx, d.own, d.set.Control) },
	}
	if d.journal != nil {
		p.Changed = func(c control.RuleChange) { d.journal.Changed(c.Change, c.Rules) }
	}
	if _, ok := transport.As[transport.Power](d.tpm); ok {
		p.Switch = d.switchPower
	}
	if m, ok := transport.As[transport.Migratable](d.tpm); ok {
		p.Save = func() (control.Snapshot, error) { return d.save(m) }
		p.Restore = func(s control.Snapshot) error { return d.restore(m, s) }
	}
	return p
}

// switchPower does what a client of the admin socket asks for. The swtpm server has the
// switch, in swtpmd mssim too.
func (d *daemon) switchPower(what control.Power) error {
	switch {
	case what == control.PowerOff:
		return d.server.Stop()
	case what == control.PowerOn && d.powered():
		return nil
	}
	return d.initByAdmin()
}

// initByAdmin is INIT in the name of a client of the admin socket.
func (d *daemon) initByAdmin() error {
	return d.guest.Because("INIT on the admin socket", func() error { return d.server.Init(0) })
}

// recordPower tells the panel what became of the power.
func (d *daemon) recordPower(on bool) {
	what := control.PowerOff
	if on {
		what = control.PowerReset
	}
	d.panel.RecordPower(what)
}

var (
	errOff    = errors.New("the TPM has no power, and what it had in its memory is gone: switch it on first")
	errShared = errors.New("another daemon may have the state (--migration): it is not replaced")
)

// save returns the state of the TPM, which must have power.
func (d *daemon) save(m transport.Migratable) (s control.Snapshot, err error) {
	if !d.powered() {
		return s, errOff
	}
	s.Permanent, s.Volatile, err = m.SaveState()
	return s, err
}

// restore makes the TPM the one that was saved. It has power afterwards.
func (d *daemon) restore(m transport.Migratable, s control.Snapshot) error {
	if d.set.Migration.Incoming || d.set.Migration.Release {
		return errShared
	}
	if !d.powered() {
		if err := d.initByAdmin(); err != nil {
			return err
		}
	}
	if d.journal != nil {
		d.journal.Other("a snapshot was restored")
	}
	return m.LoadState(s.Permanent, s.Volatile)
}

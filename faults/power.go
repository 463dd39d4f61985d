package faults

import "github.com/swtpmd/swtpmd/transport"

// Cancel lets held commands go with TPM_RC_CANCELED and cancels what the device
// below executes, if it can be asked to.
func (l *Layer) Cancel() {
	l.seam.cancel()
	if below, ok := transport.As[transport.Canceler](l.seam.device); ok {
		below.Cancel()
	}
}

// SetCancel is Cancel, and as long as the signal is asserted no command is held that
// comes later.
func (l *Layer) SetCancel(asserted bool) {
	l.seam.signalBelow(func() bool {
		l.seam.setCancel(asserted)
		return asserted
	})
}

// switchable is the layer over a device whose power can be switched.
type switchable struct{ *Layer }

// Init resets the device below.
func (s *switchable) Init() error { return s.initialize() }

// PowerOff takes the power from the device below.
func (s *switchable) PowerOff() error { return s.powerOff() }

// initialize resets the device below, which has power.
func (l *Layer) initialize() error {
	return l.seam.reset(release{Reset, "device reset"}, func() error {
		l.endLasting()
		l.powerGone()
		l.since.Store(int64(l.time()))
		return l.initialized(l.power.Init)
	})
}

// powerOff takes the power from the device below, which has it.
func (l *Layer) powerOff() error {
	return l.seam.reset(release{Reset, "power off"}, func() error {
		l.endLasting()
		l.powerGone()
		return l.power.PowerOff()
	})
}

// Powered reports whether the device below has power.
func (s *switchable) Powered() bool { return s.power.Powered() }

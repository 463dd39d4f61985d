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
type switchable struct {
	*Layer
	power transport.Power
}

// Init resets the device below.
func (s *switchable) Init() error {
	return s.seam.reset(release{Reset, "device reset"}, func() error {
		s.since.Store(int64(s.time()))
		return s.power.Init()
	})
}

// PowerOff takes the power from the device below.
func (s *switchable) PowerOff() error {
	return s.seam.reset(release{Reset, "power off"}, s.power.PowerOff)
}

// Powered reports whether the device below has power.
func (s *switchable) Powered() bool { return s.power.Powered() }

package daemon

import (
	"context"
	"encoding/binary"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// sleeper stands before everything that is served, and tells a guest that wakes from
// sleep (ACPI S3) from one that boots: both take the TPM's power, but a guest that goes
// to sleep has sent TPM2_Shutdown(STATE) last (drivers/char/tpm/tpm-interface.c:
// tpm_pm_suspend), and the firmware of one that wakes sends TPM2_Startup(STATE) first
// (TCG PC Client Platform Firmware Profile, "S3 Resume").
type sleeper struct {
	transport.Device
	d *daemon
	// asleep: the last command was a TPM2_Shutdown(STATE), and it succeeded. waking:
	// INIT has come after that, and no command since.
	asleep, waking atomic.Bool
}

// Unwrap implements transport.Unwrapper.
func (s *sleeper) Unwrap() transport.Device { return s.Device }

// Send looks at the command before the faults do.
func (s *sleeper) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if s.waking.Load() && !transport.IsProbe(ctx) {
		s.woken(isWith(command, wire.CCStartup, wire.SUState))
	}
	response, err := s.Device.Send(ctx, locality, command)
	s.asleep.Store(err == nil && transport.ResponseCode(response) == transport.RCSuccess && isWith(command, wire.CCShutdown, wire.SUState))
	return response, err
}

// woken decides what the last INIT was.
func (s *sleeper) woken(goesOn bool) {
	s.d.powering.Lock()
	defer s.d.powering.Unlock()
	if !s.waking.Swap(false) {
		return
	}
	if goesOn {
		now := s.d.clock.Now()
		s.d.log.Info("the guest wakes from sleep: it does not boot", "boot", now.Boot, "level", now.Level.String())
		return
	}
	s.d.powerOn(initCause)
}

// sleeps reports whether INIT may be the end of a sleep. The next command tells.
func (s *sleeper) sleeps() bool {
	if !s.asleep.Swap(false) {
		return s.waking.Load()
	}
	s.waking.Store(true)
	return true
}

// goesOn forgets what was before a guest that goes on from saved state.
func (s *sleeper) goesOn() {
	s.asleep.Store(false)
	s.waking.Store(false)
}

// isWith reports whether a command has this code and ends with this parameter.
func isWith(command []byte, code wire.CC, parameter wire.SU) bool {
	return commandCode(command) == uint32(code) && len(command) > transport.HeaderSize+1 &&
		binary.BigEndian.Uint16(command[len(command)-2:]) == uint16(parameter)
}

// Package machine has what a daemon puts around a TPM so that it is that of a machine:
// the boots of a guest, which its power and its sleep tell, and a log of the failures of
// the TPM and of the storage of its state.
package machine

import (
	"context"
	"encoding/binary"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// InitCause is the cause of a boot that a client begins.
const InitCause = "INIT on the control channel"

// Guest follows the boots of a guest by what happens to the power of its TPM. Its fields
// are set before use and not changed afterwards.
//
// Both a boot and the end of sleep (ACPI S3) take the TPM's power, but a guest that goes
// to sleep has sent TPM2_Shutdown(STATE) last (drivers/char/tpm/tpm-interface.c:
// tpm_pm_suspend), and the firmware of one that wakes sends TPM2_Startup(STATE) first
// (TCG PC Client Platform Firmware Profile, "S3 Resume").
type Guest struct {
	Clock *initcall.Clock
	// Boots begins a boot on the Clock, with its cause.
	Boots func(cause string)
	// Powered, if set, is told what became of the power.
	Powered func(on bool)
	Log     *slog.Logger

	mu    sync.Mutex
	on    bool   // the guest has had power
	cause string // of the next INIT, if it is not a client's

	// asleep: the last command was a TPM2_Shutdown(STATE), and it succeeded. waking:
	// INIT has come after that, and no command since.
	asleep, waking atomic.Bool
}

// Power follows an event of the control channel: INIT is the power-on of the guest, and
// after a boot has begun it is the next one.
func (g *Guest) Power(e swtpm.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	init := e.Kind == swtpm.EventInit
	g.tell(e.Kind.String(), init)
	switch {
	case !init:
		return
	case e.Resumes:
		// A guest that goes on does not boot. How far it was is not known: it
		// is taken to have booted already.
		g.on = true
		g.asleep.Store(false)
		g.waking.Store(false)
		_ = g.Clock.Advance(initcall.Userspace, initcall.NoTime, "the guest goes on from saved state")
		return
	}
	if g.cause == "" && g.sleeps() {
		return
	}
	cause := g.cause
	if cause == "" {
		cause = InitCause
	}
	g.boot(cause)
}

// Switched follows a switch of the power that is no event of the control channel. A
// machine that gets power boots.
func (g *Guest) Switched(event, cause string, on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tell(event, on)
	if on {
		g.boot(cause)
	}
}

// Boot begins a boot with no switch of the power.
func (g *Guest) Boot(cause string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.boot(cause)
}

// Because runs init, in which INIT has this cause.
func (g *Guest) Because(cause string, init func() error) error {
	g.setCause(cause)
	defer g.setCause("")
	return init()
}

func (g *Guest) setCause(cause string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cause = cause
}

func (g *Guest) tell(event string, on bool) {
	g.Log.Info("power", "event", event)
	if g.Powered != nil {
		g.Powered(on)
	}
}

// boot begins a boot. A reset while the last one is still in firmware (SeaBIOS resets
// twice in a row) is no boot of its own.
func (g *Guest) boot(cause string) {
	if g.on && g.Clock.Level() == initcall.Firmware {
		return
	}
	g.on = true
	g.Boots(cause)
}

// Reached logs a movement of the clock.
func (g *Guest) Reached(e initcall.Event) {
	attributes := []any{"boot", e.Boot, "level", e.Level.String(), "cause", e.Cause}
	if e.Confirmed != "" {
		attributes = append(attributes, "confirmed", e.Confirmed)
	}
	if e.At >= 0 {
		attributes = append(attributes, "at", e.At)
	}
	g.Log.Info("level reached", attributes...)
}

// Device returns next as it is served: it must stand before the faults, so that the
// guest's commands are seen as the guest sends them.
func (g *Guest) Device(next transport.Device) transport.Device { return &sleeper{next, g} }

// sleeper tells a guest that wakes from one that boots.
type sleeper struct {
	transport.Device
	guest *Guest
}

// Unwrap implements transport.Unwrapper.
func (s *sleeper) Unwrap() transport.Device { return s.Device }

// Send looks at the command before the faults do.
func (s *sleeper) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	g := s.guest
	if g.waking.Load() && !transport.IsProbe(ctx) {
		g.woken(isWith(command, wire.CCStartup, wire.SUState))
	}
	response, err := s.Device.Send(ctx, locality, command)
	g.asleep.Store(err == nil && transport.ResponseCode(response) == transport.RCSuccess && isWith(command, wire.CCShutdown, wire.SUState))
	return response, err
}

// woken decides what the last INIT was.
func (g *Guest) woken(goesOn bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.waking.Swap(false) {
		return
	}
	if goesOn {
		now := g.Clock.Now()
		g.Log.Info("the guest wakes from sleep: it does not boot", "boot", now.Boot, "level", now.Level.String())
		return
	}
	g.boot(InitCause)
}

// sleeps reports whether INIT may be the end of a sleep. The next command tells.
func (g *Guest) sleeps() bool {
	if !g.asleep.Swap(false) {
		return g.waking.Load()
	}
	g.waking.Store(true)
	return true
}

// isWith reports whether a command has this code and ends with this parameter.
func isWith(command []byte, code wire.CC, parameter wire.SU) bool {
	is, _ := transport.CommandCode(command)
	return is == uint32(code) && len(command) > transport.HeaderSize+1 &&
		binary.BigEndian.Uint16(command[len(command)-2:]) == uint16(parameter)
}

// GuestState has what a Guest knows, for a Guest in another process.
type GuestState struct {
	On     bool `json:"on,omitempty"`
	Asleep bool `json:"asleep,omitempty"`
	Waking bool `json:"waking,omitempty"`
}

// State returns what the guest is known to do.
func (g *Guest) State() GuestState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GuestState{g.on, g.asleep.Load(), g.waking.Load()}
}

// SetState has a guest that has done nothing yet go on.
func (g *Guest) SetState(s GuestState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.on = s.On
	g.asleep.Store(s.Asleep)
	g.waking.Store(s.Waking)
}

package transport

import (
	"context"
	"sync/atomic"
	"time"
)

// Orderly is a Device whose power is taken in order: before Init of a Device that has
// power and before PowerOff it sends TPM2_Shutdown, unless that was the last command,
// as swtpm does from 0.8 on (swtpm(8), "--flags disable-auto-shutdown"). What else the
// Device can do is found through As. NewOrderly makes it.
type Orderly struct {
	Device
	power Power
	last  atomic.Uint32 // the code of the last command
}

// TPM2_Shutdown, its parameter, and the answer of a TPM that has not been started (TPM
// 2.0 Library Part 2, sections "TPM_CC", "TPM_SU" and "TPM_RC").
const (
	rcInitialize = 0x100 // TPM_RC_INITIALIZE

	ccShutdown = 0x145
	suClear    = 0x0000
	suState    = 0x0001
)

// shutdownTime is how long a reset waits for TPM2_Shutdown. The command in execution is
// canceled before.
const shutdownTime = time.Second

// NewOrderly returns d with the power taken in order, nil if d has no switch.
func NewOrderly(d Device) *Orderly {
	power, ok := As[Power](d)
	if !ok {
		return nil
	}
	return &Orderly{Device: d, power: power}
}

// Unwrap implements Unwrapper.
func (o *Orderly) Unwrap() Device { return o.Device }

// Send implements Device.
func (o *Orderly) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if code, ok := CommandCode(command); ok {
		o.last.Store(code)
	}
	return o.Device.Send(ctx, locality, command)
}

// Init implements Power.
func (o *Orderly) Init() error {
	o.shutDown()
	o.last.Store(0)
	return o.power.Init()
}

// PowerOff implements Power.
func (o *Orderly) PowerOff() error {
	o.shutDown()
	return o.power.PowerOff()
}

// Powered implements Power.
func (o *Orderly) Powered() bool { return o.power.Powered() }

// shutDown sends TPM2_Shutdown(STATE), which also serves a guest that starts with
// TPM2_Startup(CLEAR), and TPM2_Shutdown(CLEAR) if that is refused. A TPM that has not
// been started has nothing to shut down. A TPM that does not answer in time loses its
// power all the same.
func (o *Orderly) shutDown() {
	if !o.power.Powered() || o.last.Load() == ccShutdown {
		return
	}
	if c, ok := As[Canceler](o.Device); ok {
		c.Cancel()
	}
	ctx, cancel := context.WithTimeout(WithProbe(context.Background()), shutdownTime)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, how := range []byte{suState, suClear} {
			response, err := o.Device.Send(ctx, 0, []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x45, 0, how})
			if code := ResponseCode(response); err != nil || code == RCSuccess || code == rcInitialize {
				return
			}
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	cancel()
}

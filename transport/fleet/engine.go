package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/fleet/machine"
)

// engine is a TPM that is in memory only while it is used. It is made when it gets power.
// When it has not been used for a time it is put away as a snapshot, and made again of
// that for the next command, which finds it as if it had never been away.
type engine struct {
	kind     *emulator.TPM     // without power, of which the TPM is another
	platform emulator.Platform // with the clock and the store below
	clock    pausedClock
	store    quietStore
	log      *slog.Logger
	failures machine.Failures

	// buffer are the sizes of BufferSize: of the buffers from the next Init on, and the
	// limits.
	buffer struct{ size, min, max uint32 }

	settling settling // of what was committed and is not stored yet

	powered atomic.Bool
	used    atomic.Int64 // when it was used last, in nanoseconds since a moment of the clock
	// surrounded: fault rules stand between it and its platform, and are not in a
	// snapshot. It stays.
	surrounded atomic.Bool

	// mu is held for reading while tpm is used, and for writing while it is replaced.
	mu    sync.RWMutex
	tpm   *emulator.TPM // nil: it is put away, or not made yet
	saved []byte        // the snapshot, nil for one without power
}

// PanicError is the cause of the failure mode of a TPM whose code has panicked.
type PanicError struct {
	Value any
	Stack []byte
}

// Error gives the value; the stack is in the log.
func (e *PanicError) Error() string { return fmt.Sprintf("internal error: panic: %v", e.Value) }

// newEngine returns an engine without power on a store. It is another TPM like kind.
func newEngine(kind *emulator.TPM, platform emulator.Platform, store state.Store, log *slog.Logger) *engine {
	e := &engine{kind: kind, log: log, failures: machine.Failures{Log: log}}
	e.clock.start = time.Now()
	e.store.Store = store
	e.platform = platform
	e.platform.Clock, e.platform.Store = &e.clock, &e.store
	e.buffer.size, e.buffer.min, e.buffer.max = kind.BufferSize()
	return e
}

// hold returns the TPM, which stays until release is called.
func (e *engine) hold() (tpm *emulator.TPM, err error) {
	for {
		e.mu.RLock()
		if e.tpm != nil {
			return e.tpm, nil
		}
		e.mu.RUnlock()
		if err := e.wake(); err != nil {
			return nil, err
		}
	}
}

func (e *engine) release() {
	e.used.Store(int64(e.clock.passed()))
	e.mu.RUnlock()
}

// wake makes the TPM, of the snapshot if there is one.
func (e *engine) wake() (err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tpm != nil {
		return nil
	}
	tpm := e.kind.Another(e.platform)
	if _, err := tpm.SetBufferSize(e.buffer.size); err != nil {
		return err
	}
	if e.saved != nil {
		if err := e.resume(tpm, e.saved); err != nil {
			return err
		}
	}
	clear(e.saved) // it has secrets
	e.tpm, e.saved = tpm, nil
	e.used.Store(int64(e.clock.passed()))
	return nil
}

// away puts the TPM away if it has not been used for idle, and reports whether it did.
func (e *engine) away(idle time.Duration) bool {
	if e.clock.passed()-time.Duration(e.used.Load()) < idle || e.surrounded.Load() || e.failures.Failed() != nil || !e.mu.TryLock() {
		return false
	}
	defer e.mu.Unlock()
	if e.tpm == nil || e.clock.passed()-time.Duration(e.used.Load()) < idle {
		return false
	}
	if e.tpm.Powered() {
		saved, err := e.tpm.Snapshot()
		if err != nil || e.tpm.Failure() != nil {
			return false
		}
		e.saved = append(make([]byte, 0, len(saved)), saved...)
		clear(saved)
		_ = e.tpm.PowerOff() // which leaves no secrets
	}
	e.tpm = nil
	return true
}

// inMemory reports whether the TPM is made.
func (e *engine) inMemory() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.tpm != nil
}

// Send implements transport.Device, as the methods below implement what else a TPM can do.
func (e *engine) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if !e.powered.Load() {
		return nil, emulator.ErrNoPower
	}
	tpm, err := e.hold()
	if err != nil {
		return nil, err
	}
	defer e.release()
	response, err := e.settling.send(ctx, tpm, locality, command)
	if err == nil && transport.ResponseCode(response) == transport.RCFailure {
		e.failures.Look(tpm.Failure)
	}
	return response, err
}

// broken puts the TPM in failure mode after a panic.
func (e *engine) broken(value any, stack []byte) {
	cause := &PanicError{value, stack}
	e.log.Error("panic: the TPM goes into failure mode, and others go on", "cause", fmt.Sprint(value), "stack", string(stack))
	tpm, err := e.hold()
	if err != nil {
		e.log.Error("the TPM is lost until it is reset", "cause", err)
		return
	}
	defer e.release()
	tpm.Fail(cause)
	e.failures.Look(tpm.Failure)
}

// guarded runs what may panic.
func (e *engine) guarded(do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			e.broken(value, debug.Stack())
			err = &PanicError{Value: value}
		}
	}()
	return do()
}

// with runs do with the TPM, when all that it has committed is stored.
func (e *engine) with(do func(*emulator.TPM) error) error {
	return e.guarded(func() error {
		_ = e.settling.settle() // what keeps it from being stored is the store's to say
		tpm, err := e.hold()
		if err != nil {
			return err
		}
		defer e.release()
		return do(tpm)
	})
}

func (e *engine) Init() error {
	return e.guarded(func() error {
		tpm, err := e.hold()
		if err != nil {
			return err
		}
		defer e.release()
		defer e.settling.later()()
		err = tpm.Init()
		e.powered.Store(tpm.Powered())
		e.failures.Look(tpm.Failure)
		return err
	})
}

func (e *engine) PowerOff() error {
	e.powered.Store(false)
	e.mu.RLock()
	made := e.tpm != nil
	e.mu.RUnlock()
	if !made && e.forget() {
		return nil
	}
	return e.with(func(tpm *emulator.TPM) error {
		err := tpm.PowerOff()
		e.failures.Look(tpm.Failure)
		return err
	})
}

// forget drops the snapshot of a TPM that is put away, and reports whether it is.
func (e *engine) forget() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tpm != nil {
		return false
	}
	clear(e.saved)
	e.saved = nil
	return true
}

func (e *engine) Powered() bool { return e.powered.Load() }

func (e *engine) HashStart() error {
	return e.with(func(tpm *emulator.TPM) error { return tpm.HashStart() })
}

func (e *engine) HashData(data []byte) error {
	return e.with(func(tpm *emulator.TPM) error { return tpm.HashData(data) })
}

func (e *engine) HashEnd() error {
	return e.with(func(tpm *emulator.TPM) error { return tpm.HashEnd() })
}

// Cancel does not need a TPM that is put away: no command is in execution there.
func (e *engine) Cancel() {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.tpm != nil {
		e.tpm.Cancel()
	}
}

func (e *engine) TPMEstablished() (is bool) {
	_ = e.with(func(tpm *emulator.TPM) error { is = tpm.TPMEstablished(); return nil })
	return is
}

func (e *engine) ResetTPMEstablished(locality uint8) error {
	return e.with(func(tpm *emulator.TPM) error { return tpm.ResetTPMEstablished(locality) })
}

func (e *engine) BufferSize() (size, min, max uint32) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.buffer.size, e.buffer.min, e.buffer.max
}

func (e *engine) SetBufferSize(size uint32) (got uint32, err error) {
	err = e.with(func(tpm *emulator.TPM) error { got, err = tpm.SetBufferSize(size); return err })
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		e.buffer.size = got
	}
	return got, err
}

func (e *engine) SaveState() (permanent, volatile []byte, err error) {
	err = e.with(func(tpm *emulator.TPM) error { permanent, volatile, err = tpm.SaveState(); return err })
	return permanent, volatile, err
}

func (e *engine) LoadState(permanent, volatile []byte) error {
	return e.with(func(tpm *emulator.TPM) error {
		err := tpm.LoadState(permanent, volatile)
		e.powered.Store(tpm.Powered())
		e.failures.Look(tpm.Failure)
		return err
	})
}

// Surround implements what faults inside a TPM need.
func (e *engine) Surround(s emulator.Surrounding) {
	e.surrounded.Store(true)
	_ = e.with(func(tpm *emulator.TPM) error { tpm.Surround(s); return nil })
}

// pausedClock is the time of a TPM. Paused, it is where the TPM has read it last. The TPM
// calls Now from one goroutine at a time.
type pausedClock struct {
	start  time.Time
	last   time.Duration
	paused bool
}

// Now implements emulator.Clock.
func (c *pausedClock) Now() time.Duration {
	if !c.paused {
		c.last = c.passed()
	}
	return c.last
}

func (c *pausedClock) passed() time.Duration { return time.Since(c.start) }

// quietStore is a store that is left alone while a TPM that was put away is made again.
type quietStore struct {
	state.Store
	quiet bool
}

// Unwrap returns the store below.
func (q *quietStore) Unwrap() state.Store { return q.Store }

// Writable implements state.Store.
func (q *quietStore) Writable() error {
	if q.quiet {
		return nil
	}
	return q.Store.Writable()
}

// Commit implements state.Store.
func (q *quietStore) Commit(blob []byte) error {
	if q.quiet {
		return nil
	}
	return q.Store.Commit(blob)
}

// guard stands before everything that is served: a panic below it is the failure mode of
// this TPM.
type guard struct {
	transport.Device
	engine   *engine
	commands atomic.Uint64
	errors   atomic.Uint64 // answers with a response code that is none of success
}

// Unwrap implements transport.Unwrapper.
func (g *guard) Unwrap() transport.Device { return g.Device }

// Send answers TPM_RC_FAILURE to a command that has made the TPM panic.
func (g *guard) Send(ctx context.Context, locality uint8, command []byte) (response []byte, err error) {
	defer func() {
		if value := recover(); value != nil {
			g.engine.broken(value, debug.Stack())
			response, err = transport.AppendResponse(nil, transport.RCFailure), nil
			g.errors.Add(1)
		}
	}()
	g.commands.Add(1)
	response, err = g.Device.Send(ctx, locality, command)
	if err != nil || transport.ResponseCode(response) != transport.RCSuccess {
		g.errors.Add(1)
	}
	return response, err
}

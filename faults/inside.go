package faults

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// Faults inside a TPM change what its entropy, its clock and its storage do while a
// command is executed. They need a TPM that lets others stand between it and those: one
// of package emulator, in this process.

// surroundable is implemented by *emulator.TPM; the documentation of emulator.Surrounding
// tells what the methods are for. The types are without names, as there: this package
// takes any TPM.
type surroundable interface {
	Surround(interface {
		Entropy(below io.Reader) io.Reader
		Clock(below func() time.Duration) func() time.Duration
		Store(below store) store
		PowerOn()
		Begin(ctx context.Context)
		End()
	})
}

// store is emulator.SurroundedStore.
type store = interface {
	Load() ([]byte, error)
	Writable() error
	Commit(blob []byte) error
	Tear(blob []byte, n int) error
}

// effect is what a fault makes of that which surrounds a TPM, while one command is
// executed. Each function may be nil.
type effect struct {
	entropy func(below io.Reader) io.Reader
	store   func(below store) store
	// clock is called when the command begins, before the TPM asks for the time.
	clock func(c *insideClock)
}

// around stands between a layer's TPM and what surrounds it. The TPM calls its methods one
// after the other.
type around struct {
	reached atomic.Bool
	entropy insideEntropy
	clock   insideClock
	store   insideStore

	mu    sync.Mutex
	ahead []effect // on the _TPM_Init that comes
}

// effectsKey is the key of the effects on a command in its context.
type effectsKey struct{ *around }

// inside sends the command on, and has the effect come about while it is executed. Of two
// effects, the earlier rule's is the one that the TPM meets first.
func (x *exchange) inside(e effect) ([]byte, error) {
	outer, key := x.ctx, effectsKey{keeps[around](x.layer)}
	before, _ := outer.Value(key).([]effect)
	x.ctx = context.WithValue(outer, key, append(before[:len(before):len(before)], e))
	defer func() { x.ctx = outer }()
	return x.next()
}

// insideInit has the effect come about at the _TPM_Init that comes.
func (x *exchange) insideInit(e effect) {
	a := keeps[around](x.layer)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ahead = append(a.ahead, e)
}

// closed returns why the inside of a TPM cannot be reached, empty if it can.
func closed(d transport.Device) string {
	if _, ok := transport.As[surroundable](d); !ok {
		return "it happens inside the TPM, and this is not one of package emulator in the same process; answer what it would have answered (rc=CODE)"
	}
	return ""
}

// surround lets faults inside the TPM happen from the next command on. It waits for one in
// execution.
func (l *Layer) surround() {
	a := keeps[around](l)
	if tpm, ok := transport.As[surroundable](l.next); ok && a.reached.CompareAndSwap(false, true) {
		tpm.Surround(a)
	}
}

// Entropy implements emulator.Surrounding, as do the methods below.
func (a *around) Entropy(below io.Reader) io.Reader {
	a.entropy = insideEntropy{below, below}
	return &a.entropy
}

// Clock returns the clock that faults can change.
func (a *around) Clock(below func() time.Duration) func() time.Duration {
	a.clock.below, a.clock.last = below, below()
	return a.clock.now
}

// Store returns the store that faults can change.
func (a *around) Store(below store) store {
	a.store = insideStore{below, below}
	return &a.store
}

// PowerOn has the effects on _TPM_Init come about.
func (a *around) PowerOn() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begin(a.ahead)
	a.ahead = nil
}

// Begin has the effects on a command come about.
func (a *around) Begin(ctx context.Context) {
	effects, _ := ctx.Value(effectsKey{a}).([]effect)
	a.begin(effects)
}

func (a *around) begin(effects []effect) {
	for _, e := range slices.Backward(effects) {
		if e.entropy != nil {
			a.entropy.now = e.entropy(a.entropy.now)
		}
		if e.store != nil {
			a.store.now = e.store(a.store.now)
		}
		if e.clock != nil {
			e.clock(&a.clock)
		}
	}
}

// End ends them, but for what has become of the clock.
func (a *around) End() {
	a.entropy.now, a.store.now = a.entropy.below, a.store.below
}

// insideEntropy is a source of entropy in whose place another one can be put.
type insideEntropy struct{ below, now io.Reader }

func (e *insideEntropy) Read(p []byte) (int, error) { return e.now.Read(p) }

// insideStore is a store in whose place another one can be put.
type insideStore struct{ below, now store }

func (s *insideStore) Load() ([]byte, error)         { return s.now.Load() }
func (s *insideStore) Writable() error               { return s.now.Writable() }
func (s *insideStore) Commit(blob []byte) error      { return s.now.Commit(blob) }
func (s *insideStore) Tear(blob []byte, n int) error { return s.now.Tear(blob, n) }

// insideClock is a clock that jumps and stands still.
type insideClock struct {
	below  func() time.Duration
	offset time.Duration // to below
	last   time.Duration // that was told
}

func (c *insideClock) now() time.Duration {
	c.last = c.below() + c.offset
	return c.last
}

// wordOf returns the word of one of a kind's values.
func wordOf[T ~uint8](words []string, value T) string {
	if int(value) < len(words) {
		return words[value]
	}
	return fmt.Sprint(uint8(value))
}

// stop has the clock stand where it stood when it was asked last, and returns how long that
// is ago.
func (c *insideClock) stop() time.Duration {
	now := c.below() + c.offset
	c.offset -= now - c.last
	return now - c.last
}

// Package emulatortest makes TPMs for tests: with a clock that only moves when
// told, entropy from a seed, and a store that fails on command. The same
// options and the same commands give the same bytes; two TPMs of one test are two, with
// seeds and keys of their own.
//
//	tpm := emulatortest.New(t)
//	response := tpm.Execute(0, command)
package emulatortest

import (
	"context"
	"sync"
	"testing"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// TPM is a TPM for a test, with what surrounds it.
type TPM struct {
	*emulator.TPM
	Clock    *Clock
	Entropy  *Entropy
	Store    *Store
	Presence *Presence

	tb testing.TB
}

// Option changes what New makes.
type Option func(*options)

type options struct {
	config emulator.Config
	seed   uint64
	seeded,
	off bool
	noStart,
	unchecked bool
	store *Store
	keys  *crypt.RSAKeys
}

// WithConfig makes a TPM of the given kind. Config.CheckErrors is set whatever
// it says; see Unchecked.
func WithConfig(c emulator.Config) Option { return func(o *options) { o.config = c } }

// WithSeed chooses the entropy, and with it the seeds, keys and names of the TPM. Without
// it the first TPM that New makes for a test has the seed 1, the second 2 and so on; a
// subtest counts by itself.
func WithSeed(seed uint64) Option { return func(o *options) { o.seed, o.seeded = seed, true } }

// WithStore gives the TPM a store that may hold a state already.
func WithStore(s *Store) Option { return func(o *options) { o.store = s } }

// WithPrimaryKeys gives the TPM RSA primary keys that were made before, and a place for new
// ones: tests whose TPMs have the same seed compute each key once.
func WithPrimaryKeys(k *crypt.RSAKeys) Option { return func(o *options) { o.keys = k } }

// WithoutPower leaves out Init and TPM2_Startup.
func WithoutPower() Option { return func(o *options) { o.off = true } }

// WithoutStartup leaves out TPM2_Startup.
func WithoutStartup() Option { return func(o *options) { o.noStart = true } }

// Unchecked leaves out the comparison of the state before and after every
// command, which costs a hundred times as much as most commands.
func Unchecked() Option { return func(o *options) { o.unchecked = true } }

// New makes a TPM that has had Init and TPM2_Startup(CLEAR) at locality 0. What
// fails in that fails the test.
func New(tb testing.TB, opts ...Option) *TPM {
	tb.Helper()
	var o options
	for _, f := range opts {
		f(&o)
	}
	if !o.seeded {
		o.seed = made.next(tb)
	}
	o.config.CheckErrors = !o.unchecked
	if o.store == nil {
		o.store = &Store{}
	}
	t := &TPM{Clock: &Clock{}, Entropy: NewEntropy(o.seed), Store: o.store, Presence: &Presence{}, tb: tb}
	var err error
	t.TPM, err = emulator.New(emulator.Platform{
		Clock: t.Clock, Entropy: t.Entropy, Store: t.Store, PhysicalPresence: t.Presence.Asserted, PrimaryKeys: o.keys,
	}, o.config)
	if err != nil {
		tb.Fatalf("emulatortest: %v", err)
	}
	if o.off {
		return t
	}
	if err := t.Init(); err != nil {
		tb.Fatalf("emulatortest: Init: %v", err)
	}
	if !o.noStart {
		if rc := t.Startup(0, wire.SUClear); rc != wire.RCSuccess {
			tb.Fatalf("emulatortest: TPM2_Startup(CLEAR): %v", rc)
		}
	}
	return t
}

// made counts the TPMs that the tests which run have made without a seed of their own.
var made counts

type counts struct {
	mu sync.Mutex
	of map[testing.TB]uint64
}

// next counts one more.
func (c *counts) next(tb testing.TB) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = make(map[testing.TB]uint64)
	}
	if c.of[tb]++; c.of[tb] == 1 {
		tb.Cleanup(func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.of, tb)
		})
	}
	return c.of[tb]
}

// Execute sends a command and returns the response. No response, because the
// TPM has no power, fails the test.
func (t *TPM) Execute(locality uint8, command []byte) []byte {
	t.tb.Helper()
	rsp, err := t.Send(context.Background(), locality, command)
	if err != nil {
		t.tb.Fatalf("emulatortest: Send: %v", err)
	}
	return rsp
}

// Startup sends TPM2_Startup.
func (t *TPM) Startup(locality uint8, kind wire.SU) wire.RC {
	t.tb.Helper()
	return ResponseCode(t.Execute(locality, Command(wire.CCStartup, nil, nil, U16(uint16(kind)))))
}

// Shutdown sends TPM2_Shutdown at locality 0.
func (t *TPM) Shutdown(kind wire.SU) wire.RC {
	t.tb.Helper()
	return ResponseCode(t.Execute(0, Command(wire.CCShutdown, nil, nil, U16(uint16(kind)))))
}

// Restart is Init and TPM2_Startup, at locality 0.
func (t *TPM) Restart(kind wire.SU) wire.RC {
	t.tb.Helper()
	if err := t.Init(); err != nil {
		t.tb.Fatalf("emulatortest: Init: %v", err)
	}
	return t.Startup(0, kind)
}

package daemon

import (
	"errors"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// board is what surrounds the TPM and has a switch on the platform port of swtpmd mssim:
// transport.Presence, NVAvailability and FailureTest.
type board struct {
	presence atomic.Bool // physical presence is asserted
	noNV     atomic.Bool // the nonvolatile memory is away
	failing  atomic.Bool // the next self-test fails
}

// errFailureTest is why a self-test has failed that was to fail.
var errFailureTest = errors.New("a client asked for a self-test that fails (TEST_FAILURE_MODE)")

// SetPresence implements transport.Presence.
func (b *board) SetPresence(asserted bool) { b.presence.Store(asserted) }

// SetNVAvailable implements transport.NVAvailability.
func (b *board) SetNVAvailable(available bool) { b.noNV.Store(!available) }

// FailNextSelfTest implements transport.FailureTest.
func (b *board) FailNextSelfTest() { b.failing.Store(true) }

// around has the TPM of a platform follow the switches.
func (b *board) around(p *emulator.Platform) {
	if p.Store == nil {
		p.Store = new(state.Memory)
	}
	p.Store = &boardStore{p.Store, b}
	p.PhysicalPresence = b.presence.Load
	p.SelfTest = func(alg wire.AlgID) error {
		if b.failing.Load() {
			return errFailureTest
		}
		return crypt.SelfTest(alg)
	}
}

// boardStore is a store that can be taken away.
type boardStore struct {
	state.Store
	board *board
}

// Unwrap returns the store that is there.
func (s *boardStore) Unwrap() state.Store { return s.Store }

// Writable is state.ErrUnavailable while the memory is away.
func (s *boardStore) Writable() error {
	if s.board.noNV.Load() {
		return state.ErrUnavailable
	}
	return s.Store.Writable()
}

// boardTPM is the TPM on a board.
type boardTPM struct {
	*watchedTPM
	*board
}

// Init ends a failure that was asked for.
func (t *boardTPM) Init() error {
	t.failing.Store(false)
	return t.watchedTPM.Init()
}

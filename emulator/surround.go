package emulator

import (
	"context"
	"io"
	"time"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// What may stand between a TPM and its Platform.

// Surrounding stands between a TPM and its Platform, and so can make entropy, time and
// storage fail as those of a chip do. Its methods are called one after the other, as
// those of the Platform.
//
// It and SurroundedStore have no name of their own, so that who implements them need not
// import this package.
type Surrounding = interface {
	// Entropy, Clock and Store are called once, by TPM.Surround. What they return takes
	// the place of below: of Platform.Entropy, Platform.Clock.Now and Platform.Store, or
	// of what another Surrounding has put there.
	Entropy(below io.Reader) io.Reader
	Clock(below func() time.Duration) func() time.Duration
	Store(below SurroundedStore) SurroundedStore
	// PowerOn is called when _TPM_Init begins, Begin before each command that is
	// executed, with the context that Send was given. End is called when either is over.
	PowerOn()
	Begin(ctx context.Context)
	End()
}

// SurroundedStore is a state.Store that can be broken off.
type SurroundedStore = interface {
	Load() ([]byte, error)
	Writable() error
	Commit(blob []byte) error
	// Tear is state.Tear.
	Tear(blob []byte, n int) error
}

// tornStore makes a state.Store a SurroundedStore.
type tornStore struct{ state.Store }

func (s tornStore) Tear(blob []byte, n int) error { return state.Tear(s.Store, blob, n) }

// clockFunc is a function that is a Clock.
type clockFunc func() time.Duration

func (f clockFunc) Now() time.Duration { return f() }

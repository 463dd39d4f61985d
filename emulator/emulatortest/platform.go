package emulatortest

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// Clock is an emulator.Clock that stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Duration
}

// Now is emulator.Clock.Now.
func (c *Clock) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += d
}

// ErrInjected is what an Entropy or a Store that was told to fail returns.
const ErrInjected state.Error = "failure injected by the test"

// Entropy is a source of entropy that gives the same bytes for the same seed.
// It is good for tests and for nothing else. The zero value is that of seed 0.
type Entropy struct {
	mu   sync.Mutex
	src  *rand.ChaCha8 // nil: that of seed 0, not yet made
	fail bool
}

// NewEntropy makes the source for a seed.
func NewEntropy(seed uint64) *Entropy { return &Entropy{src: source(seed)} }

func source(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return rand.NewChaCha8(key)
}

// Fail makes all reads fail with ErrInjected, or lets them work again.
func (e *Entropy) Fail(fail bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = fail
}

// Read is io.Reader.Read.
func (e *Entropy) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail {
		return 0, ErrInjected
	}
	if e.src == nil {
		e.src = source(0)
	}
	return e.src.Read(p)
}

// Presence is physical presence, not asserted at first.
type Presence struct {
	mu       sync.Mutex
	asserted bool
}

// Assert asserts physical presence, or takes it back.
func (p *Presence) Assert(asserted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asserted = asserted
}

// Asserted reports whether physical presence is asserted.
func (p *Presence) Asserted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asserted
}

// Store is a state.Memory that can be told to refuse and to fail.
type Store struct {
	state.Memory

	mu       sync.Mutex
	commits  int
	dieAt    int
	loadErr  error
	writable error
	asked    int
}

// DieAt makes commit number n, counted from 1 and from the making of the
// Store, and all after it fail with ErrInjected. 0 lets them work again.
func (s *Store) DieAt(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dieAt = n
}

// FailLoad makes Load fail with err until it is nil.
func (s *Store) FailLoad(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loadErr = err
}

// SetWritable makes Writable answer err: state.ErrUnavailable,
// state.ErrRateLimited or nil.
func (s *Store) SetWritable(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writable = err
}

// Asked is how many times Writable was called.
func (s *Store) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Commits is the number of commits that worked.
func (s *Store) Commits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

// Load is state.Store.Load.
func (s *Store) Load() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loadErr != nil {
		return nil, s.loadErr
	}
	return s.Memory.Load()
}

// Writable is state.Store.Writable.
func (s *Store) Writable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.writable
}

// Commit is state.Store.Commit.
func (s *Store) Commit(blob []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dieAt > 0 && s.commits+1 >= s.dieAt {
		return ErrInjected
	}
	s.commits++
	return s.Memory.Commit(blob)
}

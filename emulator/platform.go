package emulator

import (
	"crypto/rand"
	"io"
	"time"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Platform is what surrounds a TPM. A nil field has the default that a
// stand-alone TPM needs, so the zero Platform works.
type Platform struct {
	// Entropy seeds the random bit generator: 48 bytes at every _TPM_Init and
	// every TPM2_StirRandom. An error puts the TPM in failure mode. With the
	// same bytes and the same Clock the TPM answers the same commands with
	// the same bytes. Nil is crypto/rand.Reader.
	Entropy io.Reader
	// Clock is the time the TPM lives in. It is read once per command. Nil is
	// the monotonic clock of the process.
	Clock Clock
	// Store keeps what outlives _TPM_Init. Nil is a new state.Memory.
	Store state.Store
	// PhysicalPresence reports whether physical presence is asserted now. Nil means
	// never.
	PhysicalPresence func() bool
	// SelfTest runs the known-answer tests of an algorithm. An error puts the
	// TPM in failure mode. Nil is crypt.SelfTest; whoever starts many TPMs in
	// one process shares a crypt.SelfTests among them.
	SelfTest func(alg wire.AlgID) error
	// PrimaryKeys remembers the RSA keys of primary objects, so that each is computed
	// once. TPMs may share it: what one TPM is given is the key of its own seed. A change
	// of a primary seed wipes it. Nil computes each key each time.
	PrimaryKeys *crypt.RSAKeys
}

// Clock tells the time since a fixed moment, in nanoseconds and never going
// back. A TPM takes differences only.
type Clock interface {
	Now() time.Duration
}

// monotonic is the monotonic clock of the process.
type monotonic struct{ start time.Time }

func (m monotonic) Now() time.Duration { return time.Since(m.start) }

// withDefaults fills in the nil fields.
func (p Platform) withDefaults() Platform {
	if p.Entropy == nil {
		p.Entropy = rand.Reader
	}
	if p.Clock == nil {
		p.Clock = monotonic{time.Now()}
	}
	if p.Store == nil {
		p.Store = &state.Memory{}
	}
	if p.PhysicalPresence == nil {
		p.PhysicalPresence = func() bool { return false }
	}
	if p.SelfTest == nil {
		p.SelfTest = crypt.SelfTest
	}
	return p
}

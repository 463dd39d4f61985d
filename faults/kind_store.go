package faults

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// StoreFault is a failure of the TPM's nonvolatile memory.
type StoreFault uint8

// The failures.
const (
	// StoreFails: a write fails.
	StoreFails StoreFault = iota
	// StoreTorn: a write breaks off at a place that chance chooses.
	StoreTorn
	// StoreFull: nothing can be written, as on a disk that is full. The TPM knows it
	// before it executes a command: TPM_RC_NV_UNAVAILABLE.
	StoreFull
	// StoreRateLimited: nothing may be written now, to spare the memory: TPM_RC_NV_RATE.
	StoreRateLimited
)

// SlowStore is how long each write of the TPM's nonvolatile memory takes longer.
type SlowStore time.Duration

var storeWords = [...]string{StoreFails: "fail", StoreTorn: "torn", StoreFull: "full", StoreRateLimited: "rate"}

const slowWord = "slow:"

var storeKind = Kind{
	Word: "store", Value: "fail|torn|full|rate|slow:TIME", Group: Inside,
	Doc: "The nonvolatile memory is out of order while the command is executed. A write that fails, or is torn at a place that chance chooses, " +
		"puts the TPM in failure mode, and after the next reset its state is the one before the command, or with torn the one after it, and none between. " +
		"At _TPM_Init, fail keeps the state from being read, and the TPM without power. full and rate have commands that need NV answered TPM_RC_NV_UNAVAILABLE and TPM_RC_NV_RATE, and all others executed. With slow, each write makes the answer TIME late.",
	Example: "NV_Write#3: store=torn",
	parse:   parseStore,
}

func parseStore(value string) (Fault, error) {
	if i := slices.Index(storeWords[:], value); i >= 0 {
		return StoreFault(i), nil
	}
	if text, slow := strings.CutPrefix(value, slowWord); slow {
		longer, err := time.ParseDuration(text)
		if err != nil || longer <= 0 {
			return nil, errors.New("after slow: stands a time, such as 200ms")
		}
		return SlowStore(longer), nil
	}
	return nil, fmt.Errorf("the store is one of fail, torn, full, rate, slow:TIME, and not %q", value)
}

func (StoreFault) kind() *Kind { return &storeKind }

func (StoreFault) needs(d transport.Device) string { return closed(d) }
func (StoreFault) prepare(l *Layer)                { l.surround() }

func (SlowStore) kind() *Kind { return &storeKind }

func (SlowStore) needs(d transport.Device) string { return closed(d) }
func (SlowStore) prepare(l *Layer)                { l.surround() }

func (s StoreFault) String() string { return "store=" + wordOf(storeWords[:], s) }
func (s SlowStore) String() string  { return "store=" + slowWord + time.Duration(s).String() }

func (s StoreFault) check(*Plan, *Rule) string {
	if int(s) >= len(storeWords) {
		return fmt.Sprintf("there is no fault %s", s)
	}
	return ""
}

func (s SlowStore) check(*Plan, *Rule) string {
	if s <= 0 {
		return "the time that a write takes longer is not above zero"
	}
	return ""
}

// errFull is why a store that is full cannot be written.
var errFull = errors.New("the nonvolatile memory is full, as a fault rule has it")

// errRateLimited is what state.RateLimited knows.
type errRateLimited struct{}

func (errRateLimited) Error() string {
	return "the nonvolatile memory is written too often, as a fault rule has it"
}
func (errRateLimited) RateLimited() bool { return true }

// errStore is what a write returns that fails, or a read.
var errStore = errors.New("the nonvolatile memory fails, as a fault rule has it")

func (s StoreFault) apply(x *exchange) ([]byte, error) { return x.inside(s.effect(x)) }
func (s StoreFault) atInit(x *exchange)                { x.insideInit(s.effect(x)) }

func (s StoreFault) effect(x *exchange) effect {
	decision, chance := x.decision, x.random()
	decision.Detail = "the TPM wrote nothing"
	return effect{store: func(below store) store {
		changed := &changedStore{store: below}
		switch s {
		case StoreFails:
			changed.commit = func(blob []byte) error {
				decision.Detail = fmt.Sprintf("a write of %d octets failed", len(blob))
				return errStore
			}
			changed.load = func() ([]byte, error) {
				decision.Detail = "reading the state failed"
				return nil, errStore
			}
		case StoreTorn:
			changed.commit = func(blob []byte) error {
				n := len(blob)
				if chance.IntN(4) > 0 {
					n = chance.IntN(len(blob))
				}
				decision.Detail = fmt.Sprintf("a write broke off after %d of %d octets", n, len(blob))
				return below.Tear(blob, n)
			}
		case StoreFull:
			changed.refused = errFull
			decision.Detail = "NV was unavailable"
		case StoreRateLimited:
			changed.refused = errRateLimited{}
			decision.Detail = "NV was rate limited"
		}
		return changed
	}}
}

// changedStore is a store that refuses, or has another Commit.
type changedStore struct {
	store
	refused error
	commit  func(blob []byte) error
	load    func() ([]byte, error)
}

func (c *changedStore) Load() ([]byte, error) {
	if c.load != nil {
		return c.load()
	}
	return c.store.Load()
}

func (c *changedStore) Writable() error {
	if c.refused != nil {
		return c.refused
	}
	return c.store.Writable()
}

func (c *changedStore) Commit(blob []byte) error {
	if c.commit != nil {
		return c.commit(blob)
	}
	return c.store.Commit(blob)
}

func (s SlowStore) apply(x *exchange) ([]byte, error) {
	writes := 0
	response, err := x.inside(effect{store: func(below store) store {
		return &changedStore{store: below, commit: func(blob []byte) error {
			writes++
			return below.Commit(blob)
		}}
	}})
	x.decision.Detail = "the TPM wrote nothing"
	if writes == 0 || err != nil {
		return response, err
	}
	x.decision.Detail = fmt.Sprintf("a write took %s longer", time.Duration(s))
	return x.wait(time.Duration(s), func() ([]byte, error) { return response, nil })
}

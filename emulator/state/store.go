package state

import (
	"bytes"
	"errors"
	"sync"
)

// Error is a constant error.
type Error string

// Error is the text.
func (e Error) Error() string { return string(e) }

// What Store.Writable says when the TPM must answer TPM_RC_NV_UNAVAILABLE or
// TPM_RC_NV_RATE (Part 1, section "NV Memory").
const (
	ErrUnavailable Error = "NV memory cannot be written: try again when it is accessible"
	ErrRateLimited Error = "NV memory cannot be written so often: try again later"
)

// RateLimited reports whether an error of Store.Writable is, or wraps, ErrRateLimited or one
// like it.
func RateLimited(err error) bool {
	var limited interface{ RateLimited() bool }
	return errors.Is(err, ErrRateLimited) || errors.As(err, &limited) && limited.RateLimited()
}

// Store keeps the encoded state of one TPM. Its methods are called one after
// the other, Load once for every _TPM_Init.
type Store interface {
	// Load gives what was committed last, and nothing and no error for a
	// store that holds no state yet. The result belongs to the caller.
	Load() ([]byte, error)
	// Writable is nil if Commit can be expected to work, ErrUnavailable or
	// ErrRateLimited if it is of no use to try now. An error whose method
	// RateLimited() bool returns true is like ErrRateLimited, any other like
	// ErrUnavailable. It is asked at most once per command, before what the command
	// changes.
	Writable() error
	// Commit replaces what the store holds, all or nothing. It is called at
	// most once per command and does not keep blob. An error puts the TPM in
	// failure mode.
	Commit(blob []byte) error
}

// Memory is a Store that lives as long as the process. The zero value is empty
// and ready. It may be used from several goroutines.
type Memory struct {
	mu       sync.Mutex
	blob     []byte
	digested bool // the digest at the end of the encoded state is there
}

// Load is Store.Load. It does not fail.
func (m *Memory) Load() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	blob := bytes.Clone(m.blob)
	if len(blob) != 0 && !m.digested {
		blob = appendDigest(blob, 0)
	}
	return blob, nil
}

// Writable is Store.Writable: always nil.
func (m *Memory) Writable() error { return nil }

// Commit is Store.Commit. It does not fail.
func (m *Memory) Commit(blob []byte) error {
	m.keep(blob, true)
	return nil
}

func (m *Memory) keep(blob []byte, digested bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blob, m.digested = append(m.blob[:0], blob...), digested
}

// ErrTorn is why a commit has failed that Tear has broken off.
const ErrTorn Error = "the write of the TPM's state broke off"

// Tear commits to a store and breaks off after n octets of blob, as a loss of power does:
// the store holds the old state afterwards. If n is the size of blob or more, it holds the
// new one, and what broke off is the news of it. The error is ErrTorn at least.
//
// A Store that can leave what such a loss of power leaves has the method
//
//	Tear(blob []byte, n int) error
//
// and one that wraps another has Unwrap() Store. Of another Store Tear commits the whole
// blob or nothing.
func Tear(store Store, blob []byte, n int) error {
	below := store
	for {
		if t, ok := below.(interface {
			Tear(blob []byte, n int) error
		}); ok {
			return t.Tear(blob, n)
		}
		u, ok := below.(interface{ Unwrap() Store })
		if !ok {
			break
		}
		below = u.Unwrap()
	}
	if n < len(blob) {
		return ErrTorn
	}
	return errors.Join(ErrTorn, store.Commit(blob))
}

package state

import (
	"bytes"
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

// Store keeps the encoded state of one TPM. Its methods are called one after
// the other, Load once for every _TPM_Init.
type Store interface {
	// Load gives what was committed last, and nothing and no error for a
	// store that holds no state yet. The result belongs to the caller.
	Load() ([]byte, error)
	// Writable is nil if Commit can be expected to work, ErrUnavailable or
	// ErrRateLimited if it is of no use to try now. It is asked once per
	// command, before the command is looked at.
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

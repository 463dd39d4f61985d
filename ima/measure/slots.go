package measure

import (
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/ima"
)

// size is that of the slot's digest in bytes.
func (s slot) size() int {
	if s.bank.DigestSize > 0 {
		return s.bank.DigestSize
	}
	return s.algo.Size()
}

// allocate is crypto_alloc_shash while the kernel starts, when no module can be
// loaded.
func (m *IMA) allocate(algo ima.HashAlgo) error {
	return m.allocateFrom(algo, m.config.Unavailable)
}

// allocateLater is crypto_alloc_shash on a running system.
func (m *IMA) allocateLater(algo ima.HashAlgo) error {
	return m.allocateFrom(algo, m.config.notBuilt())
}

func (m *IMA) allocateFrom(algo ima.HashAlgo, unavailable []ima.HashAlgo) error {
	if algo.Available() && !slices.Contains(unavailable, algo) {
		return nil
	}
	m.logf("Can not allocate %s (reason: %d)", algo, -int(ENOENT))
	return &AllocationError{Algo: algo}
}

// AllocationError says which hash the kernel cannot allocate: it is not built in
// when IMA starts, or this package cannot compute it.
type AllocationError struct {
	Algo ima.HashAlgo
}

func (e *AllocationError) Error() string {
	return fmt.Sprintf("the kernel cannot allocate hash algorithm %s when IMA starts; sha1 and that of ima_hash= have to be built in", e.Algo)
}

// Unwrap returns ENOENT, the answer of the kernel's crypto API.
func (e *AllocationError) Unwrap() error { return ENOENT }

// initCrypto follows ima_init_crypto. Without ima_hash, or sha1 for the lists,
// there is no IMA.
func (m *IMA) initCrypto() error {
	if err := m.allocate(m.hash); err != nil {
		return err
	}
	m.logf("Allocated hash algorithm: %s", m.hash)
	banks := m.layOutSlots()
	for i := range m.slots {
		s := &m.slots[i]
		if s.algo == 0 {
			continue
		}
		err := error(nil)
		if s.algo != m.hash {
			err = m.allocate(s.algo)
		}
		s.allocated = err == nil
		if err != nil && (s.algo == ima.SHA1 || i >= banks) {
			return err
		}
	}
	return nil
}

// layOutSlots makes the slots: the TPM's banks, of which it gives the number,
// and after them those for sha1 and ima_hash that are no bank.
func (m *IMA) layOutSlots() (banks int) {
	m.slots, m.sha1, m.hashed = nil, -1, -1
	if m.tpm != nil {
		for i, b := range m.tpm.Banks() {
			m.slots = append(m.slots, slot{bank: b, algo: b.CryptoID})
			if b.CryptoID == ima.SHA1 {
				m.sha1 = i
			}
			if b.CryptoID == m.hash {
				m.hashed = i
			}
		}
	}
	banks = len(m.slots)
	if m.sha1 < 0 {
		m.sha1 = len(m.slots)
		m.slots = append(m.slots, slot{algo: ima.SHA1})
		if m.hash == ima.SHA1 {
			m.hashed = m.sha1
		}
	}
	if m.hashed < 0 {
		m.hashed = len(m.slots)
		m.slots = append(m.slots, slot{algo: m.hash})
	}
	return banks
}

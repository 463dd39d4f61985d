package measure

import (
	"errors"
	"fmt"

	"github.com/swtpmd/swtpmd/ima"
)

// storeTemplate makes a record of an event, adds it to the list and extends it
// (ima_alloc_init_template, ima_store_template). A record that is there already
// is EEXIST.
func (m *IMA) storeTemplate(t *ima.Template, pcr int, event *ima.EventData) error {
	rec, err := ima.NewTemplateEntry(t, uint32(pcr), ima.SHA1, event)
	if err != nil {
		m.audit("add_template_measure", "ENOMEM", event.Filename, -int(EINVAL))
		return err
	}
	e := &entry{Record: *rec}
	if err := m.calcDigests(e, event.Violation); err != nil {
		return err
	}
	return m.addTemplateEntry(e, event.Violation, event.Filename)
}

// calcDigests follows ima_calc_field_array_hash: each slot has the digest of its
// algorithm or, where the kernel has none, that of sha1 with zeros after it.
func (m *IMA) calcDigests(e *entry, violation bool) error {
	e.digests = make([][]byte, len(m.slots))
	if violation {
		for i, s := range m.slots {
			e.digests[i] = make([]byte, s.size())
		}
		return nil
	}
	sha1, err := e.TemplateDigest(ima.SHA1)
	if err != nil {
		return err
	}
	for i, s := range m.slots {
		if !s.allocated {
			e.digests[i] = make([]byte, s.size())
			copy(e.digests[i], sha1)
			continue
		}
		if e.digests[i], err = e.TemplateDigest(s.algo); err != nil {
			return err
		}
	}
	return nil
}

// addTemplateEntry follows ima_add_template_entry: a duplicate is refused;
// otherwise the record is appended, and extended after that. An extend that
// fails is logged and leaves the record in the list, and the caller is told of
// success.
func (m *IMA) addTemplateEntry(e *entry, violation bool, name string) error {
	const op = "add_template_measure"
	m.queue.extend.Lock()
	defer m.queue.extend.Unlock()
	if err := m.append(e, !violation); err != nil {
		cause := "hash_exists"
		if errors.Is(err, ENODEV) {
			cause = "measurements_suspended"
		}
		m.audit(op, cause, name, errnoOf(err))
		return err
	}
	digests := e.digests
	if violation {
		digests = m.violationDigests()
	}
	cause := "hash_added"
	if err := m.pcrExtend(int(e.PCR), digests); err != nil {
		cause = fmt.Sprintf("TPM_error(%d)", errnoOf(err))
	}
	m.audit(op, cause, name, 0)
	return nil
}

// append adds a record to the list and to the hash table. A violation is not
// looked up there, but it is entered.
func (m *IMA) append(e *entry, lookup bool) error {
	q := &m.queue
	key := m.tableKey(e)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.suspended {
		return ENODEV
	}
	if !m.config.DisableHTable {
		if _, exists := q.table[key]; exists && lookup {
			return EEXIST
		}
		q.table[key] = struct{}{}
	}
	q.add(e)
	return nil
}

func (m *IMA) tableKey(e *entry) tableKey {
	return tableKey{e.PCR, string(e.digests[m.hashed])}
}

func (q *queue) add(e *entry) {
	q.entries = append(q.entries, e)
	q.runtimeSize += e.runtimeSize()
}

// runtimeSize follows get_binary_runtime_size, which counts no name for a custom
// format and a length of the data in any case.
func (e *entry) runtimeSize() int {
	data := len(e.Data())
	if e.Template().Legacy() {
		// In memory d has a length and n a NUL.
		data += 4 + 1
	}
	return 4 + ima.SHA1.Size() + 4 + len(descriptorName(e.Template())) + 4 + data
}

// pcrExtend follows ima_pcr_extend. In TPM-bypass it succeeds and does nothing.
func (m *IMA) pcrExtend(pcr int, digests [][]byte) error {
	if m.tpm == nil {
		return nil
	}
	err := m.tpm.PCRExtend(pcr, digests[:m.banks()])
	if err != nil {
		m.logf("Error Communicating to TPM chip, result: %d", errnoOf(err))
	}
	return err
}

// banks is how many of the slots are banks of the TPM.
func (m *IMA) banks() (n int) {
	for _, s := range m.slots {
		if s.bank.DigestSize > 0 {
			n++
		}
	}
	return n
}

// violationDigests returns what a violation extends into the banks
// (ima_init_digests).
func (m *IMA) violationDigests() [][]byte {
	digests := make([][]byte, m.banks())
	for i := range digests {
		digests[i] = make([]byte, m.slots[i].size())
		for j := range digests[i] {
			digests[i][j] = 0xff
		}
		if m.slots[i].algo == 0 {
			clear(digests[i][ima.SHA1.Size():])
		}
	}
	return digests
}

// Count is the number of records in the list: violations, carried over ones and
// the boot aggregate included.
func (m *IMA) Count() int {
	m.queue.mu.RLock()
	defer m.queue.mu.RUnlock()
	return len(m.queue.entries)
}

// Violations is the number of violations since boot.
func (m *IMA) Violations() int { return int(m.queue.violations.Load()) }

// Bypass reports whether IMA has started without a TPM and will never use one.
func (m *IMA) Bypass() bool { return m.policy.active.Load() != nil && m.tpm == nil }

// Records returns a copy of the list with the template digests of sha1.
func (m *IMA) Records() []*ima.Record {
	entries := m.snapshot()
	records := make([]*ima.Record, len(entries))
	for i, e := range entries {
		records[i] = m.shown(e, m.sha1).Clone()
	}
	return records
}

// snapshot returns the list as it is now. Entries never change, and the list only
// grows or is replaced, so it can be read without a lock.
func (m *IMA) snapshot() []*entry {
	m.queue.mu.RLock()
	defer m.queue.mu.RUnlock()
	return m.queue.entries[:len(m.queue.entries):len(m.queue.entries)]
}

// shown returns the record as a file of the slot shows it. It shares e's memory.
func (m *IMA) shown(e *entry, slot int) *ima.Record {
	r := e.Record
	r.Digest = e.digests[slot]
	r.DigestAlgo = m.slots[slot].algo
	return &r
}

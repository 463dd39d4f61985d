package measure

import (
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/ima"
)

// IMA is the Integrity Measurement Architecture of one running kernel. Its
// methods may be called from several goroutines.
//
// Until Init its hooks do nothing, as the kernel's do: nothing is recorded or
// remembered.
type IMA struct {
	config   Config
	order    ima.ByteOrder
	template *ima.Template
	custom   *ima.Template // of ima_template_fmt=
	// templateSet: the command line has named a template.
	templateSet bool
	hash        ima.HashAlgo // ima_hash
	hashSet     bool         // hash_setup_done
	setup       setupPolicy
	flush       bool // ima_flush_htable

	tpm    TPM // ima_tpm_chip; nil is TPM-bypass, for ever
	slots  []slot
	sha1   int // place of the sha1 slot
	hashed int // place of ima_hash's slot

	started atomic.Bool

	queue  queue
	policy policyState
	keys   keyQueue
	fs     securityfs
	kexec  kexecState
}

func (m *IMA) logf(format string, args ...any) {
	if m.config.Log != nil {
		m.config.Log("ima: " + fmt.Sprintf(format, args...))
	}
}

func (m *IMA) audit(op, cause, name string, result int) {
	if m.config.Audit != nil {
		m.config.Audit(AuditMessage{Op: op, Cause: cause, Name: name, Result: result})
	}
}

// slot is one of the algorithms that a template digest is computed with
// (ima_algo_array): the TPM's banks, then sha1 and ima_hash if they are no bank.
type slot struct {
	bank ima.Bank     // DigestSize zero if the slot is no bank
	algo ima.HashAlgo // zero for a bank whose algorithm the kernel does not know
	// allocated reports that the kernel has the hash. Otherwise the digest is
	// that of sha1, with zeros after it.
	allocated bool
}

// queue is the measurement list (ima_queue.c).
type queue struct {
	// extend is ima_extend_list_mutex: it covers the check for duplicates,
	// the append and the extend, so that list and PCR have one order. A TPM
	// that takes its time holds it.
	extend sync.Mutex
	// mu covers what readers of the list see; no TPM is waited for under it.
	mu      sync.RWMutex
	entries []*entry
	staged  []*entry
	table   map[tableKey]struct{}
	// runtimeSize is binary_runtime_size: what kexec needs, in bytes.
	runtimeSize int
	suspended   bool

	violations atomic.Int64
}

// entry is a record with its template digest for each slot.
type entry struct {
	ima.Record
	digests [][]byte
}

// tableKey finds a record in the hash table: its PCR and its template digest in
// ima_hash's slot.
type tableKey struct {
	pcr    uint32
	digest string
}

// policyState is the policy in force.
type policyState struct {
	mu sync.Mutex // one update at a time
	// initial and custom are ima_default_rules and ima_policy_rules.
	initial, custom []*Rule
	active          atomic.Pointer[activePolicy]
	inForce         bool // the custom rules are
}

type activePolicy struct {
	rules []*Rule
	flag  action
}

// load returns the policy, nil while its flag is zero.
func (p *policyState) load() *activePolicy {
	a := p.active.Load()
	if a == nil || a.flag == 0 {
		return nil
	}
	return a
}

func (p *policyState) activate(rules []*Rule) {
	p.active.Store(&activePolicy{rules: rules, flag: policyFlag(rules)})
}

// keyQueue holds keys until a custom policy is loaded or the time for it is over
// (ima_queue_keys.c).
type keyQueue struct {
	mu      sync.Mutex
	process bool // ima_process_keys
	keys    []queuedKey
}

type queuedKey struct {
	keyring string
	payload []byte
}

func (q *keyQueue) flush() []queuedKey {
	q.mu.Lock()
	defer q.mu.Unlock()
	keys := q.keys
	q.keys, q.process = nil, true
	return keys
}

// SecurityFile is a file that IMA has in securityfs, in the directory
// /sys/kernel/security/integrity/ima (ima_fs.c).
type SecurityFile struct {
	Name string
	Mode fs.FileMode
	// Link is the target of a symbolic link, empty for a file.
	Link string
}

// securityfs has the files of IMA in securityfs. Before Init it has nothing there.
type securityfs struct {
	mu    sync.Mutex
	files []SecurityFile
	shows map[string]fileShow
}

// fileShow says what a list file shows.
type fileShow struct {
	slot   int
	ascii  bool
	staged bool
}

func (f *securityfs) add(name string, mode fs.FileMode) {
	f.files = append(f.files, SecurityFile{Name: name, Mode: mode})
}

func (f *securityfs) exists(name string) bool {
	for _, file := range f.files {
		if file.Name == name {
			return true
		}
	}
	return false
}

func (f *securityfs) chmod(name string, mode fs.FileMode) {
	for i := range f.files {
		if f.files[i].Name == name {
			f.files[i].Mode = mode
		}
	}
}

func (f *securityfs) remove(name string) {
	for i := range f.files {
		if f.files[i].Name == name {
			f.files = append(f.files[:i:i], f.files[i+1:]...)
			return
		}
	}
}

// kexecState is the segment for the next kernel.
type kexecState struct {
	mu      sync.Mutex
	segment int // kexec_segment_size in bytes, 0 if no kernel is loaded
	buffer  []byte
}

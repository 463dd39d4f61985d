package ima

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Extender is the TPM as the measurement list needs it.
type Extender interface {
	// PCRExtend is one TPM2_PCR_Extend of PCR index: digests has one digest
	// for each of the TPM's banks, in their order, each of the bank's size.
	// The digests must not be kept. The error's ErrnoResult is what the
	// kernel's log shows, -5 (EIO) if it has none.
	PCRExtend(index int, digests [][]byte) error
}

// TPM is the chip that IMA finds, or does not find, when it starts.
type TPM interface {
	// Banks gives the allocated PCR banks in the TPM's order.
	Banks() []Bank
	PCRReader
	Extender
}

// ErrnoResult is implemented by an error of an Extender that knows the number
// that the kernel would have got: a negative errno, or a positive TPM response
// code.
type ErrnoResult interface {
	ErrnoResult() int
}

// Config says how the kernel was built and booted. The zero value, with a
// Kernel, is a kernel of Kconfig's defaults that hashes with sha256.
type Config struct {
	Kernel Kernel

	// Template is CONFIG_IMA_DEFAULT_TEMPLATE, ima-ng if empty.
	Template string
	// DefaultHash is CONFIG_IMA_DEFAULT_HASH, sha256 if zero.
	DefaultHash HashAlgo
	// MeasurePCR is CONFIG_IMA_MEASURE_PCR_IDX, 10 if zero; otherwise 8 to 14.
	MeasurePCR int
	// Unavailable lists the hashes that the kernel cannot allocate when IMA
	// starts, because they are modules or not built. Hashes that this
	// package cannot compute count as such anyway.
	Unavailable []HashAlgo
	// InitLateSync is CONFIG_IMA_INIT_LATE_SYNC; kernels without
	// Kernel.InitLateSync do not have it.
	InitLateSync bool
	// DisableHTable is CONFIG_IMA_DISABLE_HTABLE: records may repeat.
	DisableHTable bool
	// WritePolicy and ReadPolicy are CONFIG_IMA_WRITE_POLICY and
	// CONFIG_IMA_READ_POLICY.
	WritePolicy, ReadPolicy bool
	// MeasureKeys, Modsig and LSM are as in PolicyConfig.
	MeasureKeys, Modsig, LSM bool
	// Staging is CONFIG_IMA_STAGING; kernels without Kernel.Staging do not
	// have it.
	Staging bool
	// KexecExtraKB is CONFIG_IMA_KEXEC_EXTRA_MEMORY_KB.
	KexecExtraKB int
	// PageSize is the machine's, 4,096 bytes if zero.
	PageSize int
	// AppraiseSignedInit is CONFIG_IMA_APPRAISE_SIGNED_INIT.
	AppraiseSignedInit bool
	// BuildAppraiseRules is the policy text of the CONFIG_IMA_APPRAISE_BUILD
	// rules.
	BuildAppraiseRules string
	// ArchPolicy has the rules of the architecture, one each
	// (arch_get_ima_policy).
	ArchPolicy []string
	// SecureBoot is what the log says of secure boot: "enabled", "disabled",
	// "unknown"; if empty nothing is logged.
	SecureBoot string
	// HostOrder is the machine's byte order; ima_canonical_fmt on the command
	// line overrides it.
	HostOrder ByteOrder
	// Release is the kernel's UTS_RELEASE, the kernel_version record's
	// content; Kernel.Release if empty.
	Release string

	// CommandLine is the kernel's. IMA reads its own options from it.
	CommandLine string
	// KexecBuffer is the list that the kernel before handed over, nil if
	// there was none.
	KexecBuffer []byte

	// Log gets each line that the kernel prints, with its prefix "ima: ".
	Log func(line string)
	// Audit gets what the kernel sends to the audit log (integrity_audit_msg).
	Audit func(AuditMessage)
}

// AuditMessage is a message of integrity_audit_msg.
type AuditMessage struct {
	Op     string // such as "add_template_measure"
	Cause  string // such as "hash_added", "hash_exists", "TPM_error(-62)"
	Name   string // the file or event
	Result int    // 0 or a negative errno
}

func (c *Config) policyConfig() PolicyConfig {
	return PolicyConfig{Kernel: c.Kernel, MeasureKeys: c.MeasureKeys, Modsig: c.Modsig, LSM: c.LSM, Unavailable: c.Unavailable}
}

// IMA is the Integrity Measurement Architecture of one running kernel. Its
// methods may be called from several goroutines.
//
// Until Init its hooks do nothing, as the kernel's do: nothing is recorded or
// remembered.
type IMA struct {
	config   Config
	order    ByteOrder
	template *Template
	custom   *Template // of ima_template_fmt=
	hash     HashAlgo  // ima_hash
	hashSet  bool      // hash_setup_done
	setup    setupPolicy
	flush    bool // ima_flush_htable

	tpm    TPM // ima_tpm_chip; nil is TPM-bypass, for ever
	slots  []slot
	sha1   int // place of the sha1 slot
	hashed int // place of ima_hash's slot

	queue  queue
	policy policyState
	keys   keyQueue
	fs     securityfs
	kexec  kexecState
}

// New reads the command line. Nothing is measured before Init.
//
// The error is about config; what the kernel does not understand on its command
// line it logs and leaves alone.
func New(config Config) (*IMA, error) {
	if config.Template == "" {
		config.Template = "ima-ng"
	}
	if config.DefaultHash == 0 {
		config.DefaultHash = SHA256
	}
	if config.MeasurePCR == 0 {
		config.MeasurePCR = defaultPCR
	}
	if config.PageSize == 0 {
		config.PageSize = 4096
	}
	if config.Release == "" {
		config.Release = config.Kernel.Release
	}
	m := &IMA{config: config, order: config.HostOrder, hash: SHA1}
	template, ok := LookupTemplate(config.Template)
	switch {
	case !ok:
		return nil, fmt.Errorf("no template %q; CONFIG_IMA_DEFAULT_TEMPLATE names a built-in one", clip(config.Template))
	case !config.DefaultHash.valid():
		return nil, &UnknownHashError{Name: config.DefaultHash.String()}
	case config.MeasurePCR < 8 || config.MeasurePCR > 14:
		return nil, fmt.Errorf("PCR %d cannot be CONFIG_IMA_MEASURE_PCR_IDX, which is 8 to 14", config.MeasurePCR)
	case config.InitLateSync && !config.Kernel.InitLateSync:
		return nil, fmt.Errorf("kernel %s has no CONFIG_IMA_INIT_LATE_SYNC", config.Kernel.Release)
	case config.Staging && !config.Kernel.Staging:
		return nil, fmt.Errorf("kernel %s has no CONFIG_IMA_STAGING", config.Kernel.Release)
	}
	m.template = template
	m.queue.table = make(map[tableKey]struct{})
	m.commandLine()
	return m, nil
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

// lookupTemplate finds the template of ima_template_fmt= too.
func (m *IMA) lookupTemplate(name string) (*Template, bool) {
	t, ok := LookupTemplate(name)
	if !ok && m.custom != nil && m.custom.format == name {
		return m.custom, true
	}
	return t, ok
}

// commandLine handles IMA's options in the order in which they stand.
func (m *IMA) commandLine() {
	templateSet := false
	for _, word := range splitCommandLine(m.config.CommandLine) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "ima_policy":
			m.setup.setup(value, m.logf)
		case "ima_tcb":
			if m.setup.tcb == noTCB {
				m.setup.tcb = originalTCB
			}
		case "ima_appraise_tcb":
			m.setup.appraiseTCB = true
		case "ima_canonical_fmt":
			m.order = Canonical
		case "ima_flush_htable":
			m.flush = true
		case "ima_hash":
			m.hashSetup(value)
		case "ima_template":
			templateSet = templateSet || m.templateSetup(value)
		case "ima_template_fmt":
			templateSet = templateSet || m.templateFormatSetup(value)
		}
	}
}

// splitCommandLine splits at blanks outside of double quotes, which are dropped
// (lib/cmdline.c, next_arg).
func splitCommandLine(line string) (words []string) {
	quoted := false
	for word := range strings.FieldsFuncSeq(line, func(c rune) bool {
		if c == '"' {
			quoted = !quoted
		}
		return !quoted && (c == ' ' || c == '\t' || c == '\n')
	}) {
		words = append(words, strings.ReplaceAll(word, `"`, ""))
	}
	return words
}

// hashSetup follows hash_setup: the first algorithm that is accepted holds.
func (m *IMA) hashSetup(name string) {
	if m.hashSet {
		return
	}
	if m.template.legacy {
		switch {
		case strings.HasPrefix(name, "sha1"):
			m.hash = SHA1
		case strings.HasPrefix(name, "md5"):
			m.hash = MD5
		default:
			m.logf("invalid hash algorithm \"%s\" for template \"%s\"", name, m.template.name)
			return
		}
	} else {
		h, ok := hashByName(name)
		if !ok {
			m.logf("invalid hash algorithm \"%s\"", name)
			return
		}
		m.hash = h
	}
	m.hashSet = true
}

// templateSetup follows ima_template_setup. Before ima_hash= has been read the
// kernel's ima_hash_algo is sha1, with which the ima template is accepted.
func (m *IMA) templateSetup(name string) (set bool) {
	t, ok := m.lookupTemplate(name)
	if !ok {
		m.logf("template %s not found, using %s", name, m.config.Template)
		return false
	}
	if name == "ima" && m.hashSet && m.hash != SHA1 && m.hash != MD5 {
		m.logf("template does not support hash alg")
		return false
	}
	m.template = t
	return true
}

func (m *IMA) templateFormatSetup(format string) (set bool) {
	t, err := ParseTemplateFormat(format)
	if err != nil {
		m.logf("format string '%s' not valid, using template %s", format, m.config.Template)
		return false
	}
	m.template, m.custom = t, t
	return true
}

// Init starts IMA (init_ima), with the name of the boot aggregate's record that
// the kernel was built with. lookup is tpm_default_chip: it is asked once, and
// what it answers holds; without a TPM IMA goes into TPM-bypass and stays
// there. If ima_hash cannot be allocated IMA starts a second time with the
// default hash, and asks again.
//
// An error leaves IMA as the kernel leaves it then: what came before the error
// is done, what comes after is not.
func (m *IMA) Init(lookup func() TPM) error {
	name := BootAggregateName
	if m.config.InitLateSync {
		name = BootAggregateLateName
	}
	return m.InitAs(name, lookup)
}

// InitAs is Init with another name for the boot aggregate's record, for kernels
// that choose it when they run.
func (m *IMA) InitAs(name string, lookup func() TPM) error {
	if m.config.SecureBoot != "" {
		m.logf("secureboot mode %s", m.config.SecureBoot)
	}
	m.hashSetup(m.config.DefaultHash.String())
	err := m.init(name, lookup)
	if err != nil && m.hash != m.config.DefaultHash {
		m.logf("Allocating %s failed, going to use default hash algorithm %s", m.hash, m.config.DefaultHash)
		m.hashSet = false
		m.hashSetup(m.config.DefaultHash.String())
		err = m.init(name, lookup)
	}
	return err
}

// init follows ima_init.
func (m *IMA) init(name string, lookup func() TPM) error {
	m.tpm = lookup()
	if m.tpm == nil {
		m.logf("No TPM chip found, activating TPM-bypass!")
	}
	if err := m.initCrypto(); err != nil {
		return err
	}
	m.loadKexecBuffer()
	if err := m.AddBootAggregate(name); err != nil {
		return err
	}
	if err := m.initPolicy(); err != nil {
		return err
	}
	m.fsInit()
	_, err := m.MeasureCriticalData("kernel_info", "kernel_version", []byte(m.config.Release), false)
	if err != nil && !errors.Is(err, ENOENT) {
		m.logf("kernel_version: %v", err)
	}
	return nil
}

// slot is one of the algorithms that a template digest is computed with
// (ima_algo_array): the TPM's banks, then sha1 and ima_hash if they are no bank.
type slot struct {
	bank Bank     // DigestSize zero if the slot is no bank
	algo HashAlgo // zero for a bank whose algorithm the kernel does not know
	// allocated says that the kernel has the hash. Otherwise the digest is
	// that of sha1, with zeros behind it.
	allocated bool
}

// size is that of the slot's digest in bytes.
func (s slot) size() int {
	if s.bank.DigestSize > 0 {
		return s.bank.DigestSize
	}
	return s.algo.Size()
}

func (m *IMA) allocate(algo HashAlgo) error {
	if algo.Available() && !slices.Contains(m.config.Unavailable, algo) {
		return nil
	}
	m.logf("Can not allocate %s (reason: %d)", algo, -int(ENOENT))
	return &UnavailableHashError{Algo: algo}
}

// initCrypto follows ima_init_crypto.
func (m *IMA) initCrypto() error {
	if err := m.allocate(m.hash); err != nil {
		return err
	}
	m.logf("Allocated hash algorithm: %s", m.hash)
	m.slots, m.sha1, m.hashed = nil, -1, -1
	if m.tpm != nil {
		for i, b := range m.tpm.Banks() {
			m.slots = append(m.slots, slot{bank: b, algo: b.CryptoID})
			if b.CryptoID == SHA1 {
				m.sha1 = i
			}
			if b.CryptoID == m.hash {
				m.hashed = i
			}
		}
	}
	banks := len(m.slots)
	if m.sha1 < 0 {
		m.sha1 = len(m.slots)
		m.slots = append(m.slots, slot{algo: SHA1})
		if m.hash == SHA1 {
			m.hashed = m.sha1
		}
	}
	if m.hashed < 0 {
		m.hashed = len(m.slots)
		m.slots = append(m.slots, slot{algo: m.hash})
	}
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
		if err != nil && (s.algo == SHA1 || i >= banks) {
			return err
		}
	}
	return nil
}

// AddBootAggregate records a boot aggregate under the given name
// (ima_add_boot_aggregate). Init does it; kernels that record a second one call
// it again.
func (m *IMA) AddBootAggregate(name string) error {
	digest, err := m.bootAggregate(m.hash)
	if err != nil {
		m.audit("add_boot_aggregate", "hashing_error", name, errnoOf(err))
		return err
	}
	event := &EventData{Filename: name, Digest: digest, HashAlgo: m.hash, Order: m.order}
	if m.template.index("d") >= 0 && digest.Algo != SHA1 && digest.Algo != MD5 {
		event.LegacyDigest = make(Hex, SHA1.Size())
		if d, err := m.bootAggregate(SHA1); err == nil && d.Algo == SHA1 {
			event.LegacyDigest = d.Sum
		}
	}
	if err = m.storeTemplate(m.template, m.config.MeasurePCR, event); err != nil {
		m.audit("add_boot_aggregate", "store_entry", name, errnoOf(err))
	}
	return err
}

// bootAggregate gives zeros of algo without a TPM, or with one that has no bank
// for it. Otherwise the algorithm is that of the bank chosen.
func (m *IMA) bootAggregate(algo HashAlgo) (FileDigest, error) {
	zero := FileDigest{Algo: algo, Sum: make(Hex, algo.Size())}
	if m.tpm == nil {
		return zero, nil
	}
	bank, ok := BootAggregateBank(m.tpm.Banks(), algo)
	if !ok {
		m.logf("No suitable TPM algorithm for boot aggregate")
		return zero, nil
	}
	if bank.CryptoID != m.hash {
		if err := m.allocate(bank.CryptoID); err != nil {
			return zero, err
		}
	}
	sum, err := CalcBootAggregate(bank, loggedReader{m})
	if sum == nil {
		return zero, err
	}
	return FileDigest{Algo: bank.CryptoID, Sum: sum}, nil
}

// loggedReader logs as ima_pcrread does.
type loggedReader struct{ m *IMA }

func (r loggedReader) ReadPCR(bank Bank, index int) ([]byte, error) {
	value, err := r.m.tpm.ReadPCR(bank, index)
	if err == nil && len(value) != bank.DigestSize {
		err = EIO
	}
	if err != nil {
		r.m.logf("Error Communicating to TPM chip")
	}
	return value, err
}

// policyState is the policy in force.
type policyState struct {
	mu sync.Mutex // serialises updates
	// initial and custom are ima_default_rules and ima_policy_rules.
	initial, custom []*Rule
	active          atomic.Pointer[activePolicy]
	inForce         bool // the custom rules are
}

type activePolicy struct {
	rules []*Rule
	flag  Action
}

// load gives the policy, nil while its flag is zero.
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

func (m *IMA) initPolicy() (err error) {
	p := &m.policy
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.initial, p.custom, err = m.setup.defaultRules(&m.config, m.logf); err != nil {
		return err
	}
	p.activate(p.initial)
	return nil
}

package measure

import (
	"errors"
	"fmt"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// New reads the command line. Nothing is measured before Init.
//
// The error is about config; what the kernel does not understand on its command
// line it logs and leaves alone.
func New(config Config) (*IMA, error) {
	if config.Template == "" {
		config.Template = "ima-ng"
	}
	if config.DefaultHash == 0 {
		config.DefaultHash = ima.SHA256
	}
	if config.MeasurePCR == 0 {
		config.MeasurePCR = ima.DefaultPCR
	}
	if config.PageSize == 0 {
		config.PageSize = 4096
	}
	if config.Release == "" {
		config.Release = config.Kernel.Release
	}
	m := &IMA{config: config, order: config.HostOrder, hash: ima.SHA1}
	template, ok := ima.LookupTemplate(config.Template)
	switch {
	case !ok:
		return nil, fmt.Errorf("no template %q; CONFIG_IMA_DEFAULT_TEMPLATE names a built-in one", clip.String(config.Template))
	case config.DefaultHash.Size() == 0 || !config.Kernel.knows(config.DefaultHash):
		return nil, &ima.UnknownHashError{Name: config.DefaultHash.String()}
	case config.MeasurePCR < 8 || config.MeasurePCR > 14:
		return nil, fmt.Errorf("PCR %d cannot be CONFIG_IMA_MEASURE_PCR_IDX, which is 8 to 14", config.MeasurePCR)
	case config.InitLateSync && !config.Kernel.InitLateSync:
		return nil, fmt.Errorf("kernel %s has no CONFIG_IMA_INIT_LATE_SYNC", config.Kernel.Release)
	case config.KexecExtraKB != 0 && !config.Kernel.KexecExtraMemory:
		return nil, fmt.Errorf("kernel %s has no CONFIG_IMA_KEXEC_EXTRA_MEMORY_KB", config.Kernel.Release)
	case config.Staging && !config.Kernel.Staging:
		return nil, fmt.Errorf("kernel %s has no CONFIG_IMA_STAGING", config.Kernel.Release)
	}
	m.template = template
	m.queue.table = make(map[tableKey]struct{})
	m.commandLine()
	return m, nil
}

// Init starts IMA (init_ima), with the name of the boot aggregate's record that
// the kernel was built with. lookup is tpm_default_chip: it is asked once, and
// what it answers holds; without a TPM IMA goes into TPM-bypass and stays
// there. If ima_hash cannot be allocated IMA starts a second time with the
// default hash, and asks again.
//
// IMA is started once; a second call answers EBUSY. Another
// error leaves IMA as the kernel leaves it then: what came before the error
// is done, what comes after is not.
func (m *IMA) Init(lookup func() TPM) error {
	name := ima.BootAggregateName
	if m.config.InitLateSync {
		name = ima.BootAggregateLateName
	}
	return m.InitAs(name, lookup)
}

// InitAs is Init with another name for the boot aggregate's record, for kernels
// that choose it when they run.
func (m *IMA) InitAs(name string, lookup func() TPM) error {
	if !m.started.CompareAndSwap(false, true) {
		return fmt.Errorf("IMA has been started before: %w", EBUSY)
	}
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
	if err := m.initTemplate(); err != nil {
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

// AddBootAggregate records a boot aggregate under the given name
// (ima_add_boot_aggregate). Init does it; kernels that record a second one call
// it again.
func (m *IMA) AddBootAggregate(name string) error {
	digest, err := m.bootAggregate(m.hash)
	if err != nil {
		m.audit("add_boot_aggregate", "hashing_error", name, errnoOf(err))
		return err
	}
	event := &ima.EventData{Filename: name, Digest: digest, HashAlgo: m.hash, Order: m.order}
	if m.template.HasField("d") && digest.Algo != ima.SHA1 && digest.Algo != ima.MD5 {
		event.LegacyDigest = make(ima.Hex, ima.SHA1.Size())
		if d, err := m.bootAggregate(ima.SHA1); err == nil && d.Algo == ima.SHA1 {
			event.LegacyDigest = d.Sum
		}
	}
	if err = m.storeTemplate(m.template, m.config.MeasurePCR, event); err != nil {
		m.audit("add_boot_aggregate", "store_entry", name, errnoOf(err))
	}
	return err
}

// bootAggregate returns zeros of algo without a TPM, or with one that has no bank
// for it. Otherwise the algorithm is that of the bank chosen.
func (m *IMA) bootAggregate(algo ima.HashAlgo) (ima.FileDigest, error) {
	zero := ima.FileDigest{Algo: algo, Sum: make(ima.Hex, algo.Size())}
	if m.tpm == nil {
		return zero, nil
	}
	bank, ok := ima.BootAggregateBank(m.tpm.Banks(), algo)
	if !ok {
		m.logf("No suitable TPM algorithm for boot aggregate")
		return zero, nil
	}
	if bank.CryptoID != m.hash {
		if err := m.allocate(bank.CryptoID); err != nil {
			return zero, err
		}
	}
	sum, err := ima.CalcBootAggregate(bank, loggedReader{m})
	if sum == nil {
		return zero, err
	}
	return ima.FileDigest{Algo: bank.CryptoID, Sum: sum}, nil
}

// loggedReader logs as ima_pcrread does.
type loggedReader struct{ m *IMA }

func (r loggedReader) ReadPCR(bank ima.Bank, index int) ([]byte, error) {
	value, err := r.m.tpm.ReadPCR(bank, index)
	if err == nil && len(value) != bank.DigestSize {
		err = EIO
	}
	if err != nil {
		r.m.logf("Error Communicating to TPM chip")
	}
	return value, err
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

package measure

import "github.com/swtpmd/swtpmd/ima"

// bufferEvent is a buffer to be measured.
type bufferEvent struct {
	hook  hook
	inode *Inode // whose file the policy is asked about; nil for none
	cred  *Cred  // nil for the kernel
	name  string
	data  string // keyring or label
	buf   []byte
	hash  bool // record the hash of buf in its place
}

// processBuffer follows process_buffer_measurement (ima_main.c). The digest is
// that of the record's d-ng field: H(buf) or, with hash, H(H(buf)). ENOENT says
// that the policy does not want the buffer.
func (m *IMA) processBuffer(b *bufferEvent) (ima.Hex, error) {
	policy := m.policy.load()
	if policy == nil {
		return nil, ENOENT
	}
	template, _ := ima.LookupTemplate("ima-buf")
	d := matchPolicy(policy.rules, policy.flag, &access{hook: b.hook, inode: b.inode, cred: b.cred.orKernel(), data: b.data},
		decision{template: template})
	if d.action&actionMeasure == 0 {
		return nil, ENOENT
	}
	if d.pcr == 0 {
		d.pcr = m.config.MeasurePCR // pcr=0 cannot be told from no pcr= here
	}
	sum, err := m.hashOf(b.buf)
	if err != nil {
		return nil, err
	}
	content := b.buf
	if b.hash {
		content = sum
		if sum, err = m.hashOf(sum); err != nil {
			return nil, err
		}
	}
	event := &ima.EventData{
		Filename: b.name,
		Digest:   ima.FileDigest{Algo: m.hash, Sum: sum},
		HashAlgo: m.hash,
		Buf:      content,
		Order:    m.order,
	}
	err = m.storeTemplate(d.template, d.pcr, event)
	if err != nil {
		m.audit(b.hook.String(), "store_entry", b.name, errnoOf(err))
	}
	return sum, err
}

// hashOf hashes data with ima_hash.
func (m *IMA) hashOf(data []byte) (ima.Hex, error) {
	h, err := m.hash.New()
	if err != nil {
		return nil, err
	}
	h.Write(data)
	return h.Sum(nil), nil
}

// MeasureCriticalData measures kernel data (ima_measure_critical_data) under a
// label, which a rule's label= may name, as an event. With hash the record has
// the hash of buf in its place. The digest is that of the record's d-ng field.
// The error is ENOENT if the policy does not want it, EEXIST if the record is
// there already, ENOPARAM if something is missing.
func (m *IMA) MeasureCriticalData(label, event string, buf []byte, hash bool) (ima.Hex, error) {
	if label == "" || event == "" || len(buf) == 0 {
		return nil, ENOPARAM
	}
	return m.processBuffer(&bufferEvent{hook: hookCriticalData, name: event, data: label, buf: buf, hash: hash})
}

// KexecCmdline measures the command line that kexec loads for the kernel in f
// (ima_kexec_cmdline).
func (m *IMA) KexecCmdline(f *File, cred *Cred, cmdline []byte) error {
	if len(cmdline) == 0 {
		return nil
	}
	_, err := m.processBuffer(&bufferEvent{hook: hookKexecCmdline, inode: f.Inode, cred: cred, name: "kexec-cmdline", buf: cmdline})
	return err
}

// PostLoadModule measures the buffer of init_module(2), in kernels that do.
func (m *IMA) PostLoadModule(module []byte) error {
	if !m.config.Kernel.InitModuleData {
		return nil
	}
	_, err := m.MeasureCriticalData("modules", "init_module", module, true)
	return err
}

package measure

import (
	"errors"
	"io"
	"path"

	"github.com/swtpmd/swtpmd/ima"
)

// Open does what open(2) does: the inode's count of readers or writers rises, and
// the hook FILE_CHECK runs. mask is the access asked for: MayRead, MayWrite or
// both, with MayAppend; MayExec alone for a file about to be executed.
func (m *IMA) Open(f *File, cred *Cred, mask Mask) {
	f.Inode.mu.Lock()
	switch {
	case f.Write:
		f.Inode.writers++
	case f.Read:
		f.Inode.readers++
	}
	f.Inode.mu.Unlock()
	m.processMeasurement(f, cred, nil, mask, hookFileCheck)
}

// Release does what the last close of an open file does: with the last writer gone
// a file that has changed is forgotten (ima_file_free), and the counts fall.
func (m *IMA) Release(f *File) {
	inode := f.Inode
	inode.mu.Lock()
	defer inode.mu.Unlock()
	if f.Write && inode.iint != nil && inode.writers == 1 && m.policy.load() != nil && inode.regular() {
		inode.iint.openWriters = false
		if !m.countsChanges(inode.superblock()) || inode.iint.version != inode.Version {
			inode.iint.reset()
		}
	}
	switch {
	case f.Write && inode.writers > 0:
		inode.writers--
	case !f.Write && f.Read && inode.readers > 0:
		inode.readers--
	}
}

// countsChanges reports whether the kernel can tell by a number that a file has
// not changed (ima_check_last_writer).
func (m *IMA) countsChanges(sb *Superblock) bool {
	k := &m.config.Kernel
	return sb.IVersion && (!sb.NoChangeCookie || !k.ChangeCookie || k.IVersionFallback)
}

// Mmap is the hook of mmap(2). reqprotExec says that execution was asked for,
// protExec that the mapping will be executable.
func (m *IMA) Mmap(f *File, cred *Cred, reqprotExec, protExec bool) {
	if reqprotExec && m.config.Kernel.MmapReqprot {
		m.processMeasurement(f, cred, nil, MayExec, hookMmapCheckReqprot)
	}
	if protExec {
		m.processMeasurement(f, cred, nil, MayExec, hookMmapCheck)
	}
}

// BprmCheck is the hook of execve(2) for each binary and interpreter on the way.
func (m *IMA) BprmCheck(f *File, cred *Cred) {
	m.processMeasurement(f, cred, nil, MayExec, hookBprmCheck)
}

// CredsCheck is the hook of execve(2) with the credentials that the program will
// have.
func (m *IMA) CredsCheck(f *File, cred *Cred) {
	m.processMeasurement(f, cred, nil, MayExec, hookCredsCheck)
}

// Exec does what execve(2) does with one file on its way to a program: BprmCheck
// with the credentials of the task and, in kernels with Kernel.CredsCheckLast for
// the last file alone, CredsCheck with those that the program will have. last
// reports that the file is the program, not a script that names an interpreter.
func (m *IMA) Exec(f *File, task, program *Cred, last bool) {
	m.BprmCheck(f, task)
	if last || !m.config.Kernel.CredsCheckLast {
		m.CredsCheck(f, program)
	}
}

// ReadID says why the kernel reads a file (enum kernel_read_file_id).
type ReadID uint8

// What the kernel reads files for.
const (
	ReadingUnknown ReadID = iota
	ReadingFirmware
	ReadingModule
	ReadingKexecImage
	ReadingKexecInitramfs
	ReadingPolicy
	ReadingX509Certificate
)

// readHooks is read_idmap; other ids are FILE_CHECK.
var readHooks = map[ReadID]hook{
	ReadingFirmware:       hookFirmwareCheck,
	ReadingModule:         hookModuleCheck,
	ReadingKexecImage:     hookKexecKernelCheck,
	ReadingKexecInitramfs: hookKexecInitramfsCheck,
	ReadingPolicy:         hookPolicyCheck,
}

// ReadFile is the hook of a file of which the kernel itself is going to read
// parts (ima_read_file). What is measured is the whole file.
func (m *IMA) ReadFile(f *File, cred *Cred, id ReadID) {
	m.processMeasurement(f, cred, nil, MayRead, id.hook())
}

// PostReadFile is the hook of a file that the kernel itself has read into buf,
// a module for instance (ima_post_read_file). What is measured is buf.
func (m *IMA) PostReadFile(f *File, cred *Cred, buf []byte, id ReadID) {
	if f == nil || len(buf) == 0 {
		return
	}
	m.processMeasurement(f, cred, buf, MayRead, id.hook())
}

func (id ReadID) hook() hook {
	if hook, ok := readHooks[id]; ok {
		return hook
	}
	return hookFileCheck
}

// SetXattr tells IMA that the inode's security.ima has changed. Whoever changes
// it calls SetXattr afterwards.
func (m *IMA) SetXattr(inode *Inode) {
	inode.mu.Lock()
	defer inode.mu.Unlock()
	if inode.iint != nil {
		inode.iint.changedXattr = true
	}
}

// processMeasurement follows process_measurement, of which it does the
// measuring. Rules to appraise, audit or hash have a say in which rule matches,
// and nothing else.
func (m *IMA) processMeasurement(f *File, cred *Cred, buf []byte, mask Mask, h hook) {
	policy := m.policy.load()
	if policy == nil || !f.Inode.regular() {
		return
	}
	d := matchPolicy(policy.rules, policy.flag, &access{hook: h, mask: mask, inode: f.Inode, cred: cred.orKernel()},
		decision{pcr: m.config.MeasurePCR, template: m.template})
	check := h == hookFileCheck || h == hookMmapCheck || h == hookMmapCheckReqprot
	check = check && policy.flag&actionMeasure != 0
	if d.action == 0 && !check {
		return
	}
	f.Inode.mu.Lock()
	defer f.Inode.mu.Unlock()
	if d.action != 0 && f.Inode.iint == nil {
		f.Inode.iint = new(iint)
	}
	measure := d.action&actionMeasure != 0
	if check {
		m.rdwrViolationCheck(f, measure)
	}
	if measure {
		m.measureFile(f, buf, d)
	}
}

// rdwrViolationCheck follows ima_rdwr_violation_check.
func (m *IMA) rdwrViolationCheck(f *File, measure bool) {
	inode, limit := f.Inode, m.config.Kernel.LimitViolations
	if f.Write {
		if inode.readers > 0 && inode.iint != nil && inode.iint.mustMeasure {
			inode.iint.mustMeasure = !limit
			m.addViolation(f, "ToMToU")
		}
		return
	}
	if !measure {
		return
	}
	inode.iint.mustMeasure = true
	if inode.writers > 0 && !(limit && inode.iint.openWriters) {
		inode.iint.openWriters = true
		m.addViolation(f, "open_writers")
	}
}

// addViolation follows ima_add_violation: a violation has the default template
// and PCR, whatever a rule says, and counts even if it cannot be stored.
func (m *IMA) addViolation(f *File, cause string) {
	m.queue.violations.Add(1)
	event := m.fileEvent(f)
	event.Violation = true
	err := m.storeTemplate(m.template, m.config.MeasurePCR, event)
	m.audit("invalid_pcr", cause, f.Path, errnoOf(err))
}

// measureFile collects the hash of a file, unless it is known, and stores the
// measurement.
func (m *IMA) measureFile(f *File, buf []byte, d decision) {
	i, sb := f.Inode.iint, f.Inode.superblock()
	failSecurely := m.setup.failSecurely && d.action&actionAppraise != 0
	if i.changedXattr || sb.Unverifiable && !sb.UntrustedMounter && !failSecurely {
		i.changedXattr = false
		i.reset()
	}
	modsig := f.Modsig
	if d.flags&ruleModsigAllowed == 0 {
		modsig = nil
	}
	// A file with a signature is measured again for it, once, if the template
	// has a place for it: what was measured before had none.
	again := modsig != nil && hasModsig(d.template) && !i.withModsig
	if i.measuredPCRs&(1<<d.pcr) != 0 && !again {
		return
	}
	if err := m.collectMeasurement(f, buf, d); err != nil && !errors.Is(err, EBADF) && !errors.Is(err, EINVAL) {
		return
	}
	event := m.fileEvent(f)
	event.Digest, event.Verity, event.Modsig = i.digest, i.verity, modsig
	if d.template.HasField("d") {
		event.LegacyDigest = m.legacyDigest(f)
	}
	err := m.storeTemplate(d.template, d.pcr, event)
	if (err == nil || errors.Is(err, EEXIST)) && !f.Direct {
		i.withModsig = i.withModsig || modsig != nil
		i.measuredPCRs |= 1 << d.pcr
	}
}

// fileEvent fills in what templates show of a file.
func (m *IMA) fileEvent(f *File) *ima.EventData {
	return &ima.EventData{
		Filename: f.Path,
		HashAlgo: m.hash,
		IMAXattr: f.Inode.xattr("security.ima"),
		EVMXattr: f.Inode.xattr("security.evm"),
		Inode:    &ima.InodeData{Dentry: path.Base(f.Path), UID: f.Inode.UID, GID: f.Inode.GID, Mode: f.Inode.Mode, Xattrs: f.Inode.protected()},
		Order:    m.order,
	}
}

// collectMeasurement follows ima_collect_measurement. A file that is open with
// O_DIRECT is not read and has a digest of zeros.
func (m *IMA) collectMeasurement(f *File, buf []byte, d decision) error {
	i := f.Inode.iint
	if i.collected {
		return nil
	}
	i.digest = ima.FileDigest{Algo: m.hash}
	if !d.template.Legacy() { // for the ima template security.ima is not read
		i.digest.Algo = m.xattrAlgo(f.Inode.xattr("security.ima"))
	}
	i.verity = d.flags&ruleVerityRequired != 0
	cause := "failed"
	var err error
	switch {
	case i.verity:
		if i.digest = f.Inode.VerityDigest; i.digest.Algo.Size() == 0 {
			cause, err = "no-verity-digest", ENODATA
		}
	case buf == nil && f.Direct:
		i.digest.Algo = m.hash
		cause, err = "failed(directio)", EINVAL
	default:
		i.digest.Sum, err = m.hashFile(f, buf, i.digest.Algo)
	}
	if err != nil {
		i.digest.Sum = make(ima.Hex, i.digest.Algo.Size())
		m.audit("collect_data", cause, path.Base(f.Path), errnoOf(err))
		return err
	}
	i.version = f.Inode.Version
	i.collected = true
	return nil
}

// hashFile hashes buf or, if it is nil, the file's content.
func (m *IMA) hashFile(f *File, buf []byte, algo ima.HashAlgo) (ima.Hex, error) {
	if err := m.allocateLater(algo); err != nil {
		return nil, err
	}
	h, err := algo.New()
	if err != nil {
		return nil, err
	}
	if buf != nil {
		h.Write(buf)
		return h.Sum(nil), nil
	}
	if f.Inode.Content == nil {
		return nil, EBADF
	}
	r, err := f.Inode.Content()
	if err != nil {
		return nil, err
	}
	if closer, ok := r.(io.Closer); ok {
		defer func() { _ = closer.Close() }()
	}
	if _, err := io.Copy(h, r); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// legacyDigest returns what a d field shows if the hash that was collected does not
// fit: that of the file, even where a buffer was measured.
func (m *IMA) legacyDigest(f *File) ima.Hex {
	algo := ima.SHA1
	if m.hash == ima.MD5 {
		algo = ima.MD5
	}
	sum, err := m.hashFile(f, nil, algo)
	if err != nil {
		return nil
	}
	return sum
}

// Types of the values of security.ima (security/integrity/integrity.h, enum
// evm_ima_xattr_type).
const (
	imaXattrDigest   = 0x01 // IMA_XATTR_DIGEST
	evmIMAXattrSig   = 0x03 // EVM_IMA_XATTR_DIGSIG
	imaXattrDigestNG = 0x04 // IMA_XATTR_DIGEST_NG
	imaVeritySig     = 0x06 // IMA_VERITY_DIGSIG
)

// xattrAlgo follows ima_get_hash_algo: the hash that the file's own attribute
// names, otherwise ima_hash.
func (m *IMA) xattrAlgo(x []byte) ima.HashAlgo {
	const signatureHeader = 9 // struct signature_v2_hdr
	if len(x) < 2 {
		return m.hash
	}
	named, known := ima.HashAlgo(0), false
	switch x[0] {
	case evmIMAXattrSig, imaVeritySig:
		version := x[1] == 2
		if m.config.Kernel.SigV3Modules {
			version = version || x[1] == 3
		}
		if x[0] == imaVeritySig {
			version = x[1] == 3
		}
		if version && len(x) > signatureHeader {
			named, known = ima.HashAlgoByID(x[2])
		}
	case imaXattrDigestNG:
		named, known = ima.HashAlgoByID(x[1])
	case imaXattrDigest:
		switch {
		case len(x) == 17, len(x) == 21 && [4]byte(x[17:21]) == [4]byte{}:
			return ima.MD5
		case len(x) == 21:
			return ima.SHA1
		}
	}
	if !known || !m.config.Kernel.knows(named) {
		return m.hash
	}
	return named
}

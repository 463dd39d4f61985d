package measure

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/swtpmd/swtpmd/ima"
)

// kexecHeader is the size of struct ima_kexec_hdr in bytes: version (u16), two
// reserved fields (u16, u32), buffer_size (u64, the header included), count
// (u64).
const kexecHeader = 24

const kexecVersion = 1

// byteOrder is the order of the header's integers.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

func kexecOrder(o ima.ByteOrder) byteOrder {
	if o == ima.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// KexecLoad is kexec_file_load(2): room for the list is made in the next
// kernel's image (ima_add_kexec_buffer). Kernels without KexecAtExecute copy the
// list now, and records that follow are lost to the next kernel although they are
// in the PCR; others copy it with KexecExecute.
func (m *IMA) KexecLoad() error {
	k := &m.kexec
	k.mu.Lock()
	defer k.mu.Unlock()
	k.segment, k.buffer = m.kexecSegment(), nil
	if m.config.Kernel.KexecRecords {
		m.measureKexecEvent("kexec_load", k.segment)
	}
	if m.config.Kernel.KexecAtExecute {
		return nil
	}
	buffer, err := m.dumpForLoad(k.segment)
	k.buffer = buffer
	return err
}

// KexecLoadCrash is kexec_file_load(2) with KEXEC_FILE_ON_CRASH. It gives the
// buffer that the crash kernel finds, nil if there is none, as in kernels with
// NoKdumpList. What KexecLoad has loaded stays.
func (m *IMA) KexecLoadCrash() ([]byte, error) {
	if m.config.Kernel.NoKdumpList || m.config.Kernel.KexecAtExecute {
		return nil, nil
	}
	return m.dumpForLoad(m.kexecSegment())
}

// kexecSegment is the size of the segment for the list, in bytes.
func (m *IMA) kexecSegment() int {
	extra := m.config.PageSize / 2
	if m.config.KexecExtraKB > 0 {
		extra = m.config.KexecExtraKB << 10
	}
	pages := (m.runtimeSize() + extra + m.config.PageSize - 1) / m.config.PageSize
	return pages * m.config.PageSize
}

func (m *IMA) dumpForLoad(segment int) ([]byte, error) {
	buffer, err := m.dumpMeasurementList(segment)
	if err != nil {
		m.logf("Not enough memory for the kexec measurement buffer.")
	}
	return buffer, err
}

// KexecExecute is the reboot into the loaded kernel. It gives the buffer that
// the next kernel finds (its Config.KexecBuffer), nil if there is none. In
// kernels with SuspendAtReboot measuring is suspended from here on.
func (m *IMA) KexecExecute() []byte {
	k := &m.kexec
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.config.Kernel.KexecRecords && k.segment > 0 {
		m.measureKexecEvent("kexec_execute", k.segment)
	}
	if m.config.Kernel.SuspendAtReboot {
		m.suspend()
	}
	if !m.config.Kernel.KexecAtExecute || k.segment == 0 {
		return k.buffer
	}
	buffer, err := m.dumpMeasurementList(k.segment)
	if err != nil {
		m.logf("Dump measurements failed. Error:%d", errnoOf(err))
		return nil
	}
	k.buffer = buffer
	return buffer
}

func (m *IMA) suspend() {
	m.queue.mu.Lock()
	defer m.queue.mu.Unlock()
	m.queue.suspended = true
}

// runtimeSize is ima_get_binary_runtime_size.
func (m *IMA) runtimeSize() int {
	m.queue.mu.RLock()
	defer m.queue.mu.RUnlock()
	return m.queue.runtimeSize + kexecHeader
}

// measureKexecEvent follows ima_measure_kexec_event.
func (m *IMA) measureKexecEvent(event string, segment int) {
	text := fmt.Sprintf("kexec_segment_size=%d;ima_binary_runtime_size=%d;ima_runtime_measurements_count=%d;",
		segment, m.runtimeSize(), m.Count())
	// The policy may well not want it.
	_, _ = m.MeasureCriticalData("ima_kexec", event, []byte(text), false)
}

// dumpMeasurementList follows ima_dump_measurement_list: EINVAL if the list does
// not fit.
func (m *IMA) dumpMeasurementList(segment int) ([]byte, error) {
	m.queue.mu.RLock()
	entries := append(m.queue.staged[:len(m.queue.staged):len(m.queue.staged)], m.queue.entries...)
	m.queue.mu.RUnlock()
	list := make([]byte, kexecHeader, segment)
	for _, e := range entries {
		var err error
		if list, err = m.shown(e, m.sha1).AppendBinary(list); err != nil {
			return nil, err
		}
		if len(list) >= segment {
			return nil, EINVAL
		}
	}
	order := kexecOrder(m.order)
	head := order.AppendUint16(list[:0], kexecVersion)
	head = append(head, 0, 0, 0, 0, 0, 0)
	head = order.AppendUint64(head, uint64(len(list)))
	order.AppendUint64(head, uint64(len(entries)))
	return list, nil
}

// loadKexecBuffer follows ima_load_kexec_buffer: what cannot be restored is
// logged, and what came before it stays.
func (m *IMA) loadKexecBuffer() {
	if m.config.KexecBuffer == nil {
		return
	}
	if err := m.restoreMeasurementList(m.config.KexecBuffer); err != nil {
		m.logf("Failed to restore the measurement list: %d", errnoOf(err))
	}
}

// restoreNameMax is the longest template name that is restored
// (MAX_TEMPLATE_NAME_LEN without its NUL): that of evm-sig's format.
var restoreNameMax = len(ima.Templates()[len(ima.Templates())-1].Format())

// restoreMeasurementList follows ima_restore_measurement_list (ima_template.c).
// The records are appended without an extend and without an entry in the hash
// table. Fewer records than the header says are no error, as in the kernel; what
// the fields hold is looked at more closely here than there.
func (m *IMA) restoreMeasurementList(buffer []byte) error {
	if len(buffer) < kexecHeader {
		return nil
	}
	order := kexecOrder(m.order)
	if version := order.Uint16(buffer); version != kexecVersion {
		m.logf("attempting to restore a incompatible measurement list")
		return EINVAL
	}
	size, count := order.Uint64(buffer[8:]), order.Uint64(buffer[16:])
	if size < kexecHeader || size > uint64(len(buffer)) {
		return EINVAL
	}
	list := buffer[kexecHeader:size]
	r, err := ima.NewBinaryReader(bytes.NewReader(list), ima.Format{Order: m.order})
	if err != nil {
		return err
	}
	for n := uint64(1); n <= count; n++ {
		e := new(entry)
		var format *ima.TemplateFormatError
		switch err := r.Read(&e.Record); {
		case err == io.EOF:
			return nil
		case errors.As(err, &format):
			m.logf("attempting to initialize the template \"%s\" failed", format.Format)
			return nil
		case err != nil, n == count && r.Offset() != int64(len(list)):
			return EINVAL
		}
		if err := m.restoreEntry(e); err != nil {
			return err
		}
	}
	return nil
}

func (m *IMA) restoreEntry(e *entry) error {
	if e.Template().Legacy() {
		m.logf("attempting to restore an unsupported template \"%s\" failed", e.Template())
		return EINVAL
	}
	if len(e.Template().Name()) > restoreNameMax {
		m.logf("attempting to restore a template name that is too long")
		return EINVAL
	}
	// The kernel takes a built-in template for a format that equals its own.
	violation := e.Violation()
	if t, ok := m.lookupTemplate(e.Template().Name()); ok && t != e.Template() {
		rec, err := withTemplate(&e.Record, t)
		if err != nil {
			return err
		}
		e.Record = *rec
	}
	if err := m.calcDigests(e, violation); err != nil {
		return err
	}
	e.Digest = e.digests[m.sha1]
	m.queue.mu.Lock()
	defer m.queue.mu.Unlock()
	m.queue.add(e)
	return nil
}

// withTemplate returns the record with another template of the same fields.
func withTemplate(rec *ima.Record, t *ima.Template) (*ima.Record, error) {
	var values [][]byte
	for _, id := range t.Fields() {
		value, _ := rec.Field(id)
		values = append(values, value)
	}
	return ima.NewRecord(t, rec.Order(), rec.PCR, ima.SHA1, values...)
}

package cel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// eventLog collects the firmware's records and writes them as a crypto-agile log
// (TCG PC Client Platform Firmware Profile 1.06, section "Event Logging").
type eventLog struct {
	events []byte   // TCG_PCR_EVENT2, all but the first one
	algs   []Digest // of each bank one, for its size
	spec   []byte   // the data of the log's own first event
	count  int
}

const (
	// eventLogMax bounds the events in bytes.
	eventLogMax = 4 << 20
	noAction    = 3 // EV_NO_ACTION
)

var specAgile = []byte("Spec ID Event03\x00")

func (l *eventLog) add(rec *Record) error {
	if len(l.events)+len(rec.Data) > eventLogMax {
		return fmt.Errorf("the firmware's events have more than %d bytes", eventLogMax)
	}
	l.count++
	if l.count == 1 && rec.EventType == noAction && bytes.HasPrefix(rec.Data, specAgile) {
		l.spec = bytes.Clone(rec.Data)
		return nil
	}
	le := binary.LittleEndian
	l.events = le.AppendUint32(l.events, rec.PCR)
	l.events = le.AppendUint32(l.events, rec.EventType)
	l.events = le.AppendUint32(l.events, uint32(len(rec.Digests)))
	for _, d := range rec.Digests {
		l.events = append(le.AppendUint16(l.events, d.AlgID), d.Sum...)
		if !slices.ContainsFunc(l.algs, func(a Digest) bool { return a.AlgID == d.AlgID }) {
			l.algs = append(l.algs, Digest{AlgID: d.AlgID, Sum: make([]byte, len(d.Sum))})
		}
	}
	l.events = le.AppendUint32(l.events, uint32(len(rec.Data)))
	l.events = append(l.events, rec.Data...)
	return nil
}

// bytes returns the log; its first event says which banks there are.
func (l *eventLog) bytes() []byte {
	if l.count == 0 {
		return nil
	}
	spec := l.spec
	if spec == nil {
		spec = l.ownSpec()
	}
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0)
	b = le.AppendUint32(b, noAction)
	b = append(b, make([]byte, 20)...)
	b = le.AppendUint32(b, uint32(len(spec)))
	return append(append(b, spec...), l.events...)
}

// ownSpec is a TCG_EfiSpecIDEvent of the banks that the records have.
func (l *eventLog) ownSpec() []byte {
	le := binary.LittleEndian
	spec := bytes.Clone(specAgile)
	spec = append(spec, 0, 0, 0, 0) // platformClass: a client
	spec = append(spec, 0, 2, 0, 2) // version 2.00, no errata, UINTN of 64 bits
	spec = le.AppendUint32(spec, uint32(len(l.algs)))
	for _, a := range l.algs {
		spec = le.AppendUint16(spec, a.AlgID)
		spec = le.AppendUint16(spec, uint16(len(a.Sum)))
	}
	return append(spec, 0) // vendorInfoSize
}

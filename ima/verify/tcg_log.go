package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/swtpmd/swtpmd/ima"
)

// EventLog is the firmware's event log, binary_bios_measurements in securityfs
// (TCG PC Client Platform Firmware Profile 1.06, section "Event Logging"), in
// one of its forms: the crypto-agile one with digests of several banks, or the
// older one with those of sha1. Its integers are little-endian.
type EventLog struct {
	// Spec is the signature of the first event: "Spec ID Event03" for the
	// crypto-agile form; "Spec ID Event02", "Spec ID Event00" or empty for
	// the older one.
	Spec string
	// Algorithms are the banks of the log, in its order.
	Algorithms []EventAlgorithm
	// Events are all events, the first one with the signature included. They
	// share memory with what was parsed.
	Events []Event
	// Locality is the one from which TPM2_Startup was sent, 0 or 3, or 4 for
	// an H-CRTM measurement. PCR 0 begins with it. Of several events that say
	// it, the first counts.
	Locality uint8
	// Deviations are the first MaxDeviations places where the log is not as
	// its specification has it, but the values it gives are not in doubt;
	// Deviated is how many there are.
	Deviations []EventLogDeviation
	Deviated   int

	// localities are those that events say, in their order; unsettled says
	// that they differ, or come late.
	localities []uint8
	unsettled  bool
}

// EventAlgorithm is a TCG_EfiSpecIdEventAlgorithmSize.
type EventAlgorithm struct {
	AlgID uint16
	Size  int // of a digest, in bytes
	// Bank is the hash of AlgID, zero for one that the kernel does not have.
	Bank ima.HashAlgo
}

// Event is a TCG_PCR_EVENT2, or a TCG_PCR_EVENT of the older form.
type Event struct {
	Number int   // from 1
	Offset int64 // in bytes
	PCR    uint32
	Type   EventType
	// Digests has a digest for each of the log's Algorithms, nil where the
	// event has none.
	Digests [][]byte
	Data    []byte
}

// EventType is a TCG_EVENTTYPE.
type EventType uint32

// NoAction is EV_NO_ACTION: an event that says something and extends nothing.
const NoAction EventType = 3

// EventLogError says where an event log is none.
type EventLogError struct {
	Event  int   // number of the event, from 1
	Offset int64 // where the item begins, in bytes
	Item   string
	Err    error
}

func (e *EventLogError) Error() string {
	return fmt.Sprintf("event %d, byte %d: %s: %v", e.Event, e.Offset, e.Item, e.Err)
}

func (e *EventLogError) Unwrap() error { return e.Err }

const (
	// eventLogMax bounds an event log, in bytes; those of real machines have
	// some ten to hundred kilobytes.
	eventLogMax = 4 << 20
	// eventsMax bounds the events of a log.
	eventsMax = 1 << 16
	// algorithmsMax bounds the banks of a log.
	algorithmsMax = 16

	specSize     = 16
	specAgile    = "Spec ID Event03"
	localitySig  = "StartupLocality"
	pcrIndexNone = 0xffffffff // for events that are about no PCR
)

// ParseEventLog reads an event log to its end. What is cut off, left over or not
// as the first event announces it is an EventLogError, unless it cannot change
// which values the log gives: that is a deviation.
func ParseEventLog(b []byte) (*EventLog, error) {
	d := &logDecoder{b: b, event: 1}
	if len(b) > eventLogMax {
		d.item = "size"
		return nil, d.fail(0, fmt.Errorf("%d bytes, there can be %d", len(b), eventLogMax))
	}
	if len(b) > 0 && d.paddingFrom(0) {
		d.item = "first event"
		return nil, d.fail(0, fmt.Errorf("there is none, but %d bytes %02x", len(b), b[0]))
	}
	for d.at < len(b) && !d.padding() {
		if d.event > eventsMax {
			d.item = "event"
			return nil, d.fail(0, fmt.Errorf("there can be %d", eventsMax))
		}
		e, err := d.next()
		if err == nil {
			err = d.meaning(e)
		}
		if err != nil {
			return nil, err
		}
		d.log.Events = append(d.log.Events, *e)
		d.event++
	}
	if len(d.log.Events) == 0 {
		d.item = "first event"
		return nil, d.fail(0, io.ErrUnexpectedEOF)
	}
	return &d.log, nil
}

// logDecoder reads an event log.
type logDecoder struct {
	b     []byte
	at    int
	event int
	item  string
	log   EventLog
	// started reports that PCR 0 has been extended, extended that any has.
	started, extended bool
}

func (d *logDecoder) fail(n int, err error) error {
	return &EventLogError{Event: d.event, Offset: int64(d.at - n), Item: d.item, Err: err}
}

// take returns the next n bytes.
func (d *logDecoder) take(n int64, item string) ([]byte, error) {
	d.item = item
	if n > int64(len(d.b)-d.at) {
		return nil, d.fail(0, io.ErrUnexpectedEOF)
	}
	d.at += int(n)
	return d.b[d.at-int(n) : d.at : d.at], nil
}

func (d *logDecoder) uint16(item string) (uint16, error) {
	b, err := d.take(2, item)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint16(b), nil
}

func (d *logDecoder) uint32(item string) (uint32, error) {
	b, err := d.take(4, item)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

// next reads an event. The first one is of the older form in every log.
func (d *logDecoder) next() (*Event, error) {
	e := &Event{Number: d.event, Offset: int64(d.at)}
	var err error
	if e.PCR, err = d.uint32("pcrIndex"); err != nil {
		return nil, err
	}
	kind, err := d.uint32("eventType")
	if err != nil {
		return nil, err
	}
	e.Type = EventType(kind)
	if e.PCR >= numPCRs && (e.Type != NoAction || e.PCR != pcrIndexNone) {
		d.item = "pcrIndex"
		err := fmt.Errorf("PCR %d; a TPM has PCR 0 to %d", e.PCR, numPCRs-1)
		if d.event == 1 { // of a file that is no log
			return nil, d.fail(8, err)
		}
		d.deviate(8, "%v", err)
	}
	if d.log.Spec == specAgile && !d.headerAgain(e) {
		e.Digests, err = d.digests()
	} else {
		var digest []byte
		digest, err = d.take(int64(ima.SHA1.Size()), "digest")
		e.Digests = [][]byte{digest}
	}
	if err != nil {
		return nil, err
	}
	size, err := d.uint32("eventSize")
	if err != nil {
		return nil, err
	}
	e.Data, err = d.take(int64(size), "event")
	return e, err
}

// digests reads a TPML_DIGEST_VALUES.
func (d *logDecoder) digests() ([][]byte, error) {
	n, err := d.uint32("digests count")
	if err != nil {
		return nil, err
	}
	if n > algorithmsMax {
		return nil, d.fail(4, fmt.Errorf("%d digests, the first event announces %d banks", n, len(d.log.Algorithms)))
	}
	list := make([][]byte, len(d.log.Algorithms))
	for range n {
		if err := d.digest(list); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// digest reads a TPMT_HA into its place in the list. One of a bank that the first
// event does not announce is of no use; its size has to be known.
func (d *logDecoder) digest(list [][]byte) error {
	id, err := d.uint16("digest hashAlg")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(d.log.Algorithms, func(a EventAlgorithm) bool { return a.AlgID == id })
	if i < 0 {
		bank := bankByAlgID(id)
		err := fmt.Errorf("TPM_ALG_ID 0x%04x, which the first event does not announce", id)
		if bank == 0 {
			return d.fail(2, err)
		}
		d.deviate(2, "%v", err)
		_, err = d.take(int64(bank.Size()), "digest")
		return err
	}
	if list[i] != nil {
		return d.fail(2, fmt.Errorf("TPM_ALG_ID 0x%04x comes twice", id))
	}
	list[i], err = d.take(int64(d.log.Algorithms[i].Size), "digest")
	return err
}

// meaning reads the events that say how to read the log.
func (d *logDecoder) meaning(e *Event) error {
	if d.event == 1 {
		d.log.Algorithms = []EventAlgorithm{{AlgID: ima.BankOf(ima.SHA1).AlgID, Size: ima.SHA1.Size(), Bank: ima.SHA1}}
	}
	if e.Type != NoAction {
		d.extended = true
		d.started = d.started || e.PCR == 0
		return nil
	}
	sig, rest := signature(e.Data)
	switch {
	case sig == specAgile && d.log.Spec == specAgile:
		d.item = "event"
		d.deviate(len(e.Data), "another Spec ID event; the first one counts")
		e.Digests = make([][]byte, len(d.log.Algorithms))
	case sig == specAgile && d.extended:
		d.item = "event"
		return d.fail(len(e.Data), errors.New("a Spec ID event after events of the older form"))
	case sig == specAgile:
		return d.header(e)
	case d.event == 1 && (sig == "Spec ID Event02" || sig == "Spec ID Event00"):
		d.log.Spec = sig
	case sig == localitySig && e.PCR == 0:
		d.locality(rest)
	}
	return nil
}

// signature cuts off the 16 bytes that an EV_NO_ACTION event begins with.
func signature(data []byte) (sig string, rest []byte) {
	if len(data) < specSize {
		return "", nil
	}
	return string(bytes.TrimRight(data[:specSize], "\x00")), data[specSize:]
}

// header reads the Spec ID event of the crypto-agile form, the first of the log.
func (d *logDecoder) header(e *Event) error {
	if d.event > 1 {
		d.item = "event"
		d.deviate(len(e.Data), "the Spec ID event is not the first")
	}
	// The event is read again, from the end of the signature on.
	end := d.at
	d.at = end - len(e.Data) + specSize
	algorithms, err := d.algorithms(end)
	if err != nil {
		return err
	}
	d.at = end
	d.log.Spec, d.log.Algorithms = specAgile, algorithms
	// The one digest of this event, and of those before, says nothing of the
	// banks.
	e.Digests = make([][]byte, len(algorithms))
	for i := range d.log.Events {
		d.log.Events[i].Digests = e.Digests
	}
	return nil
}

// algorithms reads what follows the signature in a TCG_EfiSpecIDEvent, which
// ends at the byte end.
func (d *logDecoder) algorithms(end int) ([]EventAlgorithm, error) {
	whole := d.b
	defer func() { d.b = whole }()
	d.b = d.b[:end]
	// platformClass, specVersionMinor, specVersionMajor, specErrata, uintnSize
	if _, err := d.take(4+4, "spec version"); err != nil {
		return nil, err
	}
	n, err := d.uint32("numberOfAlgorithms")
	if err != nil {
		return nil, err
	}
	if n == 0 || n > algorithmsMax {
		return nil, d.fail(4, fmt.Errorf("%d, there can be 1 to %d", n, algorithmsMax))
	}
	list := make([]EventAlgorithm, 0, n)
	for range n {
		a, err := d.algorithm(list)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	d.vendorInfo(end)
	return list, nil
}

// vendorInfo looks at what follows the algorithms. What they say is read by then.
func (d *logDecoder) vendorInfo(end int) {
	d.item = "vendorInfo"
	left := end - d.at
	switch {
	case left == 0:
		d.deviate(0, "its size is missing")
	case int(d.b[d.at]) > left-1:
		d.deviate(0, "%d bytes, but %d follow", d.b[d.at], left-1)
	case int(d.b[d.at]) < left-1:
		d.deviate(0, "%d bytes follow the end", left-1-int(d.b[d.at]))
	}
}

// algorithm reads one bank, which must not be in list.
func (d *logDecoder) algorithm(list []EventAlgorithm) (a EventAlgorithm, err error) {
	if a.AlgID, err = d.uint16("algorithmId"); err != nil {
		return a, err
	}
	size, err := d.uint16("digestSize")
	if err != nil {
		return a, err
	}
	a.Size, a.Bank = int(size), bankByAlgID(a.AlgID)
	switch {
	case slices.ContainsFunc(list, func(b EventAlgorithm) bool { return b.AlgID == a.AlgID }):
		return a, d.fail(4, fmt.Errorf("TPM_ALG_ID 0x%04x comes twice", a.AlgID))
	case a.Size == 0 || a.Size > digestMax || a.Bank != 0 && a.Size != a.Bank.Size():
		return a, d.fail(2, fmt.Errorf("%d bytes for a digest of TPM_ALG_ID 0x%04x", a.Size, a.AlgID))
	}
	return a, nil
}

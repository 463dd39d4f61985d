package cel

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/swtpmd/swtpmd/ima"
)

// List reads the IMA records of a log as a measurement list. It is an
// ima.RecordReader.
//
// The firmware's records have to precede those of IMA, as they do on a machine:
// EventLog gives them. Records of other content are passed over; what they have
// extended is missing then in a replay.
type List struct {
	logs   logs
	reader *Reader
	format ima.Format
	log    eventLog
	rec    Record
	ready  bool  // rec is an IMA record that Read has not given yet
	err    error // instead of the next record
	passed int
	// encoding is that of the log read last, order says that format.Order is
	// known.
	encoding Encoding
	order    bool
	banks    []ima.BankDigest
}

// logs are the logs of a file one after the other: one, or those of a wrapper.
type logs interface {
	// next returns the next log, io.EOF if there is none.
	next() (*Reader, error)
}

type oneLog struct{ reader *Reader }

func (o *oneLog) next() (*Reader, error) {
	r := o.reader
	o.reader = nil
	if r == nil {
		return nil, io.EOF
	}
	return r, nil
}

// NewList reads a log as a list, up to its first IMA record. format is about the
// template data of that list, as for ima.NewReader; digests are those that the log
// has. The error is an ima.ListError, or the source's.
func NewList(r *Reader, format ima.Format) (*List, error) { return newList(&oneLog{r}, format) }

// Starts reports whether a file begins as Open takes it. head are its first
// HeadSize bytes, or all of them.
func Starts(head []byte) bool {
	_, log := EncodingOf(head)
	_, wrapped := cmwStart(head)
	return log || wrapped
}

// Open reads a file as a list: a log in any encoding, or a Conceptual Messages
// Wrapper with one or several of them. It is NewList with default Options but for
// format.MaxData.
func Open(file io.Reader, format ima.Format) (*List, error) {
	o := Options{MaxData: format.MaxData}
	buffered := bufio.NewReaderSize(file, 64<<10)
	head, err := buffered.Peek(HeadSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if _, log := EncodingOf(head); !log {
		if encoding, ok := cmwStart(head); ok {
			return newList(newWrapper(buffered, encoding, o), format)
		}
	}
	r, err := NewReader(buffered, o)
	if err != nil {
		return nil, err
	}
	return NewList(r, format)
}

func newList(l logs, format ima.Format) (*List, error) {
	list := &List{logs: l, format: format, order: format.OrderKnown}
	if list.err = list.advance(); list.err != nil && list.err != io.EOF {
		var at *ima.ListError
		if !errors.As(list.err, &at) {
			return nil, list.err
		}
	}
	return list, nil
}

// advance goes to the next IMA record.
func (l *List) advance() error {
	for {
		if l.reader == nil {
			r, err := l.logs.next()
			if err != nil {
				return err
			}
			l.reader, l.encoding = r, r.encoding
		}
		err := l.reader.Read(&l.rec)
		if err == io.EOF {
			l.reader = nil
			continue
		}
		if err != nil {
			return err
		}
		switch {
		case l.rec.NV, l.rec.Type != IMATemplate && l.rec.Type != PCClient && l.rec.Type != IMATLV:
			l.passed++
		case l.rec.Type == IMATLV:
			return l.reader.fail(l.reader.at, "content", fmt.Errorf("%s, which no kernel writes", IMATLV))
		case l.rec.Type == IMATemplate:
			l.ready = true
			return nil
		default:
			if err := l.event(); err != nil {
				return err
			}
		}
	}
}

// event keeps a record of the firmware.
func (l *List) event() error {
	if l.banks != nil {
		return l.reader.fail(l.reader.at, "content", errors.New("a record of the firmware after one of IMA; they have to precede the list"))
	}
	if err := l.log.add(&l.rec); err != nil {
		return l.reader.fail(l.reader.at, "content", err)
	}
	return nil
}

// Read reads the next IMA record into rec, using rec's memory again. At the end it
// answers io.EOF, otherwise an ima.ListError whose number is that of the record in
// the log.
func (l *List) Read(rec *ima.Record) error {
	if l.err == nil && !l.ready {
		l.err = l.advance()
	}
	if l.err == nil {
		l.err = l.give(rec)
	}
	return l.err
}

func (l *List) give(rec *ima.Record) error {
	l.ready = false
	digests, err := l.digests()
	if err != nil {
		return l.reader.fail(l.reader.at, "digests", err)
	}
	err = rec.Decode(l.format, l.rec.PCR, l.rec.Template, l.rec.Data, digests)
	if err != nil && !l.order {
		// The order of the kernel's integers shows in the first lengths.
		other := l.format
		other.Order = 1 - other.Order
		if rec.Decode(other, l.rec.PCR, l.rec.Template, l.rec.Data, digests) == nil {
			l.format, err = other, nil
		}
	}
	if err != nil {
		return l.reader.fail(l.reader.at, "content", err)
	}
	l.order = true
	return nil
}

// digests returns what can be checked of the record's digests, as a list shows them:
// zeros for a violation.
func (l *List) digests() ([]ima.BankDigest, error) {
	l.banks = l.banks[:0]
	violation := true
	for _, d := range l.rec.Digests {
		algo := hashOf(d.AlgID)
		if !algo.Available() {
			continue
		}
		l.banks = append(l.banks, ima.BankDigest{Algo: algo, Sum: d.Sum})
		violation = violation && violates(d.Sum)
	}
	if len(l.banks) == 0 {
		return nil, errors.New("none is of a hash that can be computed here")
	}
	if violation {
		for _, d := range l.banks {
			clear(d.Sum)
		}
	}
	return l.banks, nil
}

// ones are what a violation extends: the whole size, or that of sha1 with zeros.
var ones = bytes.Repeat([]byte{0xff}, digestMax)

func violates(sum []byte) bool {
	zeros := bytes.Trim(sum, "\x00")
	n := len(sum) - len(bytes.TrimRight(sum, "\x00"))
	return len(zeros) == 0 || bytes.Equal(sum, ones[:len(sum)]) || len(sum)-n == ima.SHA1.Size() && bytes.Equal(sum[:len(sum)-n], ones[:ima.SHA1.Size()])
}

// Form returns the name of the log's encoding, such as "cel-tlv".
func (l *List) Form() string { return l.encoding.String() }

// EventLog returns the firmware's records that precede the list in the form of
// binary_bios_measurements; nil if there are none.
func (l *List) EventLog() []byte { return l.log.bytes() }

// Passed counts the records that were passed over until now.
func (l *List) Passed() int { return l.passed }

// SetIMA makes rec the record of an IMA record with the digests given, one for
// each bank, as a list shows them: those of a violation, which are zero, become
// what was extended. rec shares memory with what is given.
func (rec *Record) SetIMA(r *ima.Record, digests []Digest) {
	*rec = Record{PCR: r.PCR, Type: IMATemplate, Template: []byte(r.Template().Name()), Data: r.Data(), Digests: rec.Digests[:0]}
	for _, d := range digests {
		if r.Violation() {
			d.Sum = ones[:len(d.Sum)]
		}
		rec.Digests = append(rec.Digests, d)
	}
}

package cel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/swtpmd/swtpmd/ima"
)

// Reader reads the records of a log.
type Reader struct {
	source
	encoding Encoding
	decode   func(*Record) error
	order    recordOrder
	err      error
}

// Options bound what a Reader takes.
type Options struct {
	// MaxData bounds the data of one record in bytes, ima.DefaultMaxData if
	// zero. Memory grows with what is read, not with what a length says.
	MaxData int
}

// HeadSize is how much of a file shows what it is, in bytes.
const HeadSize = 64

// EncodingOf reports which encoding a log begins with. head are the first HeadSize
// bytes of the log, or all of them.
func EncodingOf(head []byte) (e Encoding, ok bool) {
	if len(head) == 0 {
		return 0, false
	}
	switch c := head[0]; {
	case tlvStart(head):
		return TLV, true
	case c == '[' || c == '{' || c == recordSeparator || isSpace(c):
		return JSON, jsonStart(head)
	case c >= 0x80 && c <= 0x9b || c == 0xa5:
		return CBOR, cborStart(head)
	}
	return 0, false
}

// NewReader reads a log in the encoding that it begins with.
func NewReader(log io.Reader, o Options) (*Reader, error) {
	buffered := bufio.NewReaderSize(log, 64<<10)
	head, err := buffered.Peek(HeadSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	encoding, ok := EncodingOf(head)
	if !ok {
		return nil, &ima.ListError{Record: 1, Item: "encoding", Err: errors.New("no Canonical Event Log begins so")}
	}
	return newReader(buffered, encoding, o), nil
}

func newReader(log *bufio.Reader, encoding Encoding, o Options) *Reader {
	if o.MaxData == 0 {
		o.MaxData = ima.DefaultMaxData
	}
	r := &Reader{source: source{r: log, limits: limits{data: o.MaxData}}, encoding: encoding}
	switch encoding {
	case TLV:
		r.decode = (&tlvReader{source: &r.source}).read
	case JSON:
		r.line = 1
		r.decode = (&jsonReader{source: &r.source}).read
	case CBOR:
		r.decode = (&cborReader{source: &r.source}).read
	}
	return r
}

// Encoding returns the encoding of the log.
func (r *Reader) Encoding() Encoding { return r.encoding }

// Read reads the next record into rec, whose memory it uses again. At the end of
// the log it returns io.EOF, otherwise an ima.ListError, and the same again.
func (r *Reader) Read(rec *Record) error {
	if r.err != nil {
		return r.err
	}
	r.record++
	start := r.at
	if r.err = r.decode(rec); r.err != nil {
		return r.err
	}
	item, err := rec.check()
	if err == nil {
		item, err = "recnum", r.order.next(rec)
	}
	if err != nil {
		r.err = r.fail(start, item, err)
	}
	return r.err
}

// recordOrder knows the last number of each PCR: numbers ascend, whether they
// count the records of a PCR or of the log, and a log may be a piece of one.
type recordOrder struct {
	last map[uint64]uint64
}

func (o *recordOrder) next(rec *Record) error {
	key := uint64(rec.PCR)
	if rec.NV {
		key |= 1 << 32
	}
	if last, ok := o.last[key]; ok && rec.Number <= last {
		return fmt.Errorf("%d comes after %d; the numbers of a PCR ascend", rec.Number, last)
	}
	if o.last == nil {
		o.last = make(map[uint64]uint64)
	}
	if _, ok := o.last[key]; !ok && len(o.last) == indicesMax {
		return fmt.Errorf("more than %d PCRs and NV indices", indicesMax)
	}
	o.last[key] = rec.Number
	return nil
}

// indicesMax bounds the PCRs and NV indices of a log.
const indicesMax = 1 << 12

// source is a stream with a place in it.
type source struct {
	r      *bufio.Reader
	at     int64 // of the next byte
	record int   // number of the record being read, from 1
	line   int   // in CEL-JSON, from 1
	limits limits
}

func (s *source) fail(at int64, item string, err error) error {
	return &ima.ListError{Record: s.record, Offset: at, Line: s.line, Item: item, Err: err}
}

// atEnd reports whether nothing follows. A source that fails is not at its end.
func (s *source) atEnd() bool {
	_, err := s.r.Peek(1)
	return err == io.EOF
}

// peek returns the next n bytes without going on; there may be 4,096.
func (s *source) peek(n int, item string) ([]byte, error) {
	b, err := s.r.Peek(n)
	if err != nil {
		return nil, s.fail(s.at, item, unexpected(err))
	}
	return b, nil
}

func (s *source) skip(n int) {
	got, _ := s.r.Discard(n)
	s.at += int64(got)
}

// append appends the next n bytes to dst. Room is made for what is there.
func (s *source) append(dst []byte, n int, item string) ([]byte, error) {
	const step = 64 << 10
	start := s.at
	for n > 0 {
		chunk := min(n, step)
		at := len(dst)
		dst = slices.Grow(dst, chunk)[:at+chunk]
		got, err := io.ReadFull(s.r, dst[at:])
		s.at += int64(got)
		if err != nil {
			return dst[:at+got], s.fail(start, item, unexpected(err))
		}
		n -= chunk
	}
	return dst, nil
}

// unexpected turns an end of the log inside a record into what it is.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// tooLong is the error of a length above a limit.
func tooLong(n uint64, limit int) error { return fmt.Errorf("%d bytes, there can be %d", n, limit) }

package cel

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Types of CEL-TLV. Those of content are ContentTypes.
const (
	tlvNumber  = 0
	tlvPCR     = 1
	tlvNV      = 2
	tlvDigests = 3

	tlvFirst  = 0 // template_name, event_type
	tlvSecond = 1 // template_data, event_data

	tlvHeader = 5
)

// tlvStart knows recnum: type 0 and a length of 1 to 8 bytes, then the index. A
// binary list of a big-endian kernel that begins with PCR 0 is told from it by
// the index.
func tlvStart(head []byte) bool {
	if len(head) < tlvHeader || head[0] != tlvNumber {
		return false
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n == 0 || n > 8 {
		return false
	}
	if rest := head[min(len(head), tlvHeader+int(n)):]; len(rest) >= tlvHeader {
		size := binary.BigEndian.Uint32(rest[1:])
		return (rest[0] == tlvPCR || rest[0] == tlvNV || rest[0] == ccRegister) && size > 0 && size <= 4
	}
	return true
}

// ccRegister is the type of a register of a confidential machine, which is no
// part of the specification but written in the place of a PCR.
const ccRegister = 108

type tlvReader struct {
	*source
}

// header reads type and length.
func (r *tlvReader) header(item string) (kind uint8, n uint32, err error) {
	b, err := r.peek(tlvHeader, item)
	if err != nil {
		return 0, 0, err
	}
	kind, n = b[0], binary.BigEndian.Uint32(b[1:])
	r.skip(tlvHeader)
	return kind, n, nil
}

// number reads a value of n bytes, 1 to most, big-endian.
func (r *tlvReader) number(n uint32, most int, item string) (v uint64, err error) {
	if n == 0 || n > uint32(most) {
		return 0, r.fail(r.at-4, item, fmt.Errorf("%d bytes, there can be 1 to %d", n, most))
	}
	b, err := r.peek(int(n), item)
	if err != nil {
		return 0, err
	}
	v = bigEndian(b)
	r.skip(int(n))
	return v, nil
}

func bigEndian(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

func (r *tlvReader) read(rec *Record) error {
	if r.atEnd() {
		return io.EOF
	}
	kind, n, err := r.header("recnum")
	if err != nil {
		return err
	}
	if kind != tlvNumber {
		return r.fail(r.at-tlvHeader, "recnum", fmt.Errorf("type %d instead of %d", kind, tlvNumber))
	}
	if rec.Number, err = r.number(n, 8, "recnum"); err != nil {
		return err
	}
	if err := r.index(rec); err != nil {
		return err
	}
	if kind, n, err = r.header("digests"); err != nil {
		return err
	}
	if kind != tlvDigests || n > digestsMax*(tlvHeader+digestMax) {
		return r.fail(r.at-tlvHeader, "digests", fmt.Errorf("type %d of %d bytes; type %d has at most %d", kind, n, tlvDigests, digestsMax*(tlvHeader+digestMax)))
	}
	digestsAt := r.at
	if rec.buf, err = r.append(rec.buf[:0], int(n), "digests"); err != nil {
		return err
	}
	digests := len(rec.buf)
	if kind, n, err = r.header("content"); err != nil {
		return err
	}
	if limit := r.limits.data + nameMax + 2*tlvHeader; uint64(n) > uint64(limit) {
		return r.fail(r.at-4, "content", tooLong(uint64(n), limit))
	}
	contentAt := r.at
	if rec.buf, err = r.append(rec.buf, int(n), "content"); err != nil {
		return err
	}
	rec.Type = ContentType(kind)
	if err := r.digests(rec, rec.buf[:digests], digestsAt); err != nil {
		return err
	}
	return r.content(rec, rec.buf[digests:], contentAt)
}

func (r *tlvReader) index(rec *Record) error {
	kind, n, err := r.header("index")
	if err != nil {
		return err
	}
	switch kind {
	case tlvPCR, tlvNV:
		rec.NV = kind == tlvNV
	case ccRegister:
		return r.fail(r.at-tlvHeader, "index", fmt.Errorf("type %d, a register of a confidential machine; PCRs are read", kind))
	default:
		return r.fail(r.at-tlvHeader, "index", fmt.Errorf("type %d is neither a PCR (%d) nor an NV index (%d)", kind, tlvPCR, tlvNV))
	}
	v, err := r.number(n, 4, "index")
	rec.PCR = uint32(v)
	return err
}

// nested cuts a TLV off b, which begins at the offset at.
func (r *tlvReader) nested(b []byte, at int64, item string) (kind uint8, value, rest []byte, err error) {
	if len(b) < tlvHeader {
		return 0, nil, nil, r.fail(at, item, fmt.Errorf("%d bytes are left, a header has %d", len(b), tlvHeader))
	}
	n := binary.BigEndian.Uint32(b[1:])
	if uint64(n) > uint64(len(b)-tlvHeader) {
		return 0, nil, nil, r.fail(at+1, item, fmt.Errorf("length %d, but %d bytes are left", n, len(b)-tlvHeader))
	}
	end := tlvHeader + int(n)
	return b[0], b[tlvHeader:end:end], b[end:], nil
}

// digests reads what is in the digests' value: the type of each is the low byte of
// its TPM_ALG_ID.
func (r *tlvReader) digests(rec *Record, b []byte, at int64) error {
	rec.Digests = rec.Digests[:0]
	for len(b) > 0 {
		kind, sum, rest, err := r.nested(b, at, "digest")
		if err != nil {
			return err
		}
		if len(rec.Digests) == digestsMax {
			return r.fail(at, "digests", fmt.Errorf("there can be %d", digestsMax))
		}
		rec.Digests = append(rec.Digests, Digest{AlgID: uint16(kind), Sum: sum})
		at += int64(len(b) - len(rest))
		b = rest
	}
	return nil
}

func (r *tlvReader) content(rec *Record, b []byte, at int64) error {
	rec.Template, rec.Data, rec.EventType = nil, nil, 0
	if rec.Type != IMATemplate && rec.Type != PCClient {
		return nil
	}
	first, second := "template_name", "template_data"
	if rec.Type == PCClient {
		first, second = "event_type", "event_data"
	}
	start := at
	kind, value, rest, err := r.nested(b, at, first)
	if err != nil {
		return err
	}
	if kind != tlvFirst {
		return r.fail(at, first, fmt.Errorf("type %d instead of %d", kind, tlvFirst))
	}
	if rec.Type == PCClient {
		if len(value) == 0 || len(value) > 4 {
			return r.fail(at, first, fmt.Errorf("%d bytes, there can be 1 to 4", len(value)))
		}
		rec.EventType = uint32(bigEndian(value))
	} else {
		rec.Template = value
	}
	at += int64(len(b) - len(rest))
	kind, value, rest, err = r.nested(rest, at, second)
	if err != nil {
		return err
	}
	if kind != tlvSecond || len(rest) > 0 {
		return r.fail(at, second, fmt.Errorf("type %d with %d bytes after it; type %d ends the content", kind, len(rest), tlvSecond))
	}
	rec.Data = value
	return r.bounds(rec, start)
}

// bounds refuses names and data that are too long.
func (s *source) bounds(rec *Record, at int64) error {
	switch {
	case len(rec.Template) > nameMax:
		return s.fail(at, "template_name", tooLong(uint64(len(rec.Template)), nameMax))
	case len(rec.Data) > s.limits.data:
		return s.fail(at, "content", tooLong(uint64(len(rec.Data)), s.limits.data))
	}
	return nil
}

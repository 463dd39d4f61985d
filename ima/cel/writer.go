package cel

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Writer writes a log. It numbers the records of each PCR from 0.
type Writer struct {
	w        *bufio.Writer
	encoding Encoding
	records  int // that are to come, in all
	written  int
	numbers  map[uint32]uint64
	buf      []byte
}

// NewWriter begins a log of so many records, which CEL-CBOR says before them.
func NewWriter(w io.Writer, encoding Encoding, records int) (*Writer, error) {
	out := &Writer{w: bufio.NewWriterSize(w, 64<<10), encoding: encoding, records: records, numbers: make(map[uint32]uint64)}
	var err error
	switch encoding {
	case TLV:
	case JSON:
		_, err = out.w.WriteString("[")
	case CBOR:
		_, err = out.w.Write(appendHead(nil, cborArray, uint64(records)))
	default:
		err = fmt.Errorf("no encoding %s", encoding)
	}
	return out, err
}

// Write writes a record of a PCR, of the types IMATemplate and PCClient. It gives
// the record its number.
func (w *Writer) Write(rec *Record) error {
	if w.written == w.records {
		return fmt.Errorf("a log of %d records has no more", w.records)
	}
	if err := rec.writable(); err != nil {
		return err
	}
	rec.Number = w.numbers[rec.PCR]
	w.numbers[rec.PCR]++
	w.buf = w.buf[:0]
	switch w.encoding {
	case TLV:
		w.buf = rec.appendTLV(w.buf)
	case JSON:
		if w.written > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = rec.appendJSON(append(w.buf, '\n'))
	case CBOR:
		w.buf = rec.appendCBOR(w.buf)
	}
	w.written++
	_, err := w.w.Write(w.buf)
	return err
}

// Close ends the log. It does not close what the log is written to.
func (w *Writer) Close() error {
	if w.written != w.records {
		return fmt.Errorf("a log of %d records got %d", w.records, w.written)
	}
	if w.encoding == JSON {
		if _, err := w.w.WriteString("\n]\n"); err != nil {
			return err
		}
	}
	return w.w.Flush()
}

func (r *Record) writable() error {
	switch {
	case r.NV:
		return errors.New("records of NV indices are not written")
	case r.PCR > 0xff:
		return fmt.Errorf("PCR %d", r.PCR)
	case r.Type != IMATemplate && r.Type != PCClient:
		return fmt.Errorf("content %s is not written", r.Type)
	case !utf8.Valid(r.Template) || len(r.Template) > nameMax:
		return fmt.Errorf("template name %q", r.Template)
	}
	for _, d := range r.Digests {
		if d.AlgID > 0xff {
			return fmt.Errorf("TPM_ALG_ID 0x%04x, which CEL-TLV has no type for", d.AlgID)
		}
	}
	_, err := r.check()
	return err
}

func appendTL(dst []byte, kind uint8, n int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, kind), uint32(n))
}

// appendTLV writes numbers as other programs want them: recnum of 8 bytes, a PCR
// of 1, an event's type of 4.
func (r *Record) appendTLV(dst []byte) []byte {
	dst = appendTL(dst, tlvNumber, 8)
	dst = binary.BigEndian.AppendUint64(dst, r.Number)
	dst = append(appendTL(dst, tlvPCR, 1), uint8(r.PCR))
	size := 0
	for _, d := range r.Digests {
		size += tlvHeader + len(d.Sum)
	}
	dst = appendTL(dst, tlvDigests, size)
	for _, d := range r.Digests {
		dst = append(appendTL(dst, uint8(d.AlgID), len(d.Sum)), d.Sum...)
	}
	first := r.Template
	var kind [4]byte
	if r.Type == PCClient {
		binary.BigEndian.PutUint32(kind[:], r.EventType)
		first = kind[:]
	}
	dst = appendTL(dst, uint8(r.Type), 2*tlvHeader+len(first)+len(r.Data))
	dst = append(appendTL(dst, tlvFirst, len(first)), first...)
	return append(appendTL(dst, tlvSecond, len(r.Data)), r.Data...)
}

// appendHead appends the head of a CBOR item in its shortest form.
func appendHead(dst []byte, major uint8, arg uint64) []byte {
	major <<= 5
	switch cborHeadSize(arg) {
	case 1:
		return append(dst, major|uint8(arg))
	case 2:
		return append(dst, major|24, uint8(arg))
	case 3:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(arg))
	case 5:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), arg)
}

func (r *Record) appendCBOR(dst []byte) []byte {
	dst = appendHead(dst, cborMap, 5)
	dst = appendHead(append(dst, keyNumber), cborUint, r.Number)
	dst = appendHead(append(dst, keyPCR), cborUint, uint64(r.PCR))
	dst = appendHead(append(dst, keyDigests), cborArray, uint64(len(r.Digests)))
	for _, d := range r.Digests {
		dst = appendHead(dst, cborMap, 2)
		dst = appendHead(append(dst, keyFirst), cborUint, uint64(d.AlgID))
		dst = appendHead(append(dst, keySecond), cborBytes, uint64(len(d.Sum)))
		dst = append(dst, d.Sum...)
	}
	dst = appendHead(append(dst, keyContentType), cborUint, uint64(r.Type))
	dst = appendHead(append(dst, keyContent), cborMap, 2)
	dst = append(dst, keyFirst)
	if r.Type == PCClient {
		dst = appendHead(dst, cborUint, uint64(r.EventType))
	} else {
		dst = append(appendHead(dst, cborText, uint64(len(r.Template))), r.Template...)
	}
	dst = appendHead(append(dst, keySecond), cborBytes, uint64(len(r.Data)))
	return append(dst, r.Data...)
}

func (r *Record) appendJSON(dst []byte) []byte {
	dst = strconv.AppendUint(append(dst, `{"recnum":`...), r.Number, 10)
	dst = strconv.AppendUint(append(dst, `,"pcr":`...), uint64(r.PCR), 10)
	dst = append(dst, `,"digests":[`...)
	for i, d := range r.Digests {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendAlgorithm(append(dst, `{"hashAlg":`...), d.AlgID)
		dst = hex.AppendEncode(append(dst, `,"digest":"`...), d.Sum)
		dst = append(dst, `"}`...)
	}
	dst = append(append(append(dst, `],"content_type":"`...), r.Type.String()...), `","content":{`...)
	if r.Type == PCClient {
		dst = strconv.AppendUint(append(dst, `"event_type":`...), uint64(r.EventType), 10)
		dst = append(dst, `,"event_data":"`...)
	} else {
		dst = appendText(append(dst, `"template_name":`...), r.Template)
		dst = append(dst, `,"template_data":"`...)
	}
	return append(hex.AppendEncode(dst, r.Data), `"}}`...)
}

// appendAlgorithm appends the name of a hash, or its number.
func appendAlgorithm(dst []byte, id uint16) []byte {
	for _, a := range algorithms {
		if a.id == id {
			return append(append(append(dst, '"'), a.name...), '"')
		}
	}
	return strconv.AppendUint(dst, uint64(id), 10)
}

// appendText appends a JSON string.
func appendText(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = hex.AppendEncode(dst, []byte{c})
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

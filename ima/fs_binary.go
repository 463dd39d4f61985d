package ima

import (
	"bufio"
	"fmt"
	"io"
	"slices"
)

// BinaryReader reads a binary measurement list, binary_runtime_measurements
// (ima_measurements_show in ima_fs.c): for each record the PCR (u32), the
// template digest, the length of the template's name (u32), the name, the
// length of the template data (u32, not for the ima template), the data.
//
// It is strict: what a kernel does not write is a ListError. After an error
// the reader returns it again, as nothing in the list says where the next
// record begins.
type BinaryReader struct {
	r      *bufio.Reader
	format Format
	record int   // number of the record being read
	offset int64 // of the next byte
	last   *Template
	err    error
}

// NewBinaryReader reads list, which it buffers. The error is about format.
func NewBinaryReader(list io.Reader, format Format) (*BinaryReader, error) {
	format, err := format.normal()
	if err != nil {
		return nil, err
	}
	return &BinaryReader{r: bufio.NewReaderSize(list, 64<<10), format: format}, nil
}

// Read reads the next record into rec, using rec's memory again. At the end of
// the list it returns io.EOF.
func (b *BinaryReader) Read(rec *Record) error {
	if b.err != nil {
		return b.err
	}
	b.record++
	b.err = b.read(rec)
	return b.err
}

// Format returns what the reader takes the list for, its defaults filled in.
func (b *BinaryReader) Format() Format { return b.format }

// Offset is the number of bytes of the list that have been read: where the next
// record begins.
func (b *BinaryReader) Offset() int64 { return b.offset }

func (b *BinaryReader) position() int64 { return b.offset }

func (b *BinaryReader) read(rec *Record) error {
	if _, err := b.r.Peek(1); err == io.EOF {
		return io.EOF
	}
	pcr, err := b.uint32("PCR")
	if err != nil {
		return err
	}
	if err := checkPCR(pcr); err != nil {
		return b.fail(b.offset-4, "PCR", fmt.Errorf("%w; is the list %s?", err, b.format.Order))
	}
	rec.PCR, rec.more = pcr, rec.more[:0]
	rec.order = b.format.Order
	rec.DigestAlgo = b.format.Digest
	if rec.Digest, err = b.bytes(rec.Digest[:0], b.format.DigestSize, "template digest"); err != nil {
		return err
	}
	if rec.template, err = b.template(); err != nil {
		return err
	}
	if rec.template.legacy {
		return b.legacyData(rec)
	}
	n, err := b.uint32("length of the template data")
	if err != nil {
		return err
	}
	if uint64(n) > uint64(b.format.MaxData) {
		return b.fail(b.offset-4, "length of the template data", fmt.Errorf("%d bytes, MaxData allows %d", n, b.format.MaxData))
	}
	start := b.offset
	if rec.data, err = b.bytes(rec.data[:0], int(n), "template data"); err != nil {
		return err
	}
	if err := rec.parse(0); err != nil {
		return b.fail(start, "template data", err)
	}
	return nil
}

// template reads a template's name. Lists rarely change the template, so the
// last one is compared first.
func (b *BinaryReader) template() (*Template, error) {
	n, err := b.uint32("length of the template name")
	if err != nil {
		return nil, err
	}
	start := b.offset
	if n == 0 || n > templateNameMax {
		return nil, b.fail(start-4, "length of the template name", fmt.Errorf("%d bytes, a name has 1 to %d", n, templateNameMax))
	}
	name, err := b.r.Peek(int(n))
	if err != nil {
		return nil, b.fail(start, "template name", unexpected(err))
	}
	if b.last == nil || string(name) != b.last.Name() {
		if b.last, err = templateOfRecord(string(name)); err != nil {
			return nil, b.fail(start, "template name", err)
		}
	}
	_, err = b.r.Discard(int(n))
	b.offset += int64(n)
	return b.last, err
}

// legacyData reads the ima template's data, which has no length of its own.
func (b *BinaryReader) legacyData(rec *Record) error {
	start := b.offset
	size := b.format.LegacyHash.Size()
	var err error
	if rec.data, err = b.bytes(rec.data[:0], size, "digest"); err != nil {
		return err
	}
	n, err := b.uint32("length of the event name")
	if err != nil {
		return err
	}
	if n > eventNameMax {
		return b.fail(b.offset-4, "length of the event name", fmt.Errorf("%d bytes, the kernel cuts a name to %d", n, eventNameMax))
	}
	rec.data = b.format.Order.appendUint32(rec.data, n)
	if rec.data, err = b.bytes(rec.data, int(n), "event name"); err != nil {
		return err
	}
	if err := rec.parse(size); err != nil {
		return b.fail(start, "template data", err)
	}
	return nil
}

func (b *BinaryReader) uint32(item string) (uint32, error) {
	raw, err := b.r.Peek(4)
	if err != nil {
		return 0, b.fail(b.offset, item, unexpected(err))
	}
	v := b.format.Order.uint32(raw)
	_, err = b.r.Discard(4)
	b.offset += 4
	return v, err
}

// bytes appends the next n bytes to dst. Room is made for what is there, so
// that a length alone costs no memory.
func (b *BinaryReader) bytes(dst []byte, n int, item string) ([]byte, error) {
	const step = 64 << 10
	start := b.offset
	for n > 0 {
		chunk := min(n, step)
		at := len(dst)
		dst = slices.Grow(dst, chunk)[:at+chunk]
		got, err := io.ReadFull(b.r, dst[at:])
		b.offset += int64(got)
		if err != nil {
			return dst[:at+got], b.fail(start, item, unexpected(err))
		}
		n -= chunk
	}
	return dst, nil
}

func (b *BinaryReader) fail(offset int64, item string, err error) error {
	return &ListError{Record: b.record, Offset: offset, Item: item, Err: err}
}

// AppendBinary appends the record as the binary list holds it, in the record's
// byte order and with the record's Digest.
func (r *Record) AppendBinary(dst []byte) ([]byte, error) {
	if r.template == nil {
		return dst, errNoTemplate
	}
	dst = r.order.appendUint32(dst, r.PCR)
	dst = append(dst, r.Digest...)
	name := r.template.Name()
	dst = r.order.appendUint32(dst, uint32(len(name)))
	dst = append(dst, name...)
	if !r.template.legacy {
		dst = r.order.appendUint32(dst, uint32(len(r.data)))
	}
	return append(dst, r.data...), nil
}

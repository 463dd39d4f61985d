package cel

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/swtpmd/swtpmd/ima"
)

// A Conceptual Messages Wrapper (RFC 9999) carries a log as the value of a record,
//
//	JSON  [type, "value in base64url", ?indicator]
//	CBOR  [type or CoAP content format, bytes, ?indicator]
//
// of a CBOR tag of a CoAP content format (RFC 9277), or of a member of a
// collection, an object or map of those. No media type is registered for the log:
// what a value is shows its content, and values of other things are passed over.
// The logs of a collection are read one after the other. Signed wrappers (COSE,
// JWS) are not read.

const (
	// cmwDepth bounds how deep collections nest.
	cmwDepth = 4
	// cmwTypeMax bounds a media type and a label, in bytes.
	cmwTypeMax = 256
	// Tags of CoAP content formats (RFC 9277, section 4.3).
	cmwTagFirst = 1668546817
	cmwTagLast  = 1668612095
)

// cmwStart reports whether a file begins with a wrapper, and in which encoding.
func cmwStart(head []byte) (e Encoding, ok bool) {
	if len(head) == 0 {
		return 0, false
	}
	if head[0] == '[' || head[0] == '{' || isSpace(head[0]) {
		return JSON, cmwJSONStart(head)
	}
	c := cborHead{b: head}
	major, n, ok := c.next()
	if !ok {
		return 0, false
	}
	switch {
	case major == cborTag:
		return CBOR, n >= cmwTagFirst && n <= cmwTagLast
	case major == cborArray && (n == 2 || n == 3):
		major, n, ok = c.next()
		return CBOR, ok && (major == cborText && n <= cmwTypeMax || major == cborUint && n <= math.MaxUint16)
	case major == cborMap && n > 0:
		// A label, and a wrapper as its value.
		major, n, ok = c.next()
		if !ok || major != cborText && major != cborUint && major != cborNegative {
			return 0, false
		}
		if major == cborText {
			if c.at += int(min(n, HeadSize)); c.at >= len(head) {
				return CBOR, n <= cmwTypeMax
			}
			if bytes.Equal(head[c.at-int(n):c.at], []byte(collectionType)) {
				return CBOR, true
			}
		}
		major, _, ok = c.next()
		return CBOR, ok && (major == cborTag || major == cborArray || major == cborMap)
	}
	return 0, false
}

// collectionType is the label of a collection's own type.
const collectionType = "__cmwc_t"

// cmwJSONStart knows an array that begins with a string, and an object whose first
// member is one of those, or a collection's type.
func cmwJSONStart(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	if rest, ok := bytes.CutPrefix(head, []byte{'['}); ok {
		rest = bytes.TrimLeft(rest, " \t\r\n")
		return len(rest) > 0 && rest[0] == '"'
	}
	rest, ok := bytes.CutPrefix(head, []byte{'{'})
	rest = bytes.TrimLeft(rest, " \t\r\n")
	if !ok || len(rest) == 0 || rest[0] != '"' {
		return false
	}
	label, rest, whole := bytes.Cut(rest[1:], []byte{'"'})
	if !whole {
		return true
	}
	rest = bytes.TrimLeft(rest, " \t\r\n:")
	return string(label) == collectionType || len(rest) == 0 || rest[0] == '[' || rest[0] == '{'
}

// wrapper gives the logs of a wrapper one after the other.
type wrapper struct {
	source
	scan     jsonScanner
	encoding Encoding
	options  Options
	// open has the collections in which the reading is: how many members are
	// to come (in CBOR), and whether there has been one (in JSON).
	open    []collection
	started bool
	// value is the value being read; what follows it is to be read after it.
	value *value
	// log is the log found last.
	log *Reader
	// buffered is the buffer of the value: there is one value at a time, and
	// many small ones can follow each other.
	buffered *bufio.Reader
}

// buffer buffers a value.
func (w *wrapper) buffer(value io.Reader) *bufio.Reader {
	if w.buffered == nil {
		w.buffered = bufio.NewReaderSize(value, 64<<10)
	} else {
		w.buffered.Reset(value)
	}
	return w.buffered
}

type collection struct {
	left  uint64
	first bool
}

// value is the value of a record or tag; end reads what follows it there.
type value struct {
	r   *bufio.Reader
	end func() error
}

func newWrapper(file *bufio.Reader, encoding Encoding, o Options) *wrapper {
	if o.MaxData == 0 {
		o.MaxData = ima.DefaultMaxData
	}
	w := &wrapper{source: source{r: file, record: 1, limits: limits{data: o.MaxData}}, encoding: encoding, options: o}
	w.scan.source = &w.source
	if encoding == JSON {
		w.line = 1
	}
	return w
}

// next goes to the next value that is a log.
func (w *wrapper) next() (*Reader, error) {
	for {
		if err := w.finish(); err != nil {
			return nil, err
		}
		if w.started && len(w.open) == 0 {
			return nil, w.end()
		}
		if err := w.advance(); err != nil {
			return nil, err
		}
		if w.value == nil {
			continue
		}
		head, err := w.value.r.Peek(HeadSize)
		if err != nil && err != io.EOF {
			return nil, w.fail(w.at, "value", err)
		}
		if encoding, ok := EncodingOf(head); ok {
			r := newReader(w.value.r, encoding, w.options)
			if w.log != nil {
				r.record = w.log.record // numbers go on
			}
			w.log = r
			return r, nil
		}
	}
}

// end reads the end of the file.
func (w *wrapper) end() error {
	if w.encoding == JSON {
		if c, ok := w.scan.space(); ok {
			return w.fail(w.at, "end of the wrapper", fmt.Errorf("%q follows it", c))
		}
	}
	switch {
	case !w.atEnd():
		return w.fail(w.at, "end of the wrapper", errors.New("something follows it"))
	case w.log == nil:
		return w.fail(w.at, "wrapper", errors.New("none of its values is a Canonical Event Log"))
	}
	return io.EOF
}

// finish reads what is left of a value, and what follows it in its record.
func (w *wrapper) finish() error {
	v := w.value
	if v == nil {
		return nil
	}
	w.value = nil
	if w.log != nil {
		w.record = w.log.record
	}
	if _, err := io.Copy(io.Discard, v.r); err != nil {
		var at *ima.ListError
		if errors.As(err, &at) {
			return err
		}
		return w.fail(w.at, "value", unexpected(err))
	}
	return v.end()
}

// advance reads up to the next value, or past the end of a collection.
func (w *wrapper) advance() error {
	if w.started {
		more, err := w.member()
		if err != nil {
			return err
		}
		if !more {
			w.open = w.open[:len(w.open)-1]
			return nil
		}
	}
	w.started = true
	if w.encoding == JSON {
		return w.jsonItem()
	}
	return w.cborItem()
}

// member reads the label of the next member; more is false at a collection's end.
func (w *wrapper) member() (more bool, err error) {
	c := &w.open[len(w.open)-1]
	if w.encoding == CBOR {
		return w.cborMember(c)
	}
	for {
		label, ok, err := w.scan.member(c.first, "label")
		c.first = false
		if !ok || err != nil {
			return false, err
		}
		if string(label) != collectionType {
			return true, nil
		}
		if err := w.scan.pass(0, collectionType); err != nil {
			return false, err
		}
	}
}

func (w *wrapper) enter(c collection) error {
	if len(w.open) == cmwDepth {
		return w.fail(w.at, "collection", fmt.Errorf("nested more than %d deep", cmwDepth))
	}
	w.open = append(w.open, c)
	return nil
}

// jsonItem reads the beginning of a record up to its value, or of a collection.
func (w *wrapper) jsonItem() error {
	c, err := w.scan.next("wrapper")
	if err != nil {
		return err
	}
	if c == '{' {
		w.skip(1)
		return w.enter(collection{first: true})
	}
	if err := w.scan.expect('[', "record"); err != nil {
		return err
	}
	if w.scan.scratch, err = w.scan.text(w.scan.scratch[:0], cmwTypeMax, "type"); err != nil {
		return err
	}
	if err := w.scan.expect(',', "record"); err != nil {
		return err
	}
	if err := w.scan.expect('"', "value"); err != nil {
		return err
	}
	text := &base64Text{w: w}
	w.value = &value{r: w.buffer(base64.NewDecoder(base64.RawURLEncoding, text)), end: w.jsonEnd}
	return nil
}

// jsonEnd reads what follows a value: the quotation mark has been read.
func (w *wrapper) jsonEnd() error {
	if ok, err := w.scan.more(false, ']', "record"); !ok || err != nil {
		return err
	}
	if _, err := w.scan.number(math.MaxUint32, "indicator"); err != nil {
		return err
	}
	return w.scan.expect(']', "record")
}

// base64Text gives the characters of a string up to its quotation mark, those of
// base64 made those of base64url, without padding.
type base64Text struct {
	w             *wrapper
	padded, ended bool
}

func (b *base64Text) Read(p []byte) (int, error) {
	n := 0
	for !b.ended && n == 0 && len(p) > 0 {
		part, err := b.w.scan.part("value")
		if err != nil {
			return 0, err
		}
		if len(part) == 0 {
			next, err := b.w.peek(1, "value")
			if err != nil {
				return 0, err
			}
			if next[0] != '"' {
				return 0, b.w.fail(b.w.at, "value", fmt.Errorf("%q is no character of base64url", next[0]))
			}
			b.w.skip(1)
			b.ended = true
			break
		}
		part = part[:min(len(part), len(p))]
		for i, c := range part {
			switch {
			case c == '=':
				b.padded = true
				continue
			case c < ' ' || b.padded:
				return n, b.w.fail(b.w.at+int64(i), "value", fmt.Errorf("%q in base64url", c))
			case c == '+':
				c = '-'
			case c == '/':
				c = '_'
			}
			p[n] = c
			n++
		}
		b.w.skip(len(part))
	}
	if b.ended && n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// cborItem is jsonItem for CBOR.
func (w *wrapper) cborItem() error {
	c := &cborReader{source: &w.source}
	at := w.at
	major, n, _, err := c.peekHead("wrapper")
	if err != nil {
		return err
	}
	switch major {
	case cborMap:
		_, err := c.head(cborMap, "collection")
		if err == nil && n > cborItems {
			err = w.fail(at, "collection", fmt.Errorf("%d members, there can be %d", n, cborItems))
		}
		if err != nil {
			return err
		}
		return w.enter(collection{left: n})
	case cborTag:
		if _, err := c.head(cborTag, "tag"); err != nil {
			return err
		}
		if n < cmwTagFirst || n > cmwTagLast {
			return w.fail(at, "tag", fmt.Errorf("%d is not of a CoAP content format", n))
		}
		return w.cborValue(c, 0)
	}
	n, err = c.head(cborArray, "record")
	if err != nil {
		return err
	}
	if n != 2 && n != 3 {
		return w.fail(at, "record", fmt.Errorf("%d items, there can be 2 or 3", n))
	}
	if major, _, _, err = c.peekHead("type"); err != nil {
		return err
	}
	if major == cborText {
		w.scan.scratch, err = c.text(w.scan.scratch[:0], cborText, cmwTypeMax, "type")
	} else {
		_, err = c.uint(math.MaxUint16, "type")
	}
	if err != nil {
		return err
	}
	return w.cborValue(c, n-2)
}

// cborValue reads the head of a value, which an indicator may follow.
func (w *wrapper) cborValue(c *cborReader, indicators uint64) error {
	n, err := c.head(cborBytes, "value")
	if err != nil {
		return err
	}
	if n > math.MaxInt64 {
		return w.fail(w.at, "value", fmt.Errorf("%d bytes", n))
	}
	w.value = &value{r: w.buffer(&countedBytes{w: w, left: int64(n)}), end: func() error {
		if indicators == 0 {
			return nil
		}
		_, err := c.uint(math.MaxUint32, "indicator")
		return err
	}}
	return nil
}

// countedBytes gives the bytes of a byte string.
type countedBytes struct {
	w    *wrapper
	left int64
}

func (b *countedBytes) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.w.r.Read(p[:min(int64(len(p)), b.left)])
	b.w.at += int64(n)
	b.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (w *wrapper) cborMember(c *collection) (more bool, err error) {
	r := &cborReader{source: &w.source}
	for c.left > 0 {
		c.left--
		at := w.at
		major, _, _, err := r.peekHead("label")
		if err != nil {
			return false, err
		}
		switch major {
		case cborText:
			w.scan.scratch, err = r.text(w.scan.scratch[:0], cborText, cmwTypeMax, "label")
		case cborUint, cborNegative:
			_, err = r.head(major, "label")
		default:
			err = w.fail(at, "label", fmt.Errorf("CBOR of major type %d is no label", major))
		}
		if err != nil {
			return false, err
		}
		if major != cborText || string(w.scan.scratch) != collectionType {
			return true, nil
		}
		if err := r.pass(0); err != nil {
			return false, err
		}
	}
	return false, nil
}

package cel

import (
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"
)

// Keys of CEL-CBOR's maps. Those of content are the first two.
const (
	keyFirst       = 0 // template_name, event_type, hashAlg
	keySecond      = 1 // template_data, event_data, digest
	keyNumber      = 0
	keyPCR         = 1
	keyNV          = 2
	keyDigests     = 3
	keyContentType = 9
	keyContent     = 10
)

// Major types of CBOR (RFC 8949, section 3.1).
const (
	cborUint     = 0
	cborNegative = 1
	cborBytes    = 2
	cborText     = 3
	cborArray    = 4
	cborMap      = 5
	cborTag      = 6
)

// cborStart knows an array of records, or a record. A record is a map of five.
func cborStart(head []byte) bool {
	c := cborHead{b: head}
	if major, _, ok := c.next(); ok && major == cborArray {
		if len(head) == c.at {
			return true // an empty log
		}
	} else {
		c.at = 0
	}
	major, n, ok := c.next()
	if !ok || major != cborMap || n != 5 || c.at >= len(head) || head[c.at] != keyNumber {
		return false
	}
	c.at++
	major, _, ok = c.next()
	return ok && major == cborUint
}

// cborHead reads heads of data items from memory.
type cborHead struct {
	b  []byte
	at int
}

func (c *cborHead) next() (major uint8, arg uint64, ok bool) {
	if c.at >= len(c.b) {
		return 0, 0, false
	}
	major, arg, n, err := parseHead(c.b[c.at:])
	c.at += n
	return major, arg, err == nil
}

var (
	errNotShortest = errors.New("not the shortest form, which deterministic CBOR has")
	errIndefinite  = errors.New("of indefinite length, which deterministic CBOR does not have")
)

// parseHead reads the head of a data item; n is its length in bytes. An error of
// io.ErrUnexpectedEOF says that b has fewer.
func parseHead(b []byte) (major uint8, arg uint64, n int, err error) {
	if len(b) == 0 {
		return 0, 0, 0, io.ErrUnexpectedEOF
	}
	major, info := b[0]>>5, b[0]&0x1f
	switch {
	case info < 24:
		return major, uint64(info), 1, nil
	case info == 31:
		return major, 0, 1, errIndefinite
	case info > 27:
		return major, 0, 1, fmt.Errorf("additional information %d is reserved", info)
	}
	n = 1 + 1<<(info-24)
	if len(b) < n {
		return major, 0, len(b), io.ErrUnexpectedEOF
	}
	arg = bigEndian(b[1:n])
	if shortest := cborHeadSize(arg); shortest != n && major < 7 {
		return major, arg, n, errNotShortest
	}
	return major, arg, n, nil
}

func cborHeadSize(arg uint64) int {
	switch {
	case arg < 24:
		return 1
	case arg <= math.MaxUint8:
		return 2
	case arg <= math.MaxUint16:
		return 3
	case arg <= math.MaxUint32:
		return 5
	}
	return 9
}

type cborReader struct {
	*source
	// left counts the records of the array that are to come; -1 for records
	// that follow each other. started says that it is known which it is.
	left    int64
	started bool
}

// head reads the head of an item, of which only the wanted major type is taken.
func (r *cborReader) head(want uint8, item string) (arg uint64, err error) {
	major, arg, n, err := r.peekHead(item)
	if err != nil {
		return 0, err
	}
	if major != want {
		return 0, r.fail(r.at, item, fmt.Errorf("CBOR of major type %d instead of %d", major, want))
	}
	r.skip(n)
	return arg, nil
}

func (r *cborReader) peekHead(item string) (major uint8, arg uint64, n int, err error) {
	b, peekErr := r.r.Peek(9)
	major, arg, n, err = parseHead(b)
	switch {
	case err == io.ErrUnexpectedEOF && peekErr != nil:
		err = unexpected(peekErr)
		fallthrough
	case err != nil:
		return 0, 0, 0, r.fail(r.at, item, err)
	}
	return major, arg, n, nil
}

// key reads a key of a map.
func (r *cborReader) key(want uint64, item string) error {
	got, err := r.head(cborUint, item)
	if err == nil && got != want {
		err = r.fail(r.at-1, item, fmt.Errorf("key %d instead of %d", got, want))
	}
	return err
}

// members reads the head of a map of n members.
func (r *cborReader) members(n uint64, item string) error {
	got, err := r.head(cborMap, item)
	if err == nil && got != n {
		err = r.fail(r.at-1, item, fmt.Errorf("a map of %d members instead of %d", got, n))
	}
	return err
}

// uint reads a number up to most.
func (r *cborReader) uint(most uint64, item string) (uint64, error) {
	at := r.at
	v, err := r.head(cborUint, item)
	if err == nil && v > most {
		err = r.fail(at, item, fmt.Errorf("%d, there can be %d", v, most))
	}
	return v, err
}

// text appends a byte or text string of at most limit bytes to dst.
func (r *cborReader) text(dst []byte, major uint8, limit int, item string) ([]byte, error) {
	at := r.at
	n, err := r.head(major, item)
	if err != nil {
		return dst, err
	}
	if n > uint64(limit) {
		return dst, r.fail(at, item, tooLong(n, limit))
	}
	start := len(dst)
	if dst, err = r.append(dst, int(n), item); err == nil && major == cborText && !utf8.Valid(dst[start:]) {
		err = r.fail(at, item, errors.New("text that is not UTF-8"))
	}
	return dst, err
}

// begin reads the head of the array, if there is one.
func (r *cborReader) begin() error {
	r.started, r.left = true, -1
	major, n, size, err := r.peekHead("log")
	if err != nil {
		return err
	}
	if major != cborArray {
		return nil
	}
	if n > math.MaxInt64 {
		return r.fail(r.at, "log", fmt.Errorf("%d records", n))
	}
	r.skip(size)
	r.left = int64(n)
	return nil
}

func (r *cborReader) read(rec *Record) error {
	if !r.started {
		if err := r.begin(); err != nil {
			return err
		}
	}
	switch {
	case r.left < 0 && r.atEnd():
		return io.EOF
	case r.left == 0:
		if !r.atEnd() {
			return r.fail(r.at, "end of the log", errors.New("something follows the array"))
		}
		return io.EOF
	case r.left > 0:
		r.left--
	}
	if err := r.members(5, "record"); err != nil {
		return err
	}
	if err := r.key(keyNumber, "recnum"); err != nil {
		return err
	}
	var err error
	if rec.Number, err = r.uint(math.MaxUint64, "recnum"); err != nil {
		return err
	}
	key, err := r.uint(math.MaxUint64, "index")
	if err != nil {
		return err
	}
	if key != keyPCR && key != keyNV {
		return r.fail(r.at-1, "index", fmt.Errorf("key %d is neither pcr (%d) nor nv_index (%d)", key, keyPCR, keyNV))
	}
	rec.NV = key == keyNV
	index, err := r.uint(math.MaxUint32, "index")
	if err != nil {
		return err
	}
	rec.PCR, rec.buf = uint32(index), rec.buf[:0]
	if err := r.digests(rec); err != nil {
		return err
	}
	if err := r.key(keyContentType, "content_type"); err != nil {
		return err
	}
	kind, err := r.uint(math.MaxUint64, "content_type")
	if err != nil {
		return err
	}
	rec.Type = ContentType(kind)
	if err := r.key(keyContent, "content"); err != nil {
		return err
	}
	return r.content(rec)
}

func (r *cborReader) digests(rec *Record) error {
	if err := r.key(keyDigests, "digests"); err != nil {
		return err
	}
	at := r.at
	n, err := r.head(cborArray, "digests")
	if err != nil {
		return err
	}
	if n > digestsMax {
		return r.fail(at, "digests", fmt.Errorf("%d, there can be %d", n, digestsMax))
	}
	// All digests fit, so that the slices hold.
	if cap(rec.buf) < digestsMax*digestMax {
		rec.buf = make([]byte, 0, digestsMax*digestMax)
	}
	rec.Digests = rec.Digests[:0]
	for range n {
		if err := r.members(2, "digest"); err != nil {
			return err
		}
		if err := r.key(keyFirst, "hashAlg"); err != nil {
			return err
		}
		id, err := r.uint(math.MaxUint16, "hashAlg")
		if err != nil {
			return err
		}
		if err := r.key(keySecond, "digest"); err != nil {
			return err
		}
		start := len(rec.buf)
		if rec.buf, err = r.text(rec.buf, cborBytes, digestMax, "digest"); err != nil {
			return err
		}
		rec.Digests = append(rec.Digests, Digest{AlgID: uint16(id), Sum: rec.buf[start:len(rec.buf):len(rec.buf)]})
	}
	return nil
}

func (r *cborReader) content(rec *Record) (err error) {
	rec.Template, rec.Data, rec.EventType = nil, nil, 0
	if rec.Type != IMATemplate && rec.Type != PCClient {
		return r.pass(0)
	}
	if err := r.members(2, "content"); err != nil {
		return err
	}
	if rec.Type == IMATemplate {
		if err := r.key(keyFirst, "template_name"); err != nil {
			return err
		}
		if rec.name, err = r.text(rec.name[:0], cborText, nameMax, "template_name"); err != nil {
			return err
		}
		rec.Template = rec.name
		return r.data(rec, "template_data")
	}
	if err := r.key(keyFirst, "event_type"); err != nil {
		return err
	}
	if err := r.eventType(rec); err != nil {
		return err
	}
	return r.data(rec, "event_data")
}

// eventType reads the number of an event, or its name.
func (r *cborReader) eventType(rec *Record) error {
	at := r.at
	major, _, _, err := r.peekHead("event_type")
	if err != nil {
		return err
	}
	if major != cborText {
		v, err := r.uint(math.MaxUint32, "event_type")
		rec.EventType = uint32(v)
		return err
	}
	name, err := r.text(nil, cborText, eventNameMax, "event_type")
	if err != nil {
		return err
	}
	var ok bool
	if rec.EventType, ok = eventByName(name); !ok {
		return r.fail(at, "event_type", fmt.Errorf("no event is called %q", name))
	}
	return nil
}

// data reads the second member of a content. The digests lie before it in the
// record's memory, which may move: their slices keep the old one.
func (r *cborReader) data(rec *Record, item string) (err error) {
	if err := r.key(keySecond, item); err != nil {
		return err
	}
	start := len(rec.buf)
	if rec.buf, err = r.text(rec.buf, cborBytes, r.limits.data, item); err != nil {
		return err
	}
	rec.Data = rec.buf[start:]
	return nil
}

// cborDepth bounds how deep content that is passed over nests, cborItems how many
// items an array or map of it has.
const (
	cborDepth = 8
	cborItems = 1 << 16
)

// pass passes over an item.
func (r *cborReader) pass(depth int) error {
	const item = "content"
	major, arg, n, err := r.peekHead(item)
	if err != nil {
		return err
	}
	switch major {
	case cborBytes, cborText:
		_, err = r.passText(major)
		return err
	case cborArray, cborMap:
		if depth == cborDepth || arg > cborItems {
			return r.fail(r.at, item, fmt.Errorf("%d items in depth %d, there can be %d in %d", arg, depth+1, cborItems, cborDepth))
		}
		r.skip(n)
		if major == cborMap {
			arg *= 2
		}
		for range arg {
			if err := r.pass(depth + 1); err != nil {
				return err
			}
		}
		return nil
	case cborTag:
		if depth == cborDepth {
			return r.fail(r.at, item, fmt.Errorf("nested more than %d deep", cborDepth))
		}
		r.skip(n)
		return r.pass(depth + 1)
	}
	r.skip(n)
	return nil
}

func (r *cborReader) passText(major uint8) (n uint64, err error) {
	at := r.at
	if n, err = r.head(major, "content"); err != nil {
		return 0, err
	}
	if n > uint64(r.limits.data) {
		return 0, r.fail(at, "content", tooLong(n, r.limits.data))
	}
	for left := int(n); left > 0; {
		chunk := min(left, 4096)
		if _, err := r.peek(chunk, "content"); err != nil {
			return 0, err
		}
		r.skip(chunk)
		left -= chunk
	}
	return n, nil
}

package cel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// recordSeparator stands before each text of RFC 7464.
const recordSeparator = 0x1e

// jsonStart knows an array of objects, an empty array, or an object that has the
// keys of a record.
func jsonStart(head []byte) bool {
	next := func(c byte) bool {
		head = bytes.TrimLeft(head, " \t\r\n")
		if len(head) > 0 && head[0] == c {
			head = head[1:]
			return true
		}
		return false
	}
	next(recordSeparator)
	array := next('[')
	if array && next(']') {
		return true
	}
	if !next('{') {
		return array && len(head) == 0
	}
	if !next('"') {
		return len(head) == 0
	}
	key, _, whole := bytes.Cut(head, []byte{'"'})
	for _, known := range recordKeys {
		if whole && string(key) == known || !whole && bytes.HasPrefix([]byte(known), key) {
			return true
		}
	}
	return false
}

// recordKeys are the keys of a record.
var recordKeys = [...]string{"recnum", "pcr", "nv_index", "digests", "content_type", "content"}

type jsonReader struct {
	*source
	scan    jsonScanner
	started bool
	array   bool
	ended   bool
	first   bool
}

// Members that a record has, and those of its content.
const (
	hasNumber = 1 << iota
	hasIndex
	hasDigests
	hasType
	hasContent

	hasTemplateName
	hasTemplateData
	hasEventType
	hasEventData
	hasOther
)

func (r *jsonReader) begin() error {
	r.started, r.first = true, true
	r.scan.source = r.source
	if c, ok := r.scan.space(); ok && c == '[' {
		r.skip(1)
		r.array = true
	}
	return nil
}

// advance goes to the next record; io.EOF says that there is none.
func (r *jsonReader) advance() error {
	if !r.started {
		if err := r.begin(); err != nil {
			return err
		}
	}
	switch {
	case r.array && !r.ended:
		ok, err := r.scan.more(r.first, ']', "log")
		if ok || err != nil {
			r.first = false
			return err
		}
		r.ended = true
		fallthrough
	case r.array:
		if c, ok := r.scan.space(); ok {
			return r.fail(r.at, "end of the log", fmt.Errorf("%q follows the array", c))
		}
	default:
		for {
			c, ok := r.scan.space()
			if !ok {
				break
			}
			if c != recordSeparator {
				return nil
			}
			r.skip(1)
		}
	}
	if !r.atEnd() {
		_, err := r.peek(1, "record") // what the source has failed with
		return err
	}
	return io.EOF
}

func (r *jsonReader) read(rec *Record) error {
	if err := r.advance(); err != nil {
		return err
	}
	start := r.at
	if err := r.scan.expect('{', "record"); err != nil {
		return err
	}
	rec.buf, rec.Digests = rec.buf[:0], rec.Digests[:0]
	rec.Template, rec.Data, rec.EventType, rec.Type = nil, nil, 0, 0
	// All digests fit, so that the slices hold.
	if cap(rec.buf) < digestsMax*digestMax {
		rec.buf = make([]byte, 0, digestsMax*digestMax)
	}
	has := 0
	for first := true; ; first = false {
		at := r.at
		key, ok, err := r.scan.member(first, "record")
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		bit, err := r.member(rec, key, &has)
		if err != nil {
			return err
		}
		if has&bit != 0 {
			return r.fail(at, "record", errors.New("a member comes twice"))
		}
		has |= bit
	}
	return r.whole(rec, has, start)
}

// member reads the value of a member of a record.
func (r *jsonReader) member(rec *Record, key []byte, has *int) (bit int, err error) {
	var v uint64
	switch string(key) {
	case "recnum":
		rec.Number, err = r.scan.number(math.MaxUint64, "recnum")
		return hasNumber, err
	case "pcr":
		v, err = r.scan.number(math.MaxUint32, "pcr")
		rec.PCR, rec.NV = uint32(v), false
		return hasIndex, err
	case "nv_index":
		v, err = r.scan.number(math.MaxUint32, "nv_index")
		rec.PCR, rec.NV = uint32(v), true
		return hasIndex, err
	case "digests":
		return hasDigests, r.digests(rec)
	case "content_type":
		return hasType, r.contentType(rec)
	case "content":
		return hasContent, r.content(rec, has)
	}
	return 0, r.fail(r.at, "record", fmt.Errorf("a record has no member %q", key))
}

// whole refuses a record that lacks something, or whose content is of another
// type than it says.
func (r *jsonReader) whole(rec *Record, has int, at int64) error {
	const all = hasNumber | hasIndex | hasDigests | hasType | hasContent
	if has&all != all {
		return r.fail(at, "record", errors.New("a record has recnum, pcr or nv_index, digests, content_type, content"))
	}
	want := 0
	switch rec.Type {
	case IMATemplate:
		want = hasTemplateName | hasTemplateData
	case PCClient:
		want = hasEventType | hasEventData
	default:
		rec.Template, rec.Data, rec.EventType = nil, nil, 0
		return nil
	}
	if has&^all != want {
		return r.fail(at, "content", fmt.Errorf("its members are not those of %s", rec.Type))
	}
	return r.bounds(rec, at)
}

func (r *jsonReader) digests(rec *Record) error {
	if err := r.scan.expect('[', "digests"); err != nil {
		return err
	}
	if len(rec.Digests) > 0 || len(rec.buf) > 0 && cap(rec.buf)-len(rec.buf) < digestsMax*digestMax {
		// There may be no room after the content.
		rec.buf = append(make([]byte, 0, len(rec.buf)+digestsMax*digestMax), rec.buf...)
	}
	for first := true; ; first = false {
		ok, err := r.scan.more(first, ']', "digests")
		if !ok || err != nil {
			return err
		}
		if len(rec.Digests) == digestsMax {
			return r.fail(r.at, "digests", fmt.Errorf("there can be %d", digestsMax))
		}
		if err := r.digest(rec); err != nil {
			return err
		}
	}
}

func (r *jsonReader) digest(rec *Record) error {
	if err := r.scan.expect('{', "digest"); err != nil {
		return err
	}
	at := r.at
	var d Digest
	algorithm, sum := false, false
	for first := true; ; first = false {
		key, ok, err := r.scan.member(first, "digest")
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		switch {
		case string(key) == "hashAlg" && !algorithm:
			algorithm = true
			d.AlgID, err = r.algorithm()
		case string(key) == "digest" && !sum:
			sum = true
			start := len(rec.buf)
			rec.buf, err = r.scan.hex(rec.buf, digestMax, "digest")
			d.Sum = rec.buf[start:len(rec.buf):len(rec.buf)]
		default:
			err = r.fail(r.at, "digest", fmt.Errorf("member %q is unknown or comes twice", key))
		}
		if err != nil {
			return err
		}
	}
	if !algorithm || !sum {
		return r.fail(at, "digest", errors.New("a digest has hashAlg and digest"))
	}
	rec.Digests = append(rec.Digests, d)
	return nil
}

// algorithm reads a TPM_ALG_ID: its name or number.
func (r *jsonReader) algorithm() (uint16, error) {
	name, at, err := r.name("hashAlg")
	if err != nil || name == nil {
		v, err := r.scan.number(math.MaxUint16, "hashAlg")
		return uint16(v), err
	}
	for _, a := range algorithms {
		if string(name) == a.name {
			return a.id, nil
		}
	}
	return 0, r.fail(at, "hashAlg", fmt.Errorf("no hash is called %q", name))
}

// name reads a string if there is one; otherwise name is nil, and a number is to
// be read.
func (r *jsonReader) name(item string) (name []byte, at int64, err error) {
	c, err := r.scan.next(item)
	at = r.at
	if err != nil || c != '"' {
		return nil, at, err
	}
	if name, err = r.scan.text(r.scan.scratch[:0], keyMax, item); err != nil {
		return nil, at, err
	}
	r.scan.scratch = name[:0]
	return name, at, nil
}

func (r *jsonReader) contentType(rec *Record) error {
	name, at, err := r.name("content_type")
	if err != nil || name == nil {
		v, err := r.scan.number(math.MaxUint64, "content_type")
		rec.Type = ContentType(v)
		return err
	}
	var ok bool
	if rec.Type, ok = contentByName(name); !ok {
		return r.fail(at, "content_type", fmt.Errorf("no content type is called %q", name))
	}
	return nil
}

// content reads what any content has, as its type may come after it.
func (r *jsonReader) content(rec *Record, has *int) error {
	c, err := r.scan.next("content")
	if err != nil {
		return err
	}
	if c != '{' {
		*has |= hasOther
		return r.scan.pass(0, "content")
	}
	r.skip(1)
	for first := true; ; first = false {
		key, ok, err := r.scan.member(first, "content")
		if err != nil || !ok {
			return err
		}
		bit := 0
		switch string(key) {
		case "template_name":
			bit = hasTemplateName
			rec.name, err = r.scan.text(rec.name[:0], nameMax, "template_name")
			rec.Template = rec.name
		case "template_data":
			bit = hasTemplateData
			err = r.data(rec, "template_data")
		case "event_type":
			bit = hasEventType
			err = r.eventType(rec)
		case "event_data":
			bit = hasEventData
			err = r.data(rec, "event_data")
		default:
			*has |= hasOther
			err = r.scan.pass(0, "content")
		}
		if err == nil && *has&bit != 0 {
			err = r.fail(r.at, "content", errors.New("a member comes twice"))
		}
		if err != nil {
			return err
		}
		*has |= bit
	}
}

func (r *jsonReader) data(rec *Record, item string) (err error) {
	start := len(rec.buf)
	rec.buf, err = r.scan.hex(rec.buf, r.limits.data, item)
	rec.Data = rec.buf[start:len(rec.buf):len(rec.buf)]
	return err
}

func (r *jsonReader) eventType(rec *Record) error {
	name, at, err := r.name("event_type")
	if err != nil || name == nil {
		v, err := r.scan.number(math.MaxUint32, "event_type")
		rec.EventType = uint32(v)
		return err
	}
	var ok bool
	if rec.EventType, ok = eventByName(name); !ok {
		return r.fail(at, "event_type", fmt.Errorf("no event is called %q", name))
	}
	return nil
}

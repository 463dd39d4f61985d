package ima

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
)

// ASCIIReader reads an ASCII measurement list, ascii_runtime_measurements
// (ima_ascii_measurements_show in ima_fs.c): a line for each record with the
// PCR, the template digest in hex, the template's name and the fields, with one
// blank before each field, also before one that is empty. Other blanks are not
// possible, as the kernel makes underscores of those in names.
//
// It is strict: a line that no kernel writes is a ListError. The kernel writes a
// newline in a name as it is, however, so a record may span lines. As names have
// no blanks, what follows such a newline never looks like the beginning of a
// record, and the reader takes it for the rest of the one before, if that one's
// template digest is not right without it. Ambiguity tells of each such record,
// because other readers of this form see something else there.
type ASCIIReader struct {
	r         *bufio.Reader
	format    Format
	hash      hash.Hash // of the template digests; nil if not available
	current   []byte    // the line being read
	ahead     [][]byte  // lines after it that have been looked at already
	tail      error     // why there is no line after those
	record    int       // number of the record being read, from 1
	line      int       // number of its line, from 1
	offset    int64     // where that line begins
	next      int64     // where the line after it begins
	last      *Template
	ambiguity *Ambiguity
	digest    [maxDigestSize]byte
	err       error
}

// Ambiguity describes a record of an ASCII list that spans lines because a
// newline is in its name.
type Ambiguity struct {
	Record int // number of the record, from 1
	Line   int // its first line, from 1
	Lines  int // how many lines it spans
	// Proven reports that the template digest is right for the lines taken
	// together. For a violation, whose digest is zero, nothing proves it.
	Proven bool
}

func (a *Ambiguity) String() string {
	s := fmt.Sprintf("record %d, line %d: the record spans %d lines, as its name has a newline", a.Record, a.Line, a.Lines)
	if !a.Proven {
		s += "; no template digest proves it"
	}
	return s
}

// joinMax bounds the text after the first line of a record, in bytes: a path
// has less than 4,096, and signatures in hex may follow it.
const joinMax = 64 << 10

// NewASCIIReader reads list, which it buffers. The error is about format.
func NewASCIIReader(list io.Reader, format Format) (*ASCIIReader, error) {
	format, err := format.normal()
	if err != nil {
		return nil, err
	}
	a := &ASCIIReader{r: bufio.NewReaderSize(list, 64<<10), format: format}
	if format.Digest.Available() {
		a.hash, _ = format.Digest.New()
	}
	return a, nil
}

// Read reads the next record into rec, using rec's memory again. At the end of
// the list it returns io.EOF. After an error it returns the same again.
func (a *ASCIIReader) Read(rec *Record) error {
	if a.err == nil {
		a.err = a.read(rec)
	}
	return a.err
}

// Format returns what the reader takes the list for, its defaults filled in.
func (a *ASCIIReader) Format() Format { return a.format }

// Ambiguity returns how the record last read spans lines; nil if
// it does not.
func (a *ASCIIReader) Ambiguity() *Ambiguity { return a.ambiguity }

func (a *ASCIIReader) position() int64 { return a.next }

func (a *ASCIIReader) read(rec *Record) error {
	a.ambiguity = nil
	a.record++
	if err := a.advance(); err != nil {
		return err
	}
	err := a.parse(rec, a.current)
	if err == nil && !rec.Violation() && a.proven(rec) {
		return nil
	}
	if a.join(rec) {
		return nil
	}
	// What the line says by itself holds; the try may have overwritten it.
	return a.parse(rec, a.current)
}

// join reads the present line and those after it, up to one that looks like a
// record, as one record. It answers false if that makes none.
func (a *ASCIIReader) join(rec *Record) bool {
	text := bytes.Clone(a.current)
	n := 0
	for {
		line, ok := a.lookAhead(n)
		if !ok || a.looksLikeRecord(line) {
			break
		}
		if len(text)+len(line) > len(a.current)+joinMax {
			return false
		}
		text = append(append(text, '\n'), line...)
		n++
	}
	if n == 0 || a.parse(rec, text) != nil {
		return false
	}
	a.ambiguity = &Ambiguity{Record: a.record, Line: a.line, Lines: n + 1, Proven: !rec.Violation() && a.hash != nil && a.proven(rec)}
	a.drop(n)
	return true
}

// proven reports whether rec's template digest is that of its fields, or that this
// package cannot know.
func (a *ASCIIReader) proven(rec *Record) bool {
	if a.hash == nil {
		return true
	}
	return showsDigest(rec.Digest, rec.appendTemplateDigest(a.digest[:0], a.hash))
}

// looksLikeRecord reports whether line begins with what stands before the fields.
func (a *ASCIIReader) looksLikeRecord(line []byte) bool {
	var rec Record
	_, err := a.parseHead(&rec, line)
	return err == nil
}

// parse reads text, which may hold newlines, as one record.
func (a *ASCIIReader) parse(rec *Record, text []byte) error {
	rest, err := a.parseHead(rec, text)
	if err != nil {
		return err
	}
	rec.data = rec.data[:0]
	fields := rec.template.fields
	for i, f := range fields {
		token, more, found := bytes.Cut(rest, []byte{' '})
		last := i == len(fields)-1
		if found == last {
			return a.fail("fields", a.fieldCount(rec.template, i+1, found, more))
		}
		rest = more
		if err := rec.appendParsed(i, f, token); err != nil {
			return a.fail("field "+f.id, err)
		}
	}
	return nil
}

// appendParsed adds field i, given as the list shows it.
func (r *Record) appendParsed(i int, f *field, token []byte) (err error) {
	lengthAt := len(r.data)
	bare := r.template.legacy && i == 0 // the ima template's d has no length
	if !bare {
		r.data = r.order.appendUint32(r.data, 0)
	}
	start := len(r.data)
	if r.data, err = f.parseText(r.data, token, r.order); err != nil {
		return err
	}
	switch {
	case bare:
		if n := len(r.data); n != SHA1.Size() && n != MD5.Size() {
			return fmt.Errorf("digest of %d bytes, sha1 has %d and md5 %d", n, SHA1.Size(), MD5.Size())
		}
	case r.template.legacy:
		r.data = r.data[:len(r.data)-1] // no NUL in the ima template's list form
		if err := r.checkField(f, r.data[start:]); err != nil {
			return err
		}
	}
	if !bare {
		r.order.putUint32(r.data[lengthAt:], uint32(len(r.data)-start))
	}
	r.spans[i] = span{start, len(r.data)}
	return nil
}

func (a *ASCIIReader) fieldCount(t *Template, seen int, more bool, rest []byte) error {
	want := len(t.fields)
	if more {
		return fmt.Errorf("template %s has %d fields, %d are here; the kernel writes no other blanks", t, want, seen+1+bytes.Count(rest, []byte{' '}))
	}
	return fmt.Errorf("template %s has %d fields, %d are here; blanks at the end of the line belong to the list and may have been lost", t, want, seen)
}

// parseHead reads the PCR, the template digest and the template's name, and
// returns what follows the blank after it.
func (a *ASCIIReader) parseHead(rec *Record, text []byte) (rest []byte, err error) {
	rec.order, rec.more = a.format.Order, rec.more[:0]
	rec.DigestAlgo = a.format.Digest
	pcr, rest, err := parsePCR(text)
	if err != nil {
		return nil, a.fail("PCR", err)
	}
	rec.PCR = pcr
	digest, rest, _ := bytes.Cut(rest, []byte{' '})
	if len(digest) != 2*a.format.DigestSize {
		return nil, a.fail("template digest", fmt.Errorf("%d hex digits, in a list of %s there are %d", len(digest), a.format.digests(), 2*a.format.DigestSize))
	}
	if rec.Digest, err = appendHex(rec.Digest[:0], digest); err != nil {
		return nil, a.fail("template digest", err)
	}
	name, rest, found := bytes.Cut(rest, []byte{' '})
	if !found {
		return nil, a.fail("template name", errors.New("no blank after it"))
	}
	if a.last == nil || string(name) != a.last.Name() {
		if a.last, err = templateOfRecord(string(name)); err != nil {
			a.last = nil
			return nil, a.fail("template name", err)
		}
	}
	rec.template = a.last
	return rest, nil
}

// parsePCR reads what "%2d " prints.
func parsePCR(text []byte) (pcr uint32, rest []byte, err error) {
	if len(text) < 3 || text[2] != ' ' || !isDigit(text[1]) ||
		text[0] != ' ' && (!isDigit(text[0]) || text[0] == '0') {
		return 0, nil, errors.New("a line begins with an index of two places and a blank")
	}
	pcr = uint32(text[1] - '0')
	if text[0] != ' ' {
		pcr += 10 * uint32(text[0]-'0')
	}
	return pcr, text[3:], checkPCR(pcr)
}

// advance makes the next line the present one.
func (a *ASCIIReader) advance() error {
	a.offset = a.next
	a.line++
	switch {
	case len(a.ahead) > 0:
		a.current = append(a.current[:0], a.ahead[0]...)
		a.ahead = append(a.ahead[:0], a.ahead[1:]...)
	case a.tail == nil:
		a.current, a.tail = a.readLine(a.current[:0])
		fallthrough
	default:
		if a.tail == io.EOF {
			return io.EOF
		}
		if a.tail != nil {
			return a.fail("line", a.tail)
		}
	}
	a.next = a.offset + int64(len(a.current)) + 1
	return nil
}

// drop forgets the n next lines.
func (a *ASCIIReader) drop(n int) {
	for _, l := range a.ahead[:n] {
		a.next += int64(len(l)) + 1
	}
	a.line += n
	a.ahead = append(a.ahead[:0], a.ahead[n:]...)
}

// lookAhead returns the line that is i places after the next one.
func (a *ASCIIReader) lookAhead(i int) ([]byte, bool) {
	for len(a.ahead) <= i && a.tail == nil {
		line, err := a.readLine(nil)
		if err != nil {
			a.tail = err
			break
		}
		a.ahead = append(a.ahead, line)
	}
	if len(a.ahead) <= i {
		return nil, false
	}
	return a.ahead[i], true
}

// readLine appends a line without its newline to dst. A line without a newline
// at the end of the list is cut off.
func (a *ASCIIReader) readLine(dst []byte) ([]byte, error) {
	for {
		part, err := a.r.ReadSlice('\n')
		dst = append(dst, part...)
		switch {
		case err == nil:
			return dst[:len(dst)-1], nil
		case err == io.EOF && len(dst) == 0:
			return dst, io.EOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return dst, unexpected(err)
		case len(dst)/2 > a.format.MaxData+joinMax:
			return dst, fmt.Errorf("more than %d bytes, which MaxData (%d) does not allow", len(dst), a.format.MaxData)
		}
	}
}

func (a *ASCIIReader) fail(item string, err error) error {
	return &ListError{Record: a.record, Offset: a.offset, Line: a.line, Item: item, Err: err}
}

// AppendText appends the record's line of the ASCII list, its newline included.
// Like the kernel it writes names as they are.
func (r *Record) AppendText(dst []byte) ([]byte, error) {
	if r.template == nil {
		return dst, errNoTemplate
	}
	if r.PCR < 10 {
		dst = append(dst, ' ')
	}
	dst = strconv.AppendUint(dst, uint64(r.PCR), 10)
	dst = append(dst, ' ')
	dst = hex.AppendEncode(dst, r.Digest)
	dst = append(dst, ' ')
	dst = append(dst, r.template.Name()...)
	for i := range r.template.fields {
		dst = append(dst, ' ')
		dst = r.appendField(dst, i)
	}
	return append(dst, '\n'), nil
}

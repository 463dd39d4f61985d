package ima

import (
	"bytes"
	"errors"
	"fmt"
	"hash"

	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// Record is one record of a measurement list (struct ima_template_entry).
//
// A Record that a reader has filled shares memory with the reader's next Read;
// Clone makes it last.
type Record struct {
	// PCR is the index of the PCR that the record was extended into.
	PCR uint32
	// Digest is the template digest that the list shows, DigestAlgo its
	// hash: sha1 except in the per-bank files of newer kernels. All zero
	// stands for a violation. A sha1 digest has zeros after it in the file of
	// a bank whose hash the kernel does not have.
	Digest     []byte
	DigestAlgo HashAlgo

	template *Template
	order    ByteOrder
	data     []byte
	spans    [fieldsMax]span
	// more are digests of other banks, of the memory sums.
	more []BankDigest
	sums []byte
}

// span is where a field's bytes lie in a record's data.
type span struct{ start, end int }

// MaxPCR is the greatest PCR index that a kernel takes (pcr= of a rule is kept in
// a bit mask); a TPM has fewer PCRs.
const MaxPCR = 63

func checkPCR(pcr uint32) error {
	if pcr > MaxPCR {
		return fmt.Errorf("index %d, the kernel takes 0 to %d", pcr, MaxPCR)
	}
	return nil
}

// BankDigest is a template digest of a record: the one that the kernel extends
// into the bank of Algo, zero for a violation. A kernel that does not have Algo
// extends the sha1 digest with zeros after it.
type BankDigest struct {
	Algo HashAlgo
	Sum  []byte
}

// NewRecord makes a record of the given field values, one for each field of the
// template, and computes its template digest with algo. The values are copied.
// A value that no kernel would put into its field is refused with a FieldError.
func NewRecord(t *Template, order ByteOrder, pcr uint32, algo HashAlgo, values ...[]byte) (*Record, error) {
	if len(values) != len(t.fields) {
		return nil, fmt.Errorf("template %s has %d fields, %d values were given", t, len(t.fields), len(values))
	}
	r := &Record{PCR: pcr, DigestAlgo: algo, template: t, order: order}
	for i, v := range values {
		switch {
		case t.legacy && i == 0:
			r.data = append(r.data, v...)
			continue
		case t.legacy:
			v = bytes.TrimSuffix(v, []byte{0})
		}
		r.data = order.appendUint32(r.data, uint32(len(v)))
		r.data = append(r.data, v...)
	}
	if err := r.parse(len(values[0])); err != nil {
		return nil, err
	}
	var err error
	r.Digest, err = r.TemplateDigest(algo)
	return r, err
}

// FieldError names the field of a record that is not as the kernel makes it.
type FieldError struct {
	Template string
	Field    string
	Offset   int // of the field in the template data, in bytes
	Reason   string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("template %s: field %s at byte %d of the template data: %s", clip.String(e.Template), e.Field, e.Offset, e.Reason)
}

func (r *Record) fieldError(i, offset int, format string, args ...any) error {
	return &FieldError{Template: r.template.Name(), Field: r.template.fields[i].id, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// parse finds the fields in r.data, which must hold them and nothing else.
// digestSize is the size of the ima template's d, which has no length.
func (r *Record) parse(digestSize int) error {
	at := 0
	for i, f := range r.template.fields {
		if r.template.legacy && i == 0 {
			if digestSize != MD5.Size() && digestSize != SHA1.Size() {
				return r.fieldError(i, at, "digest of %d bytes, sha1 has %d and md5 %d", digestSize, SHA1.Size(), MD5.Size())
			}
			if len(r.data) < digestSize {
				return r.fieldError(i, at, "%d bytes are left for the digest, it has %d", len(r.data), digestSize)
			}
			at = digestSize
			r.spans[i] = span{0, at}
			continue
		}
		if len(r.data)-at < 4 {
			return r.fieldError(i, at, "%d bytes are left, the length of the field needs 4", len(r.data)-at)
		}
		n := r.order.uint32(r.data[at:])
		at += 4
		if uint64(n) > uint64(len(r.data)-at) {
			return r.fieldError(i, at-4, "length %d, but %d bytes are left", n, len(r.data)-at)
		}
		s := span{at, at + int(n)}
		if err := r.checkField(f, r.data[s.start:s.end]); err != nil {
			return r.fieldError(i, at-4, "%v", err)
		}
		r.spans[i] = s
		at = s.end
	}
	if at != len(r.data) {
		return r.fieldError(len(r.template.fields)-1, at, "%d bytes follow the last field", len(r.data)-at)
	}
	return nil
}

func (r *Record) checkField(f *field, b []byte) error {
	if !r.template.legacy {
		return f.check(b)
	}
	// In the ima template's list form a name has no NUL.
	if len(b) > eventNameMax {
		return fmt.Errorf("name of %d bytes, the kernel cuts it to %d", len(b), eventNameMax)
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return fmt.Errorf("name with a NUL")
	}
	return nil
}

// Template returns the record's template.
func (r *Record) Template() *Template { return r.template }

// Order returns the byte order of the record's integers.
func (r *Record) Order() ByteOrder { return r.order }

// Data returns the template data as the binary list holds it after its length.
// For every template but ima the template digest is computed of it.
// The slice is the record's own.
func (r *Record) Data() []byte { return r.data }

// Field returns the bytes of the first field with the identifier id, without
// their length; ok is false if the template has no such field. The slice is
// the record's own.
func (r *Record) Field(id string) (value []byte, ok bool) {
	i := r.template.index(id)
	if i < 0 {
		return nil, false
	}
	return r.data[r.spans[i].start:r.spans[i].end], true
}

// FieldText returns what the ASCII list shows of the field with identifier id,
// empty if there is none.
func (r *Record) FieldText(id string) string {
	i := r.template.index(id)
	if i < 0 {
		return ""
	}
	return string(r.appendField(nil, i))
}

// Name returns the event name: the n-ng or n field without its NUL.
func (r *Record) Name() string { return string(r.name()) }

func (r *Record) name() []byte {
	b, ok := r.Field("n-ng")
	if !ok {
		b, _ = r.Field("n")
	}
	return bytes.TrimSuffix(b, []byte{0})
}

// FileDigest returns the digest of the measured file or buffer: the d-ng, d-ngv2
// or d field; ok is false if the template has none of them.
func (r *Record) FileDigest() (d FileDigest, ok bool) {
	for _, id := range []string{"d-ng", "d-ngv2", "d"} {
		if b, ok := r.Field(id); ok {
			return decodeDigest(b, id), true
		}
	}
	return FileDigest{}, false
}

// Violation reports whether the record stands for a violation: its template digest
// is zero, and its PCR was extended with ones.
func (r *Record) Violation() bool { return allZero(r.Digest) }

// showsDigest reports whether shown, a Record's Digest, is sum, with zeros after
// it or none.
func showsDigest(shown, sum []byte) bool {
	return len(shown) >= len(sum) && bytes.Equal(shown[:len(sum)], sum) && allZero(shown[len(sum):])
}

// TemplateDigest computes the template digest of the record's data with algo
// (ima_calc_field_array_hash_tfm), no matter what Digest says. The error is an
// UnavailableHashError.
func (r *Record) TemplateDigest(algo HashAlgo) ([]byte, error) {
	h, err := algo.New()
	if err != nil {
		return nil, err
	}
	return r.appendTemplateDigest(nil, h), nil
}

// appendTemplateDigest hashes the data as it is, lengths and all. The ima
// template alone has no lengths and pads the name to eventNameOf bytes.
func (r *Record) appendTemplateDigest(dst []byte, h hash.Hash) []byte {
	h.Reset()
	if !r.template.legacy {
		h.Write(r.data)
		return h.Sum(dst)
	}
	d, n := r.spans[0], r.spans[1]
	h.Write(r.data[d.start:d.end])
	h.Write(r.data[n.start:n.end])
	h.Write(zeroName[n.end-n.start:])
	return h.Sum(dst)
}

// zeroName pads a name.
var zeroName [eventNameOf]byte

// Clone returns a copy that shares no memory with r.
func (r *Record) Clone() *Record {
	c := *r
	c.Digest = bytes.Clone(r.Digest)
	c.data = bytes.Clone(r.data)
	c.cloneMore()
	return &c
}

// cloneMore returns the record digests of its own.
func (r *Record) cloneMore() {
	r.sums = nil
	more := r.more
	r.more = nil
	for _, d := range more {
		r.more = append(r.more, BankDigest{d.Algo, bytes.Clone(d.Sum)})
	}
}

// Digests returns all template digests of the record: Digest, and what Decode was
// given beside it. They are the record's own.
func (r *Record) Digests() []BankDigest {
	return append([]BankDigest{{r.DigestAlgo, r.Digest}}, r.more...)
}

// appendField appends what the ASCII list shows of field i.
func (r *Record) appendField(dst []byte, i int) []byte {
	b := r.data[r.spans[i].start:r.spans[i].end]
	if r.template.legacy && i == 1 {
		return append(dst, b...) // no NUL to be left out
	}
	return r.template.fields[i].appendText(dst, b, r.order)
}

var errNoTemplate = errors.New("the record is empty: make one with NewRecord or read one")

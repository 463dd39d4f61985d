package ima

import (
	"errors"
	"fmt"
	"io"
)

// Format says how the kernel wrote a list. The zero value stands for the files
// every kernel has: sha1 template digests, little-endian.
type Format struct {
	// Order is the byte order of the integers, in the binary list and in
	// the template data that is hashed. The ASCII list needs it too: its
	// template digests are those of the kernel that wrote it.
	Order ByteOrder
	// OrderKnown has NewReader take Order, which it finds out otherwise.
	OrderKnown bool
	// Digest is the hash of the template digests. A per-bank file (since
	// 6.10) has that of its bank. If it is zero, NewReader finds it out, and
	// NewBinaryReader and NewASCIIReader take sha1.
	Digest HashAlgo
	// DigestSize is the size of a template digest in bytes; zero stands for
	// that of Digest. In the file of a bank whose hash the kernel does not
	// have it is greater: sha1 digests stand there, with zeros after them.
	DigestSize int
	// LegacyHash is the hash of the ima template's d field: sha1 or md5. The
	// binary list does not say which it is. If it is zero, NewReader finds it
	// out, and the other functions take sha1.
	LegacyHash HashAlgo
	// MaxData bounds the template data of one record in bytes, DefaultMaxData
	// if zero. Memory grows with what is read, not with what a length says.
	MaxData int
}

// DefaultMaxData is the most template data that a reader takes in one record
// unless told otherwise: 64 MiB. The kernel has no limit; buffers of some
// megabytes (a policy, an LSM's state) occur.
const DefaultMaxData = 64 << 20

// normal fills in the defaults and refuses what cannot be read.
func (f Format) normal() (Format, error) {
	if f.Digest == 0 {
		f.Digest = SHA1
	}
	if f.LegacyHash == 0 {
		f.LegacyHash = SHA1
	}
	if f.MaxData == 0 {
		f.MaxData = DefaultMaxData
	}
	if f.DigestSize == 0 {
		f.DigestSize = f.Digest.Size()
	}
	switch {
	case !f.Digest.valid():
		return f, &UnknownHashError{Name: f.Digest.String()}
	case f.DigestSize != f.Digest.Size() && (f.Digest != SHA1 || f.DigestSize < SHA1.Size() || f.DigestSize > maxDigestSize):
		return f, fmt.Errorf("DigestSize is %d; digests of %s have %d bytes, and those of sha1 alone have zeros after them, up to %d bytes", f.DigestSize, f.Digest, f.Digest.Size(), maxDigestSize)
	case f.LegacyHash != SHA1 && f.LegacyHash != MD5:
		return f, fmt.Errorf("the ima template has digests of sha1 or md5, not of %s", f.LegacyHash)
	case f.MaxData < 0:
		return f, fmt.Errorf("MaxData is %d, it cannot be negative", f.MaxData)
	}
	return f, nil
}

// ListError says where a list is not what a kernel writes.
type ListError struct {
	// Record is the number of the record, from 1.
	Record int
	// Offset is where the offending item begins: in bytes from the start of
	// a binary list. In an ASCII list it is where its line begins.
	Offset int64
	// Line is the line in an ASCII list, from 1; 0 in a binary one.
	Line int
	// Item is the part that could not be read: "PCR", "template name", …
	Item string
	// Err says why: io.ErrUnexpectedEOF for a list that is cut off, a
	// FieldError, a TemplateFormatError or a text.
	Err error
}

func (e *ListError) Error() string {
	where := fmt.Sprintf("byte %d", e.Offset)
	if e.Line > 0 {
		where = fmt.Sprintf("line %d", e.Line)
	}
	return fmt.Sprintf("record %d, %s: %s: %v", e.Record, where, e.Item, e.Err)
}

func (e *ListError) Unwrap() error { return e.Err }

// digests names what the template digests of a list are.
func (f Format) digests() string {
	if f.DigestSize > f.Digest.Size() {
		return fmt.Sprintf("%s digests with zeros, %d bytes", f.Digest, f.DigestSize)
	}
	return f.Digest.String() + " digests"
}

// unexpected turns an end of the list inside a record into what it is.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

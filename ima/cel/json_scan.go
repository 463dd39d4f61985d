package cel

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonScanner reads JSON texts (RFC 8259) from a stream, each kind where it is
// wanted. A library would need a whole log in memory, as a log is one array.
type jsonScanner struct {
	*source
	scratch []byte
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// space passes over blanks, and gives the byte that follows, which stays; ok is
// false at the end.
func (r *jsonScanner) space() (c byte, ok bool) {
	for {
		b, err := r.r.Peek(1)
		if err != nil {
			return 0, false
		}
		if !isSpace(b[0]) {
			return b[0], true
		}
		if b[0] == '\n' {
			r.line++
		}
		r.skip(1)
	}
}

// next is space where something has to follow.
func (r *jsonScanner) next(item string) (byte, error) {
	c, ok := r.space()
	if !ok {
		_, err := r.peek(1, item)
		return 0, err
	}
	return c, nil
}

// expect reads a byte.
func (r *jsonScanner) expect(want byte, item string) error {
	// Most texts have no blanks.
	if c, err := r.r.ReadByte(); err == nil {
		if c == want {
			r.at++
			return nil
		}
		_ = r.r.UnreadByte()
	}
	c, err := r.next(item)
	if err != nil {
		return err
	}
	if c != want {
		return r.fail(r.at, item, fmt.Errorf("%q instead of %q", c, want))
	}
	r.skip(1)
	return nil
}

// more reads what separates the members of an object or an array that ends with
// end; ok is false if that is here.
func (r *jsonScanner) more(first bool, end byte, item string) (ok bool, err error) {
	c, err := r.next(item)
	switch {
	case err != nil:
		return false, err
	case c == end:
		r.skip(1)
		return false, nil
	case first:
		return true, nil
	}
	return true, r.expect(',', item)
}

// member reads the key of the next member of an object; ok is false at its end.
func (r *jsonScanner) member(first bool, item string) (key []byte, ok bool, err error) {
	if ok, err = r.more(first, '}', item); !ok || err != nil {
		return nil, false, err
	}
	if key, err = r.text(r.scratch[:0], keyMax, item); err != nil {
		return nil, false, err
	}
	r.scratch = key[:0]
	return key, true, r.expect(':', item)
}

// keyMax bounds a key, in bytes.
const keyMax = 256

// text appends a string of at most limit bytes to dst.
func (r *jsonScanner) text(dst []byte, limit int, item string) ([]byte, error) {
	if err := r.expect('"', item); err != nil {
		return dst, err
	}
	at, start := r.at-1, len(dst)
	for {
		part, err := r.part(item)
		if err != nil {
			return dst, err
		}
		for i, c := range part {
			if c < ' ' {
				return dst, r.fail(r.at+int64(i), item, fmt.Errorf("control character 0x%02x in a string", c))
			}
		}
		dst = append(dst, part...)
		r.skip(len(part))
		if len(dst)-start > limit {
			return dst, r.fail(at, item, fmt.Errorf("a string of more than %d bytes", limit))
		}
		b, err := r.peek(1, item)
		if err != nil {
			return dst, err
		}
		switch b[0] {
		case '"':
			r.skip(1)
			if !utf8.Valid(dst[start:]) {
				return dst, r.fail(at, item, errors.New("text that is not UTF-8"))
			}
			return dst, nil
		case '\\':
			if dst, err = r.escape(dst, item); err != nil {
				return dst, err
			}
		}
	}
}

// part returns what is buffered of a string, up to a quotation mark or backslash.
// It stays.
func (r *jsonScanner) part(item string) ([]byte, error) {
	if r.r.Buffered() == 0 {
		if _, err := r.peek(1, item); err != nil {
			return nil, err
		}
	}
	// Most strings are short: a little is enough to look at first.
	part, _ := r.r.Peek(min(r.r.Buffered(), 256))
	if i := bytes.IndexByte(part, '"'); i >= 0 {
		part = part[:i]
	}
	if i := bytes.IndexByte(part, '\\'); i >= 0 {
		part = part[:i]
	}
	return part, nil
}

// escape reads an escape sequence.
func (r *jsonScanner) escape(dst []byte, item string) ([]byte, error) {
	b, err := r.peek(2, item)
	if err != nil {
		return dst, err
	}
	const short, means = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := bytes.IndexByte([]byte(short), b[1]); i >= 0 {
		r.skip(2)
		return append(dst, means[i]), nil
	}
	c, err := r.unicode(item)
	if err != nil {
		return dst, err
	}
	if utf16.IsSurrogate(c) {
		at := r.at
		low, err := r.unicode(item)
		if err != nil {
			return dst, err
		}
		if c = utf16.DecodeRune(c, low); c == utf8.RuneError {
			return dst, r.fail(at, item, errors.New("half of a surrogate pair"))
		}
	}
	return utf8.AppendRune(dst, c), nil
}

// unicode reads \uXXXX.
func (r *jsonScanner) unicode(item string) (rune, error) {
	b, err := r.peek(6, item)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseUint(string(b[2:]), 16, 16)
	if b[0] != '\\' || b[1] != 'u' || err != nil {
		return 0, r.fail(r.at, item, fmt.Errorf("no escape sequence begins with %q", b[:2]))
	}
	r.skip(6)
	return rune(v), nil
}

// hex appends the bytes of a string of hex digits, at most limit, to dst.
func (r *jsonScanner) hex(dst []byte, limit int, item string) ([]byte, error) {
	if err := r.expect('"', item); err != nil {
		return dst, err
	}
	at, start := r.at, len(dst)
	var pair [2]byte // a byte whose digits are buffered one after the other
	half := false
	for {
		part, err := r.part(item)
		if err != nil {
			return dst, err
		}
		size := len(part)
		if half && size > 0 {
			pair[1], part, half = part[0], part[1:], false
			if dst, err = hex.AppendDecode(dst, pair[:]); err != nil {
				return dst, r.fail(at, item, err)
			}
		}
		if len(part)%2 != 0 {
			pair[0], half = part[len(part)-1], true
			part = part[:len(part)-1]
		}
		if dst, err = hex.AppendDecode(dst, part); err != nil {
			return dst, r.fail(at, item, err)
		}
		r.skip(size)
		if len(dst)-start > limit {
			return dst, r.fail(at, item, fmt.Errorf("more than %d bytes", limit))
		}
		b, err := r.peek(1, item)
		if err != nil {
			return dst, err
		}
		switch {
		case b[0] == '"' && !half:
			r.skip(1)
			return dst, nil
		case b[0] == '"':
			return dst, r.fail(at, item, hex.ErrLength)
		case b[0] == '\\':
			return dst, r.fail(r.at, item, errors.New("hex digits are not escaped"))
		}
	}
}

// number reads a number without sign, fraction and exponent, up to most.
func (r *jsonScanner) number(most uint64, item string) (v uint64, err error) {
	c, err := r.next(item)
	if err != nil {
		return 0, err
	}
	at, n := r.at, 0
	for ; c >= '0' && c <= '9'; n++ {
		digit := uint64(c - '0')
		if n == 1 && v == 0 {
			return 0, r.fail(at, item, errors.New("a number that begins with 0"))
		}
		if v > (math.MaxUint64-digit)/10 || 10*v+digit > most {
			return 0, r.fail(at, item, fmt.Errorf("the number is too large, there can be %d", most))
		}
		v = 10*v + digit
		r.skip(1)
		b, err := r.r.Peek(1)
		if err == io.EOF {
			return v, nil
		}
		if err != nil {
			return 0, r.fail(r.at, item, err)
		}
		c = b[0]
	}
	switch {
	case n == 0:
		return 0, r.fail(at, item, fmt.Errorf("%q instead of a number", c))
	case c == '.' || c == 'e' || c == 'E':
		return 0, r.fail(at, item, errors.New("not a plain number"))
	}
	return v, nil
}

// jsonDepth bounds how deep content that is passed over nests.
const jsonDepth = 8

// pass passes over a value.
func (r *jsonScanner) pass(depth int, item string) error {
	c, err := r.next(item)
	if err != nil {
		return err
	}
	if depth == jsonDepth {
		return r.fail(r.at, item, fmt.Errorf("nested more than %d deep", jsonDepth))
	}
	switch c {
	case '{':
		r.skip(1)
		for first := true; ; first = false {
			if _, ok, err := r.member(first, item); !ok || err != nil {
				return err
			}
			if err := r.pass(depth+1, item); err != nil {
				return err
			}
		}
	case '[':
		r.skip(1)
		for first := true; ; first = false {
			if ok, err := r.more(first, ']', item); !ok || err != nil {
				return err
			}
			if err := r.pass(depth+1, item); err != nil {
				return err
			}
		}
	case '"':
		text, err := r.text(r.scratch[:0], r.limits.data, item)
		r.scratch = text[:0]
		return err
	}
	return r.passWord(item)
}

// passWord passes over a number, true, false or null.
func (r *jsonScanner) passWord(item string) error {
	at := r.at
	var word []byte
	for {
		b, err := r.r.Peek(1)
		if err != nil && err != io.EOF {
			return r.fail(r.at, item, err)
		}
		if err == io.EOF || bytes.IndexByte([]byte("+-.0123456789Eaeflnrstu"), b[0]) < 0 {
			break
		}
		if word = append(word, b[0]); len(word) > 64 {
			break
		}
		r.skip(1)
	}
	if _, err := strconv.ParseFloat(string(word), 64); err == nil && (word[0] == '-' || word[0] >= '0' && word[0] <= '9') {
		return nil
	}
	switch string(word) {
	case "true", "false", "null":
		return nil
	}
	return r.fail(at, item, fmt.Errorf("no JSON value begins with %q", word))
}

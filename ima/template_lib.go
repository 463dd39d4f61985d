package ima

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// dataFormat is enum data_formats of ima_template_lib.c.
type dataFormat uint8

const (
	digestOnly        dataFormat = iota // the digest, nothing else
	digestAlgo                          // algorithm ':' NUL digest
	digestTypeAndAlgo                   // type ':' algorithm ':' NUL digest
	stringNUL                           // text NUL
	rawHex                              // bytes, hex in the ASCII list
	unsigned                            // integer in the kernel's order
)

// field is a row of supported_fields: how the bytes of a template field look.
type field struct {
	id     string
	format dataFormat
	// empty reports that the kernel leaves the field without bytes when it has
	// nothing to put there.
	empty bool
	width int // of an unsigned field, in bytes
	init  func(*EventData) ([]byte, error)
}

// supportedFields is the table of ima_template.c in its order.
var supportedFields = []field{
	{id: "d", format: digestOnly, init: initDigest},
	{id: "n", format: stringNUL, init: initName},
	{id: "d-ng", format: digestAlgo, init: initDigestNG},
	{id: "d-ngv2", format: digestTypeAndAlgo, init: initDigestNGv2},
	{id: "n-ng", format: stringNUL, init: initNameNG},
	{id: "sig", format: rawHex, empty: true, init: initSig},
	{id: "buf", format: rawHex, empty: true, init: initBuf},
	{id: "d-modsig", format: digestAlgo, empty: true, init: initDigestModsig},
	{id: "modsig", format: rawHex, empty: true, init: initModsig},
	{id: "evmsig", format: rawHex, empty: true, init: initEVMSig},
	{id: "iuid", format: unsigned, empty: true, width: 4, init: initInodeUID},
	{id: "igid", format: unsigned, empty: true, width: 4, init: initInodeGID},
	{id: "imode", format: unsigned, empty: true, width: 2, init: initInodeMode},
	{id: "xattrnames", format: stringNUL, empty: true, init: initXattrNames},
	{id: "xattrlengths", format: rawHex, empty: true, init: initXattrLengths},
	{id: "xattrvalues", format: rawHex, empty: true, init: initXattrValues},
}

func lookupField(id string) *field {
	for i := range supportedFields {
		if supportedFields[i].id == id {
			return &supportedFields[i]
		}
	}
	return nil
}

func fieldIDs() string {
	ids := make([]string, len(supportedFields))
	for i := range supportedFields {
		ids[i] = supportedFields[i].id
	}
	return strings.Join(ids, ", ")
}

// check refuses bytes that no kernel puts into the field. Strictness here is
// what makes a name mean the same to every reader: a C program ends it at the
// first NUL, so there must be none but the last.
func (f *field) check(b []byte) error {
	if len(b) == 0 {
		if f.empty {
			return nil
		}
		return fmt.Errorf("is empty, which the kernel never leaves it")
	}
	switch f.format {
	case digestOnly:
		if len(b) > maxDigestSize {
			return fmt.Errorf("digest of %d bytes, at most %d are possible", len(b), maxDigestSize)
		}
	case digestAlgo:
		return checkLabel(b, 1)
	case digestTypeAndAlgo:
		return checkLabel(b, 2)
	case stringNUL:
		if i := bytes.IndexByte(b, 0); i != len(b)-1 {
			return fmt.Errorf("a string ends in its only NUL, here the first of %d bytes is at %d", len(b), i)
		}
		if f.empty && len(b) == 1 {
			return fmt.Errorf("holds a NUL alone; without a value the kernel leaves it empty")
		}
	case unsigned:
		if len(b) != f.width {
			return fmt.Errorf("integer of %d bytes, the field has %d", len(b), f.width)
		}
	}
	return nil
}

// checkLabel refuses a digest field whose label is not words parts of printable
// text, each with a colon after it, closed by a NUL.
func checkLabel(b []byte, words int) error {
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		return fmt.Errorf("no NUL after the algorithm's name")
	}
	parts := 0
	part := 0 // length of the present one
	for _, c := range b[:end] {
		switch {
		case c == ':' && part > 0:
			parts, part = parts+1, 0
		case c == ':' || c <= ' ' || c > '~':
			return fmt.Errorf("label %q is not an algorithm's name and a colon", clip.String(string(b[:end])))
		default:
			part++
		}
	}
	if parts != words || part != 0 {
		return fmt.Errorf("label %q has %d names with a colon, the field has %d", clip.String(string(b[:end])), parts, words)
	}
	if n := len(b) - end - 1; n > maxDigestSize {
		return fmt.Errorf("digest of %d bytes, at most %d are possible", n, maxDigestSize)
	}
	return nil
}

// appendText writes what the ASCII list shows of a field that passed check
// (ima_show_template_data_ascii).
func (f *field) appendText(dst, b []byte, order ByteOrder) []byte {
	if len(b) == 0 {
		return dst
	}
	switch f.format {
	case digestAlgo, digestTypeAndAlgo:
		end := bytes.IndexByte(b, 0)
		dst = append(dst, b[:end]...)
		return hex.AppendEncode(dst, b[end+1:])
	case stringNUL:
		return append(dst, b[:len(b)-1]...)
	case unsigned:
		return strconv.AppendUint(dst, f.number(b, order), 10)
	default:
		return hex.AppendEncode(dst, b)
	}
}

func (f *field) number(b []byte, order ByteOrder) uint64 {
	if f.width == 2 {
		return uint64(order.uint16(b))
	}
	return uint64(order.uint32(b))
}

// parseText appends to dst the field's bytes for what the ASCII list shows of
// it. It is the inverse of appendText.
func (f *field) parseText(dst, text []byte, order ByteOrder) ([]byte, error) {
	if len(text) == 0 && (f.empty || f.format != stringNUL) {
		if !f.empty {
			return dst, fmt.Errorf("is empty, which the kernel never leaves it")
		}
		return dst, nil
	}
	start := len(dst)
	var err error
	switch f.format {
	case stringNUL:
		dst = append(append(dst, text...), 0)
	case unsigned:
		dst, err = f.parseNumber(dst, text, order)
	case digestAlgo, digestTypeAndAlgo:
		label := bytes.LastIndexByte(text, ':') + 1
		dst = append(append(dst, text[:label]...), 0)
		dst, err = appendHex(dst, text[label:])
	default:
		dst, err = appendHex(dst, text)
	}
	if err != nil {
		return dst, err
	}
	return dst, f.check(dst[start:])
}

func (f *field) parseNumber(dst, text []byte, order ByteOrder) ([]byte, error) {
	if len(text) > 10 || len(text) > 1 && text[0] == '0' {
		return dst, fmt.Errorf("%q is not a number as the kernel prints it", clip.String(string(text)))
	}
	var n uint64
	for _, c := range text {
		if c < '0' || c > '9' {
			return dst, fmt.Errorf("%q is not a decimal number", clip.String(string(text)))
		}
		n = n*10 + uint64(c-'0')
	}
	if n>>(8*f.width) != 0 {
		return dst, fmt.Errorf("%d does not fit into %d bytes", n, f.width)
	}
	if f.width == 2 {
		return order.appendUint16(dst, uint16(n)), nil
	}
	return order.appendUint32(dst, uint32(n)), nil
}

// appendHex decodes lower-case hex, the only one that the kernel prints: were
// the other case taken, a list would not be written again as it was read.
func appendHex(dst, text []byte) ([]byte, error) {
	if len(text)%2 != 0 {
		return dst, fmt.Errorf("odd number (%d) of hex digits", len(text))
	}
	for i := 0; i < len(text); i += 2 {
		hi, lo := hexDigit[text[i]], hexDigit[text[i+1]]
		if hi|lo > 0xf {
			return dst, fmt.Errorf("%q is not lower-case hex", text[i:i+2])
		}
		dst = append(dst, hi<<4|lo)
	}
	return dst, nil
}

// hexDigit has the value of each lower-case hex digit, 0xff for other bytes.
var hexDigit = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}()

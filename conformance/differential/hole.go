package differential

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// HoleKind says what a device gets in a hole.
type HoleKind uint8

// The kinds of holes.
const (
	// HoleField is a field of the answer to an earlier step: a handle, a blob,
	// a ticket, a name.
	HoleField HoleKind = iota
	// HoleSalt is a TPM2B_ENCRYPTED_SECRET: Text, encrypted to the key in the
	// first place of the handle area (TPM 2.0 Library Part 1, section
	// "Secret Sharing").
	HoleSalt
	// HoleNonce is the TPM2B_NONCE of the session in the last place of the
	// handle area.
	HoleNonce
	// HoleSigned is the TPMT_SIGNATURE that TPM2_PolicySigned wants, by the key
	// of this package that Text names.
	HoleSigned
)

// Hole is a place in a command where each device gets bytes of its own.
type Hole struct {
	// At and Len are the place in Step.Data; there are zeros in it.
	At, Len int
	Kind    HoleKind
	// Step is the ID of the step whose answer a HoleField is from. Field 0 is
	// the handle of the response, the others are its parameters from 1 on.
	Step, Field int
	Text        []byte
	// Edits spoil the bytes, Keep (unless 0) cuts them to so many at most.
	Edits []Edit
	Keep  int
}

// Edit flips bits of one byte.
type Edit struct {
	At  int
	Xor byte
}

// placeholder is how many zeros stand for the hole: what the smallest value of
// its kind has.
func (h Hole) placeholder() int {
	if h.Kind == HoleField && h.Field == 0 {
		return 4
	}
	return 2
}

// String gives the hole as a transcript has it: {7.2} is the second parameter
// of the answer to step 7, {7.2^12=80} that with a flipped bit, {7.2/9} its
// first 9 bytes; {salt:6162}, {nonce} and {signed:rsa} are made by the caller's
// side of a session.
func (h Hole) String() string {
	var b strings.Builder
	b.WriteByte('{')
	switch h.Kind {
	case HoleField:
		fmt.Fprintf(&b, "%d.%d", h.Step, h.Field)
	case HoleSalt:
		fmt.Fprintf(&b, "salt:%x", h.Text)
	case HoleNonce:
		b.WriteString("nonce")
	case HoleSigned:
		b.WriteString("signed:" + string(h.Text))
	}
	for _, e := range h.Edits {
		fmt.Fprintf(&b, "^%d=%02x", e.At, e.Xor)
	}
	if h.Keep > 0 {
		fmt.Fprintf(&b, "/%d", h.Keep)
	}
	b.WriteByte('}')
	return b.String()
}

// parseHole reads what String wrote, without the braces.
func parseHole(text string) (Hole, error) {
	wrong := fmt.Errorf("%q is no hole; want {STEP.FIELD}, {salt:HEX}, {nonce} or {signed:KEY}, with ^AT=XOR and /KEEP behind", "{"+text+"}")
	text, keep, cut := strings.Cut(text, "/")
	parts := strings.Split(text, "^")
	h, ok := parseHoleKind(parts[0])
	for _, part := range parts[1:] {
		at, xor, both := strings.Cut(part, "=")
		n, errAt := strconv.ParseUint(at, 10, 16)
		x, errXor := strconv.ParseUint(xor, 16, 8)
		ok = ok && both && errAt == nil && errXor == nil
		h.Edits = append(h.Edits, Edit{At: int(n), Xor: byte(x)})
	}
	if cut {
		n, err := strconv.ParseUint(keep, 10, 16)
		ok = ok && err == nil && n > 0
		h.Keep = int(n)
	}
	if !ok {
		return Hole{}, wrong
	}
	return h, nil
}

func parseHoleKind(text string) (h Hole, ok bool) {
	kind, argument, _ := strings.Cut(text, ":")
	switch kind {
	case "nonce":
		return Hole{Kind: HoleNonce}, kind == text
	case "salt":
		salt, err := hex.DecodeString(argument)
		return Hole{Kind: HoleSalt, Text: salt}, err == nil
	case "signed":
		return Hole{Kind: HoleSigned, Text: []byte(argument)}, keyNamed(argument) != nil
	}
	step, field, _ := strings.Cut(text, ".")
	s, errStep := strconv.ParseUint(step, 10, 32)
	f, errField := strconv.ParseUint(field, 10, 8)
	return Hole{Kind: HoleField, Step: int(s), Field: int(f)}, errStep == nil && errField == nil && s > 0
}

// fill gives the bytes of the hole for one device; value is what belongs in it
// unspoilt.
func (h Hole) fill(value []byte) []byte {
	if len(h.Edits) == 0 && h.Keep == 0 {
		return value
	}
	value = bytes.Clone(value)
	for _, e := range h.Edits {
		if at := e.At; len(value) > 0 {
			if over := at - len(value); over >= 0 { // behind the end of a shorter value: one of its last
				at = len(value) - 1 - over%min(len(value), 8)
			}
			value[at] ^= e.Xor
		}
	}
	if h.Keep > 0 {
		// One that is cut stays cut where the value of a device is shorter.
		value = value[:max(min(h.Keep, len(value)-1), 0)]
	}
	return value
}

// area is a piece of a command under construction: bytes as the reference is to
// get them, and which of them are not the same for every device.
type area struct {
	bytes []byte
	spans []span
}

// span is a hole while a command is drawn.
type span struct {
	at   int
	sent []byte // what the reference is to get
	// size is where in it a size of two bytes is that tells how long it is.
	size int
	hole Hole
}

// plain is an area without holes.
func plain(parts ...[]byte) area { return area{bytes: bytes.Join(parts, nil)} }

// join puts areas one after the other.
func join(areas ...area) area {
	var all area
	for _, a := range areas {
		for _, s := range a.spans {
			s.at += len(all.bytes)
			all.spans = append(all.spans, s)
		}
		all.bytes = append(all.bytes, a.bytes...)
	}
	return all
}

// inSized is the area as a TPM2B.
func inSized(a area) area { return join(plain(u16(uint16(len(a.bytes)))), a) }

// holeIn is an area that is all hole.
func holeIn(value []byte, h Hole) area {
	return area{bytes: bytes.Clone(value), spans: []span{{sent: value, hole: h}}}
}

// punch makes data and holes of laid-out bytes and the spans in them, which
// lie in order. What became of a span in between shows in the bytes.
func punch(laidOut []byte, spans []span) (data []byte, holes []Hole) {
	done := 0
	for _, s := range spans {
		if s.at < done || s.at >= len(laidOut) {
			continue
		}
		is := laidOut[s.at:min(s.at+len(s.sent), len(laidOut))]
		h, ok := s.spoilt(is)
		if !ok {
			continue
		}
		data = append(data, laidOut[done:s.at]...)
		h.At, h.Len = len(data), h.placeholder()
		data = append(data, make([]byte, h.Len)...)
		holes = append(holes, h)
		done = s.at + len(is)
	}
	if holes == nil {
		return laidOut, nil
	}
	return append(data, laidOut[done:]...), holes
}

// spoilt gives the hole of a span whose bytes have become others; ok is false
// for a handle that has become another, and where a size is: what is behind it
// must not be read as something else, because it is random.
func (s span) spoilt(is []byte) (h Hole, ok bool) {
	h = s.hole
	if bytes.Equal(is, s.sent) {
		return h, true
	}
	size := min(s.size, len(is))
	if h.Kind == HoleField && h.Field == 0 || !bytes.HasPrefix(is[size:], s.sent[size:min(s.size+2, len(is))]) {
		return h, false
	}
	h.Edits = slices.Clone(h.Edits)
	for i := range is {
		if x := is[i] ^ s.sent[i]; x != 0 {
			h.Edits = append(h.Edits, Edit{At: i, Xor: x})
		}
	}
	if len(is) < len(s.sent) {
		h.Keep = len(is)
	}
	return h, true
}

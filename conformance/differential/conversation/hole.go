package conversation

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// HoleKind is the kind of bytes that belong in a hole.
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

// Hole is a place in a command that is filled for each device with its own bytes.
type Hole struct {
	// At and Len are the place in Step.Data, which has zeros there.
	At, Len int
	Kind    HoleKind
	// Step is the ID of the step whose answer a HoleField is from. Field 0 is
	// the handle of the response, the others are its parameters from 1 on.
	Step, Field int
	Text        []byte
	// Edits change bytes, and Keep, unless it is 0, cuts them to that many.
	Edits []Edit
	Keep  int
}

// Edit flips bits of one byte.
type Edit struct {
	At  int
	Xor byte
}

// Placeholder returns the number of zeros that stand for the hole: the smallest size
// of its kind.
func (h Hole) Placeholder() int {
	if h.Kind == HoleField && h.Field == 0 {
		return 4
	}
	return 2
}

// String returns the hole in the form of a transcript: {7.2} is the second parameter
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
	wrong := fmt.Errorf("%q is not a hole; want {STEP.FIELD}, {salt:HEX}, {nonce} or {signed:KEY}, followed by ^AT=XOR and /KEEP", "{"+text+"}")
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
		return Hole{Kind: HoleSigned, Text: []byte(argument)}, KeyNamed(argument) != nil
	}
	step, field, _ := strings.Cut(text, ".")
	s, errStep := strconv.ParseUint(step, 10, 32)
	f, errField := strconv.ParseUint(field, 10, 8)
	return Hole{Kind: HoleField, Step: int(s), Field: int(f)}, errStep == nil && errField == nil && s > 0
}

// fill gives the bytes of the hole for one device; value are the bytes that
// belong in it without edits.
func (h Hole) fill(value []byte) []byte {
	if len(h.Edits) == 0 && h.Keep == 0 {
		return value
	}
	value = bytes.Clone(value)
	for _, e := range h.Edits {
		if at := e.At; len(value) > 0 {
			if over := at - len(value); over >= 0 { // past the end of a shorter value: one of its last
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

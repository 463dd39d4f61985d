package generator

import (
	"bytes"
	"slices"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

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
	hole conversation.Hole
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
func inSized(a area) area { return join(plain(wire.U16(uint16(len(a.bytes)))), a) }

// holeIn is an area that is all hole.
func holeIn(value []byte, h conversation.Hole) area {
	return area{bytes: bytes.Clone(value), spans: []span{{sent: value, hole: h}}}
}

// punch makes data and holes of laid-out bytes and the spans in them, which
// lie in order. What became of a span in between shows in the bytes.
func punch(laidOut []byte, spans []span) (data []byte, holes []conversation.Hole) {
	done := 0
	for _, s := range spans {
		if s.at < done || s.at >= len(laidOut) {
			continue
		}
		is := laidOut[s.at:min(s.at+len(s.sent), len(laidOut))]
		h, ok := s.spoiled(is)
		if !ok {
			continue
		}
		data = append(data, laidOut[done:s.at]...)
		h.At, h.Len = len(data), h.Placeholder()
		data = append(data, make([]byte, h.Len)...)
		holes = append(holes, h)
		done = s.at + len(is)
	}
	if holes == nil {
		return laidOut, nil
	}
	return append(data, laidOut[done:]...), holes
}

// spoiled gives the hole of a span whose bytes were changed. ok is false for a
// handle that was changed, and for a changed size: the bytes after it are random and
// must not be read as something else.
func (s span) spoiled(is []byte) (h conversation.Hole, ok bool) {
	h = s.hole
	if bytes.Equal(is, s.sent) {
		return h, true
	}
	size := min(s.size, len(is))
	if h.Kind == conversation.HoleField && h.Field == 0 || !bytes.HasPrefix(is[size:], s.sent[size:min(s.size+2, len(is))]) {
		return h, false
	}
	h.Edits = slices.Clone(h.Edits)
	for i := range is {
		if x := is[i] ^ s.sent[i]; x != 0 {
			h.Edits = append(h.Edits, conversation.Edit{At: i, Xor: x})
		}
	}
	if len(is) < len(s.sent) {
		h.Keep = len(is)
	}
	return h, true
}

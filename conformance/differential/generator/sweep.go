package generator

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/conformance"
)

// A variation is a systematic series of changes to a sound command, before or
// after it is laid out. The i-th change reports whether the command has such a
// place.
type variation struct {
	name   string
	count  int
	packet func(g *generator, p *conformance.Packet, i int) bool
	bytes  func(g *generator, b []byte, i int) ([]byte, bool)
}

// variations are played for every command: all of them in a campaign that is
// long enough, a seeded choice in a shorter one.
var variations = [...]variation{
	{name: "sound", count: 24},
	{name: "cut", count: 640, bytes: cutAt},
	{name: "cut with the old size", count: 64, bytes: func(_ *generator, b []byte, i int) ([]byte, bool) { return b[:min(i, len(b))], i < len(b) }},
	{name: "trailing bytes", count: 12, bytes: func(g *generator, b []byte, i int) ([]byte, bool) {
		b = append(b, g.bytes(i+1)...)
		binary.BigEndian.PutUint32(b[2:], uint32(len(b)))
		return b, true
	}},
	{name: "tag bit", count: 17, bytes: func(_ *generator, b []byte, i int) ([]byte, bool) {
		binary.BigEndian.PutUint16(b, binary.BigEndian.Uint16(b)^uint16(1<<i)) // the 17th changes nothing
		return b, true
	}},
	{name: "attributes", count: 256, packet: func(_ *generator, p *conformance.Packet, i int) bool {
		if len(p.Sessions) == 0 {
			p.Sessions = []conformance.Session{conformance.Password(nil)}
		}
		p.Sessions[0].Attributes = byte(i)
		return true
	}},
	{name: "last attributes", count: 8, packet: func(_ *generator, p *conformance.Packet, i int) bool {
		if len(p.Sessions) < 2 {
			return false
		}
		p.Sessions[len(p.Sessions)-1].Attributes ^= 1 << i
		return true
	}},
	{name: "authorization size", count: 40, packet: func(_ *generator, p *conformance.Packet, i int) bool {
		size := uint32(i)
		p.WrongAuthSize = &size
		return len(p.Sessions) > 0
	}},
	{name: "handle 1", count: len(strangeHandles), packet: withHandle(0)},
	{name: "handle 2", count: len(strangeHandles), packet: withHandle(1)},
	{name: "handle 3", count: len(strangeHandles), packet: withHandle(2)},
	{name: "session handle", count: len(strangeHandles), packet: func(_ *generator, p *conformance.Packet, i int) bool {
		if len(p.Sessions) == 0 {
			p.Sessions = []conformance.Session{conformance.Password(nil)}
		}
		p.Sessions[0].Handle = strangeHandles[i]
		return true
	}},
	{name: "nonce size", count: 72, packet: func(g *generator, p *conformance.Packet, i int) bool {
		if len(p.Sessions) == 0 {
			return false
		}
		p.Sessions[0].Nonce = g.bytes(i)
		return true
	}},
	{name: "sessions", count: 6, packet: func(_ *generator, p *conformance.Packet, i int) bool {
		for len(p.Sessions) < i {
			p.Sessions = append(p.Sessions, conformance.Password(nil))
		}
		p.Sessions = p.Sessions[:i]
		return true
	}},
	{name: "sessions without tag", count: 1, packet: func(_ *generator, p *conformance.Packet, _ int) bool {
		p.Tag = conformance.NoSessions
		return true
	}},
	{name: "count", count: 300, packet: func(_ *generator, p *conformance.Packet, i int) bool {
		if len(p.Parameters) < 4 {
			return false
		}
		p.Parameters = slices.Clone(p.Parameters)
		binary.BigEndian.PutUint32(p.Parameters, uint32(i))
		return true
	}},
	{name: "word", count: 12 * wordValues, packet: func(_ *generator, p *conformance.Packet, i int) bool {
		at := i / wordValues
		if len(p.Parameters) < at+2 {
			return false
		}
		p.Parameters = slices.Clone(p.Parameters)
		binary.BigEndian.PutUint16(p.Parameters[at:], uint16(i%wordValues))
		return true
	}},
	{name: "parameter bit", count: 96 * 8, packet: func(_ *generator, p *conformance.Packet, i int) bool {
		if len(p.Parameters) <= i/8 {
			return false
		}
		p.Parameters = slices.Clone(p.Parameters)
		p.Parameters[i/8] ^= 1 << (i % 8)
		return true
	}},
}

// wordValues reaches past the highest algorithm identifier, TPM_ALG_ECB 0x44.
const wordValues = 0x48

// cutAt shortens the command, size field included, so that the parsing of
// every field is seen to run out of bytes.
func cutAt(_ *generator, b []byte, i int) ([]byte, bool) {
	if i >= len(b) {
		return nil, false
	}
	if b = b[:i]; i >= 6 {
		binary.BigEndian.PutUint32(b[2:], uint32(i))
	}
	return b, true
}

// withHandle puts each strange handle in one place of the handle area.
func withHandle(at int) func(*generator, *conformance.Packet, int) bool {
	return func(_ *generator, p *conformance.Packet, i int) bool {
		if len(p.Handles) <= at {
			return false
		}
		p.Handles[at] = strangeHandles[i]
		return true
	}
}

// Change is one change to one command; see [Source.Sweep].
type Change struct {
	code      uint32
	variation *variation
	index     int
}

// sweep lists all changes to all of the commands.
func sweep(codes []uint32) []Change {
	var all []Change
	for _, code := range codes {
		for v := range variations {
			for i := range variations[v].count {
				all = append(all, Change{code: code, variation: &variations[v], index: i})
			}
		}
	}
	return all
}

// changed draws the command a change is for, applies it and sends what comes of
// it, and reports whether the change applies. But for the change the command is
// sound.
func (g *generator) changed(c Change) bool {
	d := g.soundly(c.code)
	if v := c.variation; v.packet != nil && !v.packet(g, &d.Packet, c.index) {
		return false
	}
	laidOut, spans := g.lay(d)
	if c.variation.bytes != nil {
		var ok bool
		if laidOut, ok = c.variation.bytes(g, laidOut, c.index); !ok {
			return false
		}
	}
	g.do(g.step(d, laidOut, spans, fmt.Sprintf("of %s, %s %d", conformance.CommandName(c.code), c.variation.name, c.index)))
	return true
}

package generator

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/conformance"
)

// A damage spoils a command before or after it is laid out. Its name stands in the
// note of the step.
type damage struct {
	name string
	// packet spoils the command before layout, and reports whether it could.
	packet func(*generator, *conformance.Packet) bool
	// bytes spoils it afterwards.
	bytes func(*generator, []byte) []byte
}

// damages are the ways to spoil a command, all equally likely.
var damages = [...]damage{
	{name: "tag", packet: spoilTag},
	{name: "size field", packet: spoilSize},
	{name: "code", packet: func(g *generator, p *conformance.Packet) bool {
		p.Code = pick(g, g.rng.Uint32(), 0x11e, 0x123, 0x15a, 0x166, 0x1ff, 0x20000000, p.Code|0x10000)
		return true
	}},
	{name: "handle", packet: func(g *generator, p *conformance.Packet) bool {
		if len(p.Handles) == 0 {
			return false
		}
		p.Handles[g.rng.IntN(len(p.Handles))] = g.strangeHandle()
		return true
	}},
	{name: "handle missing", packet: func(g *generator, p *conformance.Packet) bool {
		if len(p.Handles) == 0 {
			return false
		}
		p.Handles = p.Handles[1:]
		return true
	}},
	{name: "authorization size", packet: spoilAuthSize},
	{name: "session handle", packet: inSession(func(g *generator, s *conformance.Session) { s.Handle = g.strangeHandle() })},
	{name: "session attributes", packet: inSession(func(g *generator, s *conformance.Session) { s.Attributes ^= 1 << g.rng.UintN(8) })},
	{name: "session nonce", packet: inSession(func(g *generator, s *conformance.Session) { s.Nonce = g.bytes(pick(g, 1, 16, 32, 64, 65)) })},
	{name: "password", packet: inSession(spoilPassword)},
	{name: "session missing", packet: func(_ *generator, p *conformance.Packet) bool {
		if len(p.Sessions) == 0 {
			return false
		}
		p.Sessions = p.Sessions[1:]
		return true
	}},
	{name: "extra sessions", packet: func(g *generator, p *conformance.Packet) bool {
		for range 1 + g.rng.IntN(4) {
			s := conformance.Password(g.bytes(g.rng.IntN(3)))
			if g.chance(0.5) {
				s.Handle = g.strangeHandle()
			}
			s.Attributes = byte(g.rng.UintN(256))
			p.Sessions = append(p.Sessions, s)
		}
		return true
	}},
	{name: "parameters missing", packet: func(g *generator, p *conformance.Packet) bool {
		if len(p.Parameters) == 0 {
			return false
		}
		p.Parameters = p.Parameters[:g.rng.IntN(len(p.Parameters))]
		return true
	}},
	{name: "trailing bytes", packet: func(g *generator, p *conformance.Packet) bool {
		p.Parameters = append(slices.Clone(p.Parameters), g.bytes(1+g.rng.IntN(8))...)
		return true
	}},
	{name: "parameter bit", packet: inParameters(func(g *generator, b []byte) { b[g.rng.IntN(len(b))] ^= 1 << g.rng.UintN(8) })},
	{name: "parameter byte", packet: inParameters(func(g *generator, b []byte) {
		b[g.rng.IntN(len(b))] = pick[byte](g, 0, 1, 0x7f, 0x80, 0xff)
	})},
	{name: "parameter word", packet: inParameters(func(g *generator, b []byte) {
		if len(b) >= 2 {
			binary.BigEndian.PutUint16(b[g.rng.IntN(len(b)-1):], pick[uint16](g, 0, 1, 0x10, 0x400, 0x401, 0xffff))
		}
	})},
	{name: "cut", bytes: func(g *generator, b []byte) []byte {
		b = b[:g.rng.IntN(len(b)+1)]
		if len(b) >= 6 && g.chance(0.8) {
			binary.BigEndian.PutUint32(b[2:], uint32(len(b)))
		}
		return b
	}},
	{name: "any byte", bytes: func(g *generator, b []byte) []byte {
		b[g.rng.IntN(len(b))] = byte(g.rng.UintN(256))
		return b
	}},
	{name: "too long", bytes: func(g *generator, b []byte) []byte {
		if len(b) < 4095 { // never much longer than the buffers of the references
			b = append(b, make([]byte, 4095-len(b)+g.rng.IntN(3))...)
		}
		binary.BigEndian.PutUint32(b[2:], uint32(len(b)))
		return b
	}},
}

// longCommand is how long a command has to be, in bytes, to be the same for both
// devices: with blobs of its own, it could be too long for one of them only.
const longCommand = 3000

// damage spoils a command in one or two ways and sends it.
func (g *generator) damage(d draft) {
	note := ""
	var after []damage
	for range 1 + g.rng.IntN(6)/5 {
		way := damages[g.rng.IntN(len(damages))]
		if way.packet == nil {
			after = append(after, way)
		} else if way.packet(g, &d.Packet) {
			note += ", wrong " + way.name
		}
	}
	code := d.Code
	laidOut, spans := g.lay(d)
	for _, way := range after {
		if len(laidOut) > 0 {
			laidOut = way.bytes(g, laidOut)
			note += ", wrong " + way.name
		}
	}
	if len(laidOut) > longCommand {
		spans = nil
	}
	g.do(g.step(d, laidOut, spans, fmt.Sprintf("of %s%s", conformance.CommandName(code), note)))
}

func spoilTag(g *generator, p *conformance.Packet) bool {
	p.Tag = pick[uint16](g, conformance.NoSessions, conformance.Sessions, 0x00c1, 0x00c4, 0x8000, 0x8003, 0x8021, 0xffff, uint16(g.rng.UintN(0x10000)))
	return true
}

func spoilSize(g *generator, p *conformance.Packet) bool {
	right := uint32(len(p.Bytes()))
	wrong := pick(g, right-1, right+1, 0, 9, 10, 4096, 4097, 0xffffffff, right^1<<g.rng.UintN(32))
	p.WrongSize = &wrong
	return true
}

func spoilAuthSize(g *generator, p *conformance.Packet) bool {
	if len(p.Sessions) == 0 {
		return false
	}
	var right uint32
	for _, s := range p.Sessions {
		right += uint32(9 + len(s.Nonce) + len(s.HMAC))
	}
	wrong := pick(g, 0, 1, 8, 9, right-1, right+1, right+2, right+9, 0xffffffff)
	p.WrongAuthSize = &wrong
	return true
}

// inSession spoils one of the sessions there are.
func inSession(spoil func(*generator, *conformance.Session)) func(*generator, *conformance.Packet) bool {
	return func(g *generator, p *conformance.Packet) bool {
		if len(p.Sessions) == 0 {
			return false
		}
		spoil(g, &p.Sessions[g.rng.IntN(len(p.Sessions))])
		return true
	}
}

func spoilPassword(g *generator, s *conformance.Session) {
	switch g.rng.IntN(4) {
	case 0:
		s.HMAC = append(slices.Clone(s.HMAC), g.bytes(1)...)
	case 1: // still right: the TPM drops trailing zeros
		s.HMAC = append(slices.Clone(s.HMAC), make([]byte, 1+g.rng.IntN(3))...)
	case 2:
		s.HMAC = g.bytes(pick(g, 1, 20, 32, 64, 65, 100))
	default:
		s.HMAC = s.HMAC[:len(s.HMAC)/2]
	}
}

// inParameters spoils a copy of the parameters, if there are any.
func inParameters(spoil func(*generator, []byte)) func(*generator, *conformance.Packet) bool {
	return func(g *generator, p *conformance.Packet) bool {
		if len(p.Parameters) == 0 {
			return false
		}
		p.Parameters = slices.Clone(p.Parameters)
		spoil(g, p.Parameters)
		return true
	}
}

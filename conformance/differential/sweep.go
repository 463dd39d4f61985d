package differential

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/swtpmd/swtpmd/conformance"
)

// A variation is a systematic series of changes to a sound command. The i-th
// change gives the bytes to send, or nil where the command has no such place.
type variation struct {
	name  string
	count int
	apply func(g *generator, p conformance.Packet, i int) []byte
}

// variations are played for every command: all of them in a campaign that is
// long enough, a seeded choice in a shorter one.
var variations = [...]variation{
	{"sound", 24, func(_ *generator, p conformance.Packet, _ int) []byte { return p.Bytes() }},
	{"cut", 160, cutAt},
	{"cut with the old size", 64, func(_ *generator, p conformance.Packet, i int) []byte {
		if b := p.Bytes(); i < len(b) {
			return b[:i]
		}
		return nil
	}},
	{"trailing bytes", 12, func(g *generator, p conformance.Packet, i int) []byte {
		p.Parameters = append(slices.Clone(p.Parameters), g.bytes(i+1)...)
		return p.Bytes()
	}},
	{"tag bit", 17, func(_ *generator, p conformance.Packet, i int) []byte {
		b := p.Bytes()
		binary.BigEndian.PutUint16(b, binary.BigEndian.Uint16(b)^uint16(1<<i)) // the 17th changes nothing
		return b
	}},
	{"attributes", 256, func(_ *generator, p conformance.Packet, i int) []byte {
		if len(p.Sessions) == 0 {
			p.Sessions = []conformance.Session{conformance.Password(nil)}
		}
		p.Sessions[0].Attributes = byte(i)
		return p.Bytes()
	}},
	{"last attributes", 8, func(_ *generator, p conformance.Packet, i int) []byte {
		if len(p.Sessions) < 2 {
			return nil
		}
		p.Sessions[len(p.Sessions)-1].Attributes ^= 1 << i
		return p.Bytes()
	}},
	{"authorization size", 40, func(_ *generator, p conformance.Packet, i int) []byte {
		if len(p.Sessions) == 0 {
			return nil
		}
		size := uint32(i)
		p.WrongAuthSize = &size
		return p.Bytes()
	}},
	{"handle 1", len(strangeHandles), withHandle(0)},
	{"handle 2", len(strangeHandles), withHandle(1)},
	{"session handle", len(strangeHandles), func(_ *generator, p conformance.Packet, i int) []byte {
		if len(p.Sessions) == 0 {
			p.Sessions = []conformance.Session{conformance.Password(nil)}
		}
		p.Sessions[0].Handle = strangeHandles[i]
		return p.Bytes()
	}},
	{"nonce size", 72, func(g *generator, p conformance.Packet, i int) []byte {
		if len(p.Sessions) == 0 {
			return nil
		}
		p.Sessions[0].Nonce = g.bytes(i)
		return p.Bytes()
	}},
	{"sessions", 6, func(_ *generator, p conformance.Packet, i int) []byte {
		for len(p.Sessions) < i {
			p.Sessions = append(p.Sessions, conformance.Password(nil))
		}
		p.Sessions = p.Sessions[:i]
		return p.Bytes()
	}},
	{"sessions without tag", 1, func(_ *generator, p conformance.Packet, _ int) []byte {
		p.Tag = conformance.NoSessions
		return p.Bytes()
	}},
	{"count", 300, func(_ *generator, p conformance.Packet, i int) []byte {
		if len(p.Parameters) < 4 {
			return nil
		}
		p.Parameters = slices.Clone(p.Parameters)
		binary.BigEndian.PutUint32(p.Parameters, uint32(i))
		return p.Bytes()
	}},
	{"word", 12 * wordValues, func(_ *generator, p conformance.Packet, i int) []byte {
		at := i / wordValues
		if len(p.Parameters) < at+2 {
			return nil
		}
		p.Parameters = slices.Clone(p.Parameters)
		binary.BigEndian.PutUint16(p.Parameters[at:], uint16(i%wordValues))
		return p.Bytes()
	}},
	{"parameter bit", 24 * 8, func(_ *generator, p conformance.Packet, i int) []byte {
		if len(p.Parameters) <= i/8 {
			return nil
		}
		p.Parameters = slices.Clone(p.Parameters)
		p.Parameters[i/8] ^= 1 << (i % 8)
		return p.Bytes()
	}},
}

// wordValues reaches past the highest algorithm identifier, TPM_ALG_ECB 0x44.
const wordValues = 0x48

// cutAt shortens the command, size field included, so that the parsing of
// every field is seen to run out of bytes. Past the usual length of commands
// the place is drawn.
func cutAt(g *generator, p conformance.Packet, i int) []byte {
	b := p.Bytes()
	if i >= 100 {
		i = g.rng.IntN(len(b))
	}
	if i >= len(b) {
		return nil
	}
	if b = b[:i]; i >= 6 {
		binary.BigEndian.PutUint32(b[2:], uint32(i))
	}
	return b
}

// withHandle puts each strange handle in one place of the handle area.
func withHandle(at int) func(*generator, conformance.Packet, int) []byte {
	return func(_ *generator, p conformance.Packet, i int) []byte {
		if len(p.Handles) <= at {
			return nil
		}
		p.Handles[at] = strangeHandles[i]
		return p.Bytes()
	}
}

// change is one command of the sweep.
type change struct {
	code      uint32
	variation *variation
	index     int
}

// sweep lists all changes to all of the commands in a seeded order.
func sweep(seed uint64, codes []uint32) []change {
	var all []change
	for _, code := range codes {
		for v := range variations {
			for i := range variations[v].count {
				all = append(all, change{code: code, variation: &variations[v], index: i})
			}
		}
	}
	rng := rand.New(rand.NewPCG(seed, streamSweep))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// changed draws the command a change is for and applies it; ok is false where
// it does not apply. But for the change the command is sound.
func (g *generator) changed(c change) (step Step, ok bool) {
	wild := g.style.wild
	g.style.wild = 0
	defer func() { g.style.wild = wild }()
	b := c.variation.apply(g, g.packet(c.code), c.index)
	if b == nil && c.index > 0 {
		return Step{}, false
	}
	return g.step(b, fmt.Sprintf("of %s, %s %d", conformance.CommandName(c.code), c.variation.name, c.index)), true
}

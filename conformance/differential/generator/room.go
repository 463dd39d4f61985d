package generator

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// maxLoaded is how many sessions, and how many transient objects, the
// implementations known here have room for.
const maxLoaded = 3

// restock makes room where there is none for the commands to come, and an
// object if none is left, so that commands on objects find one.
func (g *generator) restock() {
	if g.transients() >= maxLoaded && g.chance(0.7) {
		g.roomForObject(1)
	}
	if len(g.model.objects) == 0 && g.can(tpm2.TPMCCHashSequenceStart) && g.chance(0.2) {
		g.send(g.packet(uint32(tpm2.TPMCCHashSequenceStart)), "restock")
	}
}

// roomForSession ends a session if there is no room for another.
func (g *generator) roomForSession() {
	loaded := 0
	for _, s := range g.model.sessions {
		if !s.saved {
			loaded++
		}
	}
	if loaded >= maxLoaded && g.can(tpm2.TPMCCFlushContext) {
		for _, s := range g.model.sessions {
			if !s.saved && !slices.Contains(g.keep, s.handle) {
				g.flush(s.handle)
				g.model.forget(s.handle) // it may have been gone before
				return
			}
		}
	}
}

// roomForObject takes away transient objects until there is room for n more,
// but none that a command under way needs.
func (g *generator) roomForObject(n int) {
	if !g.can(tpm2.TPMCCFlushContext) {
		return
	}
	for g.transients()+n > maxLoaded {
		at := slices.IndexFunc(g.model.objects, func(o object) bool { return o.handle>>24 == 0x80 && !slices.Contains(g.keep, o.handle) })
		if at < 0 || g.err != nil {
			return
		}
		handle := g.model.objects[at].handle
		g.flush(handle)
		g.model.forget(handle) // it may have been gone before
	}
}

// roomForPersistent makes room for the persistent objects of a command, for which
// the references take slots; mostly.
func (g *generator) roomForPersistent(handles []uint32) {
	n := 0
	for _, h := range handles {
		if h>>24 == 0x81 {
			n++
		}
	}
	if n > 0 && g.chance(0.9) {
		g.roomForObject(n)
	}
}

func (g *generator) transients() int {
	n := 0
	for _, o := range g.model.objects {
		if o.handle>>24 == 0x80 {
			n++
		}
	}
	return n
}

// flush is TPM2_FlushContext.
func (g *generator) flush(handle uint32) {
	p := plain(wire.U32(handle))
	if id := g.model.idOf(handle); id > 0 {
		p = holeIn(p.bytes, conversation.Hole{Kind: conversation.HoleField, Step: id})
	}
	g.send(draft{Packet: conformance.Packet{Code: uint32(tpm2.TPMCCFlushContext), Parameters: p.bytes}, spans: p.spans}, "to make room")
}

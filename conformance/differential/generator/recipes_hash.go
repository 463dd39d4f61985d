package generator

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Hashes, sequences, and what ends them.

func hashInput(g *generator) []byte {
	b := g.sized(300)
	b = append(b, wire.U16(uint16(g.hash()))...)
	return append(b, wire.U32(g.ticketHierarchy())...)
}

func sequenceStart(g *generator) []byte {
	algorithm := g.hash()
	if g.chance(0.4) {
		algorithm = tpm2.TPMAlgNull
	}
	return append(authValue(g), wire.U16(uint16(algorithm))...)
}

// aSequence draws a sequence object.
func aSequence(g *generator) []uint32 { return []uint32{g.sequenceObject(false)} }

// anEventSequence draws a PCR and an event sequence, mostly.
func anEventSequence(g *generator) []uint32 {
	return []uint32{g.handle(conformance.PCR), g.sequenceObject(g.chance(0.8))}
}

func (g *generator) sequenceObject(event bool) uint32 {
	var of []uint32
	for _, o := range g.model.objects {
		if !o.key && (o.event || !event) {
			of = append(of, o.handle)
		}
	}
	if len(of) > 0 && !g.odd() {
		return pick(g, of...)
	}
	if r, ok := g.newSequence(event); ok {
		return r.response.Handle
	}
	return g.handle(conformance.Object)
}

// newSequence starts a sequence of a hash, or one of an event.
func (g *generator) newSequence(event bool) (result, bool) {
	if g.preparing > maxPreparing || !g.can(tpm2.TPMCCHashSequenceStart) {
		return result{}, false
	}
	g.roomForObject(1)
	algorithm := tpm2.TPMAlgNull
	if !event {
		algorithm = g.hash()
	}
	return g.send(draft{Packet: conformance.Packet{
		Code: uint32(tpm2.TPMCCHashSequenceStart), Parameters: append(authValue(g), wire.U16(uint16(algorithm))...),
	}}, "to have one")
}

func sequenceStarted(m *model, r result) {
	in := &wire.Cursor{Rest: r.command.Parameters}
	auth := bytes.TrimRight(bytes.Clone(in.Sized()), "\x00")
	m.forget(r.response.Handle)
	m.objects = append(m.objects, object{handle: r.response.Handle, id: r.id, auth: auth, event: in.Alg() == tpm2.TPMAlgNull && len(r.command.Handles) == 0})
}

func sequenceComplete(g *generator) []byte {
	return append(g.sized(256), wire.U32(g.ticketHierarchy())...)
}

func sequenceEnded(m *model, r result) { m.forget(r.command.Handles[0]) }

func eventSequenceEnded(m *model, r result) {
	m.forget(r.command.Handles[1])
}

func flushHandle(g *generator) area {
	handle := g.handle(conformance.Context)
	if len(g.model.sessions) > 0 && g.chance(0.5) {
		handle = g.handle(conformance.PolicySession)
	}
	if id := g.model.idOf(handle); id > 0 {
		return holeIn(wire.U32(handle), conversation.Hole{Kind: conversation.HoleField, Step: id})
	}
	return plain(wire.U32(handle))
}

func flushed(m *model, r result) {
	m.forget(wire.Number(r.command.Parameters[:4]))
}

package generator

import (
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// draft is a command under construction.
type draft struct {
	conformance.Packet
	// spans are the holes in the parameters.
	spans []span
	// secrets are those of its HMAC sessions.
	secrets []conversation.Secret
}

// maxPreparing bounds the commands that are drawn for the sake of another.
const maxPreparing = 3

// packet draws a command with the given code, sound as far as the generator
// can tell and the values drawn are not odd.
func (g *generator) packet(code uint32) draft {
	g.preparing++
	kept, input, handles := len(g.keep), g.input, g.handles
	defer func() { g.preparing, g.keep, g.input, g.handles = g.preparing-1, g.keep[:kept], input, handles }()
	command, _ := conformance.Lookup(code)
	d := draft{Packet: conformance.Packet{Code: code}}
	recipe, known := g.recipes[tpm2.TPMCC(code)]
	if known && recipe.handles != nil && !g.odd() {
		d.Handles = recipe.handles(g)
	} else {
		for _, kind := range command.Handles {
			d.Handles = append(d.Handles, g.handle(kind))
		}
	}
	about := g.input
	g.keep = append(g.keep, d.Handles...)
	g.roomForPersistent(d.Handles)
	for i := range min(command.Auths, len(d.Handles)) {
		g.authorize(&d, i)
	}
	g.addSessions(&d, command)
	g.handles, g.input = d.Handles, about
	var parameters area
	if known {
		parameters = recipe.parameters(g)
	} else {
		parameters = plain(g.bytes(g.rng.IntN(40)))
	}
	d.Parameters, d.spans = parameters.bytes, parameters.spans
	if known && recipe.secrets != nil {
		d.secrets = append(d.secrets, recipe.secrets(g)...)
	}
	return d
}

// lay gives the bytes of a command, and the holes in them.
func (g *generator) lay(d draft) ([]byte, []span) {
	laidOut := d.Bytes()
	var spans []span
	handle := func(at int, h uint32) {
		if id := g.model.idOf(h); id > 0 {
			spans = append(spans, span{at: at, sent: wire.U32(h), hole: conversation.Hole{Kind: conversation.HoleField, Step: id}})
		}
	}
	at := conformance.HeaderSize
	for _, h := range d.Handles {
		handle(at, h)
		at += 4
	}
	at += 4 // authorizationSize, if there is one
	for _, s := range d.Sessions {
		handle(at, s.Handle)
		at += 4 + 2 + len(s.Nonce) + 1 + 2 + len(s.HMAC)
	}
	parameters := len(laidOut) - len(d.Parameters)
	for _, s := range d.spans {
		s.at += parameters
		spans = append(spans, s)
	}
	return laidOut, spans
}

// step makes a step of the bytes of a command, which may have been damaged since
// they were laid out. One that is too short for the transport is lengthened
// with zeros, its size field left alone.
func (g *generator) step(d draft, command []byte, spans []span, note string) conversation.Step {
	for len(command) < g.style.minCommand {
		command = append(command, 0)
	}
	step := conversation.Step{Action: conversation.Send, Note: note}
	step.Data, step.Holes = punch(command, spans)
	if len(step.Holes) > 0 && len(step.Data) >= 6 {
		size := binary.BigEndian.Uint32(step.Data[2:]) + uint32(len(step.Data)-len(command))
		binary.BigEndian.PutUint32(step.Data[2:], size)
	}
	if len(d.secrets) > 0 {
		step.Action, step.Secrets = conversation.SendHMAC, d.secrets
	}
	if len(g.style.localities) > 0 {
		step.Locality = g.style.localities[0]
		if g.chance(0.3) {
			step.Locality = pick(g, g.style.localities...)
		}
	}
	return step
}

package generator

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// style is how a generator behaves in one layer.
type style struct {
	// wild is the probability that a drawn value is odd: out of range, of the
	// wrong kind, not there.
	wild float64
	// mutate is the probability that a finished command is damaged.
	mutate float64
	// localities to send at; the first is the usual one.
	localities []uint8
	// minCommand is the smallest command in bytes the targets answer.
	minCommand int
}

// generator writes a script: it draws commands and plays each on the reference
// at once, keeping a model of the state that left, so that most commands make
// sense.
type generator struct {
	rng   *rand.Rand
	style style
	// recipes has the commands the generator understands; theme are those this
	// script is about, which are drawn more often.
	recipes, theme map[tpm2.TPMCC]recipe
	// shared are the commands both devices have, by rising code, and others
	// the codes only one has.
	shared []uint32
	others []uint32
	model  model
	// programs are the policies by their digest.
	programs map[string]*program

	// handles are those of the command whose parameters are being drawn.
	handles []uint32
	// input is the answer that a command under way is about.
	input result
	// wanted and wantedKey are what an object to be made should be, if they are
	// not nil; publicOnly wants the public area alone.
	wanted     *class
	wantedKey  *conversation.Key
	publicOnly bool
	// preparing counts the commands under way that need others before them, and
	// keep has what those need: objects and sessions that have to stay.
	preparing int
	keep      []uint32

	// ctx and player are what steps are played with; script and outcomes what
	// has become of them, and err why there is no going on.
	ctx      context.Context
	player   *conversation.Player
	script   conversation.Script
	outcomes []conversation.Outcome
	err      error
	// steps counts them, also those that are left out again: those after which
	// the reference was no more, or in failure mode. over is set
	// if there were too many of them, begun once the reference has answered a command.
	steps         int
	ended, failed int
	begun, over   bool
}

func (g *generator) chance(p float64) bool { return g.rng.Float64() < p }

// odd reports whether the value to be drawn next should be a strange one.
func (g *generator) odd() bool { return g.chance(g.style.wild) }

func pick[T any](g *generator, from ...T) T { return from[g.rng.IntN(len(from))] }

func (g *generator) bytes(n int) []byte {
	b := make([]byte, (n+7)&^7)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], g.rng.Uint64())
	}
	return b[:n]
}

// sized draws a TPM2B with up to limit bytes, and sometimes more.
func (g *generator) sized(limit int) []byte {
	n := g.rng.IntN(limit + 1)
	if g.odd() {
		n = pick(g, 0, limit, limit+1, limit+2, 2*limit+3, 1024, 1025)
	}
	return wire.Sized(g.bytes(n))
}

// can reports whether both devices have all of the commands.
func (g *generator) can(codes ...tpm2.TPMCC) bool {
	for _, code := range codes {
		if _, ok := slices.BinarySearch(g.shared, uint32(code)); !ok {
			return false
		}
	}
	return true
}

// do plays a step on the reference and takes it into the script. ok reports
// whether it was a command that succeeded; then the answer is decrypted.
func (g *generator) do(step conversation.Step) (r result, ok bool) {
	if g.err != nil || g.over {
		return result{}, false
	}
	g.steps++
	step.ID = g.steps
	outcome, err := g.player.Do(g.ctx, step)
	if err != nil {
		g.err = err
		return result{}, false
	}
	switch {
	case g.player.Ended(outcome):
		g.ended++
		g.repair()
		return result{}, false
	case broken(outcome) && g.begun:
		g.failed++
		g.repair()
		return result{}, false
	}
	g.script, g.outcomes = append(g.script, step), append(g.outcomes, outcome)
	return g.observe(step, outcome)
}

// broken reports whether the device is in failure mode, or does not answer commands.
func broken(o conversation.Outcome) bool {
	return o.Err != nil && o.Sent != nil || o.Code() == uint32(tpm2.TPMRCFailure)
}

// maxRepairs bounds how often a script is played again on a new reference.
const maxRepairs = 10

// repair plays the script so far on a new reference, because the one there was
// is no more or in failure mode: the step after which it was is left out of the
// script.
func (g *generator) repair() {
	if g.ended+g.failed > maxRepairs {
		g.over = true
		return
	}
	if g.player, g.err = g.player.Again(g.ctx); g.err != nil {
		return
	}
	for i, step := range g.script {
		if g.outcomes[i], g.err = g.player.Do(g.ctx, step); g.err != nil {
			return
		}
	}
}

// play plays a script of its own.
func (g *generator) play(script conversation.Script) {
	for _, step := range script {
		g.do(step)
	}
}

// send plays a command as it was drawn.
func (g *generator) send(d draft, note string) (result, bool) {
	laidOut, spans := g.lay(d)
	return g.do(g.step(d, laidOut, spans, note))
}

// sound draws a command without anything odd and sends it.
func (g *generator) sound(code tpm2.TPMCC, note string) (result, bool) {
	return g.send(g.soundly(uint32(code)), note)
}

// soundly draws a command without anything odd.
func (g *generator) soundly(code uint32) draft {
	wild := g.style.wild
	g.style.wild = 0
	defer func() { g.style.wild = wild }()
	return g.packet(code)
}

// draw draws the next command, damages it if the style says so, and sends it.
func (g *generator) draw() {
	g.restock()
	d := g.packet(g.code())
	if g.chance(g.style.mutate) {
		g.damage(d)
		return
	}
	g.send(d, "")
}

// code draws a command code, by weight.
func (g *generator) code() uint32 {
	total := 0
	for _, code := range g.shared {
		total += g.weight(code)
	}
	if total == 0 {
		return g.rng.Uint32N(0x200)
	}
	at := g.rng.IntN(total)
	for _, code := range g.shared {
		if at -= g.weight(code); at < 0 {
			return code
		}
	}
	panic("differential: weights changed while drawing")
}

// themeFactor is how much more often the commands of the theme are drawn.
const themeFactor = 8

// weight of a command without a recipe is least: its parameters are noise.
func (g *generator) weight(code uint32) int {
	r, ok := g.recipes[tpm2.TPMCC(code)]
	if !ok {
		return 1
	}
	if _, ok := g.theme[tpm2.TPMCC(code)]; ok {
		return themeFactor * r.weight
	}
	return r.weight
}

// observe tells the model how the reference answered.
func (g *generator) observe(step conversation.Step, outcome conversation.Outcome) (result, bool) {
	if step.Action == conversation.Init || step.Action == conversation.PowerOff {
		g.model.restarted()
		return result{}, false
	}
	code, ok := conformance.CommandCode(outcome.Sent)
	if !step.IsCommand() || !ok || outcome.Err != nil {
		return result{}, false
	}
	response, err := conformance.ParseResponse(code, outcome.Plain)
	if err != nil || response.Code != 0 {
		return result{}, false
	}
	r := result{id: step.ID, response: response}
	if r.command, ok = wire.ParseCommand(outcome.Sent); !ok {
		return result{}, false
	}
	g.begun = true
	g.model.endSessions(outcome.Sent, response)
	if recipe, ok := g.recipes[tpm2.TPMCC(code)]; ok && recipe.effect != nil {
		recipe.effect(&g.model, r)
	}
	g.model.remember(r)
	return r, true
}

// recipe tells how to make one command.
type recipe struct {
	// weight is how often the command is drawn, compared with the others.
	weight int
	// parameters draws the parameter area.
	parameters func(*generator) area
	// handles draws the handle area where the kinds alone would seldom hit. It
	// may send commands before, to have what is needed.
	handles func(*generator) []uint32
	// secrets gives those the command needs besides those of its sessions.
	secrets func(*generator) []conversation.Secret
	// effect takes a success into the model.
	effect func(*model, result)
}

// bare makes an area of bytes without holes.
func bare(parameters func(*generator) []byte) func(*generator) area {
	return func(g *generator) area { return area{bytes: parameters(g)} }
}

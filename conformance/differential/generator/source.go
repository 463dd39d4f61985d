package generator

import (
	"context"
	"maps"
	"math/rand/v2"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
)

// Source draws the scripts of a campaign. Equal sources draw equal scripts, as
// long as the reference gives equal answers.
type Source struct {
	Seed uint64
	// Shared are the codes of the commands that both devices have, ascending, and
	// Others those of the commands that only one has.
	Shared, Others []uint32
	// MinCommand is the smallest command in bytes that both devices answer.
	MinCommand int
	// Localities are those at which the scripts of Power send commands, mostly at the
	// first. Nil stands for 0 alone.
	Localities []uint8
}

// Writer draws a script while it plays it on the reference.
type Writer func(context.Context, *conversation.Player) Written

// Written is a script and what the reference answered.
type Written struct {
	Script   conversation.Script
	Outcomes []conversation.Outcome
	// Ended and Failed count how often the reference ended or entered failure mode.
	// The script lacks the steps that led to it.
	Ended, Failed int
	// Err is the error that ended the script early.
	Err error
}

// Streams of the seed: one for each layer, the number of the script added, one
// for the order of the sweep and one for primary seeds.
const (
	streamPackets   uint64 = 1 << 40
	streamSequences uint64 = 2 << 40
	streamPower     uint64 = 3 << 40
	streamSweep     uint64 = 4 << 40
	streamSeeds     uint64 = 5 << 40
)

// Packets writes script number i of the first layer: n commands and those that they
// need. They are the changes, and drawn commands after the last change.
func (s Source) Packets(i, n int, changes []Change) Writer {
	return s.writer(streamPackets+uint64(i), style{wild: 0.2, mutate: 0.5}, func(g *generator) { g.packets(n, changes) })
}

// Sequence writes script number i of the second layer: commands that build
// state, with restarts if power is set.
func (s Source) Sequence(i int, power bool) Writer {
	return s.writer(streamSequences+uint64(i), style{wild: 0.03, mutate: 0.05}, func(g *generator) { g.sequence(power) })
}

// Power writes script number i of the third layer: several boots, with commands
// at all localities and DRTM sequences in between.
func (s Source) Power(i int) Writer {
	return s.writer(streamPower+uint64(i), style{wild: 0.01, mutate: 0.01, localities: s.Localities}, (*generator).powerScript)
}

func (s Source) writer(stream uint64, style style, write func(*generator)) Writer {
	return func(ctx context.Context, player *conversation.Player) Written {
		style.minCommand = s.MinCommand
		g := &generator{
			rng: rand.New(rand.NewPCG(s.Seed, stream)), style: style, shared: s.Shared, others: s.Others,
			recipes: recipes, model: newModel(), programs: map[string]*program{}, ctx: ctx, player: player,
		}
		g.theme = pick(g, themes()...)
		write(g)
		return Written{Script: g.script, Outcomes: g.outcomes, Ended: g.ended, Failed: g.failed, Err: g.err}
	}
}

// Sweep lists all changes to all of the shared commands in an order that the seed
// draws.
func (s Source) Sweep() []Change {
	all := sweep(s.Shared)
	rng := rand.New(rand.NewPCG(s.Seed, streamSweep))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// PrimarySeeds draws primary seeds.
func (s Source) PrimarySeeds() *conversation.Seeds {
	seeds := &conversation.Seeds{}
	rng := rand.New(rand.NewPCG(s.Seed, streamSeeds))
	for _, seed := range []*[64]byte{&seeds.Endorsement, &seeds.Storage, &seeds.Platform} {
		for i := range seed {
			seed[i] = byte(rng.UintN(256))
		}
	}
	return seeds
}

// themes are what a script can be about.
func themes() []map[tpm2.TPMCC]recipe {
	return []map[tpm2.TPMCC]recipe{
		basics, sessionRecipes, policyRecipes, nvRecipes, objectRecipes, cryptoRecipes, attestRecipes,
	}
}

// recipes has the commands the generator understands.
var recipes = merge(themes()...)

func merge(tables ...map[tpm2.TPMCC]recipe) map[tpm2.TPMCC]recipe {
	all := map[tpm2.TPMCC]recipe{}
	for _, table := range tables {
		maps.Copy(all, table)
	}
	return all
}

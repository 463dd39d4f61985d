package differential

import (
	"encoding/binary"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// Streams of the campaign's seed: one for each layer, the number of the script
// added, and one for the order of the sweep.
const (
	streamPackets   uint64 = 1 << 40
	streamSequences uint64 = 2 << 40
	streamPower     uint64 = 3 << 40
	streamSweep     uint64 = 4 << 40
)

// presentClock is the clock value in milliseconds that scripts begin with, so
// that "in the past" does not depend on how long a script has been running.
const presentClock = 1_000_000

// How the generator behaves in the three layers.
func packetStyle(min int) style { return style{wild: 0.2, mutate: 0.5, minCommand: min} }
func sequenceStyle(min int) style {
	return style{wild: 0.03, mutate: 0.05, minCommand: min}
}
func powerStyle(min int, localities []uint8) style {
	return style{wild: 0.01, mutate: 0.01, minCommand: min, localities: localities}
}

// A source gives the steps of a script one after the other; ok is false at the
// end. It is asked again after the reference answered the step before.
type source func() (step Step, ok bool)

// startup is TPM2_Startup with a TPM_SU, 0 CLEAR or 1 STATE.
func startup(kind byte) Step {
	p := conformance.Packet{Code: uint32(tpm2.TPMCCStartup), Parameters: []byte{0, kind}}
	return Step{Action: Send, Data: p.Bytes()}
}

// shutdown is TPM2_Shutdown with a TPM_SU.
func shutdown(kind byte) Step {
	p := conformance.Packet{Code: uint32(tpm2.TPMCCShutdown), Parameters: []byte{0, kind}}
	return Step{Action: Send, Data: p.Bytes()}
}

// prologue starts the TPM and sets the clock.
func prologue() Script {
	set := conformance.Packet{
		Code: uint32(tpm2.TPMCCClockSet), Handles: []uint32{uint32(tpm2.TPMRHOwner)},
		Sessions:   []conformance.Session{conformance.Password(nil)},
		Parameters: binary.BigEndian.AppendUint64(nil, presentClock),
	}
	return Script{startup(0), {Action: Send, Data: set.Bytes()}}
}

// epilogue reads the state back that commands can read without authorization.
func epilogue() Script {
	var script Script
	add := func(p conformance.Packet) {
		script = append(script, Step{Action: Send, Data: p.Bytes(), Note: "epilogue"})
	}
	for bank := tpm2.TPMAlgSHA1; bank <= tpm2.TPMAlgSHA512; bank++ {
		if hashSizes[bank] == 0 {
			continue
		}
		for byteOfMap := range 3 {
			p := append(u32(1), u16(uint16(bank))...)
			p = append(p, 3, 0, 0, 0)
			p[7+byteOfMap] = 0xff
			add(conformance.Packet{Code: uint32(tpm2.TPMCCPCRRead), Parameters: p})
		}
	}
	for _, question := range [][3]uint32{
		{uint32(tpm2.TPMCapPCRs), 0, 8}, {uint32(tpm2.TPMCapHandles), 0x80000000, 8},
		{uint32(tpm2.TPMCapHandles), 0x02000000, 8}, {uint32(tpm2.TPMCapHandles), 0x40000000, 64},
		{uint32(tpm2.TPMCapTPMProperties), 0x200, 64}, {uint32(tpm2.TPMCapAuditCommands), 0, 64},
		{uint32(tpm2.TPMCapPPCommands), 0, 64},
	} {
		add(getCapability(question[0], question[1], question[2]))
	}
	add(conformance.Packet{Code: uint32(tpm2.TPMCCReadClock)})
	return script
}

// orphans are commands that only one of the devices has. They stand at the end
// of a script, because one device may execute them.
func (g *generator) orphans(n int) Script {
	var script Script
	for range n {
		if len(g.others) > 0 {
			p := g.packet(pick(g, g.others...))
			script = append(script, g.step(p.Bytes(), ""))
		}
	}
	return script
}

// list plays steps that are known beforehand.
func list(script Script) source {
	return func() (Step, bool) {
		if len(script) == 0 {
			return Step{}, false
		}
		step := script[0]
		script = script[1:]
		return step, true
	}
}

// scripts plays n scripts, each drawn when its turn comes.
func scripts(n int, draw func() Script) source {
	var current Script
	return func() (Step, bool) {
		for len(current) == 0 {
			if n == 0 {
				return Step{}, false
			}
			n--
			current = draw()
		}
		step := current[0]
		current = current[1:]
		return step, true
	}
}

// concat plays sources one after the other.
func concat(sources ...source) source {
	return func() (Step, bool) {
		for len(sources) > 0 {
			if step, ok := sources[0](); ok {
				return step, true
			}
			sources = sources[1:]
		}
		return Step{}, false
	}
}

// restocked draws a step, but first a sequence object if none is left and now
// and then, so that commands on objects find one.
func (g *generator) restocked(draw func() Step) Script {
	start := uint32(tpm2.TPMCCHashSequenceStart)
	if len(g.model.objects) == 0 && slices.Contains(g.shared, start) && g.chance(0.2) {
		p := g.packet(start)
		return Script{g.step(p.Bytes(), "restock")}
	}
	return Script{draw()}
}

// packets is a script of the first layer: the changes from the sweep as long
// as there are any, and drawn commands up to n.
func (g *generator) packets(n int, changes []change) source {
	draw := func() Step {
		for len(changes) > 0 {
			c := changes[0]
			changes = changes[1:]
			if step, ok := g.changed(c); ok {
				return step
			}
		}
		return g.draw()
	}
	return concat(list(prologue()), scripts(n, func() Script { return g.restocked(draw) }),
		list(epilogue()), scripts(1, func() Script { return g.orphans(2) }))
}

// sequence is a script of the second layer: commands that build state, with a
// restart now and then.
func (g *generator) sequence(power bool) source {
	step := func() Script {
		if power && g.chance(0.02) {
			return g.restart()
		}
		return g.restocked(g.draw)
	}
	return concat(list(prologue()), scripts(20+g.rng.IntN(60), step),
		list(epilogue()), scripts(1, func() Script { return g.orphans(1) }))
}

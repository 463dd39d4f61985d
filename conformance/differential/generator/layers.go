package generator

import (
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// startup is TPM2_Startup with a TPM_SU, 0 CLEAR or 1 STATE.
func startup(kind byte) conversation.Step {
	p := conformance.Packet{Code: uint32(tpm2.TPMCCStartup), Parameters: []byte{0, kind}}
	return conversation.Step{Action: conversation.Send, Data: p.Bytes()}
}

// shutdown is TPM2_Shutdown with a TPM_SU.
func shutdown(kind byte) conversation.Step {
	p := conformance.Packet{Code: uint32(tpm2.TPMCCShutdown), Parameters: []byte{0, kind}}
	return conversation.Step{Action: conversation.Send, Data: p.Bytes()}
}

// prologue starts the TPM and sets the clock.
func prologue() conversation.Script {
	set := conformance.Packet{
		Code: uint32(tpm2.TPMCCClockSet), Handles: []uint32{uint32(tpm2.TPMRHOwner)},
		Sessions:   []conformance.Session{conformance.Password(nil)},
		Parameters: binary.BigEndian.AppendUint64(nil, presentClock),
	}
	return conversation.Script{startup(0), {Action: conversation.Send, Data: set.Bytes()}}
}

// epilogue reads the state back that commands can read without authorization.
func epilogue() conversation.Script {
	var script conversation.Script
	add := func(p conformance.Packet) {
		script = append(script, conversation.Step{Action: conversation.Send, Data: p.Bytes(), Note: "epilogue"})
	}
	for bank := tpm2.TPMAlgSHA1; bank <= tpm2.TPMAlgSHA512; bank++ {
		if wire.HashSizes[bank] == 0 {
			continue
		}
		for byteOfMap := range 3 {
			p := append(wire.U32(1), wire.U16(uint16(bank))...)
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
		add(wire.GetCapability(question[0], question[1], question[2]))
	}
	add(conformance.Packet{Code: uint32(tpm2.TPMCCReadClock)})
	return script
}

// orphans are commands that only one of the devices has. They stand at the end
// of a script, because one device may execute them.
func (g *generator) orphans(n int) {
	for range n {
		if len(g.others) > 0 {
			g.send(g.packet(pick(g, g.others...)), "")
		}
	}
}

// packets is a script of the first layer: the changes from the sweep as long
// as there are any, and drawn commands, n in all but for those they need.
func (g *generator) packets(n int, changes []Change) {
	g.play(prologue())
	g.stock()
	for range n {
		if g.err != nil {
			return
		}
		if !g.nextChange(&changes) {
			g.draw()
		}
	}
	g.play(epilogue())
	g.orphans(2)
}

// nextChange sends the next change of the sweep that applies.
func (g *generator) nextChange(changes *[]Change) bool {
	for len(*changes) > 0 && g.err == nil {
		c := (*changes)[0]
		*changes = (*changes)[1:]
		g.restock()
		if g.changed(c) {
			return true
		}
	}
	return false
}

// sequence is a script of the second layer: commands that build state, with a
// restart now and then.
func (g *generator) sequence(power bool) {
	g.play(prologue())
	if g.chance(0.5) {
		g.stock()
	}
	for range 20 + g.rng.IntN(60) {
		if power && g.chance(0.02) {
			g.restart()
		} else {
			g.draw()
		}
	}
	g.play(epilogue())
	g.orphans(1)
}

// stock makes persistent objects, so that the commands on them find some while
// all slots but one are in use: a parent and keys of this package below it.
func (g *generator) stock() {
	if !g.can(tpm2.TPMCCCreatePrimary, tpm2.TPMCCImport, tpm2.TPMCCLoad, tpm2.TPMCCEvictControl, tpm2.TPMCCFlushContext) {
		return
	}
	wild, preparing := g.style.wild, g.preparing
	g.style.wild, g.preparing = 0, maxPreparing
	defer func() { g.style.wild, g.preparing, g.wanted, g.wantedKey = wild, preparing, nil, nil }()
	g.wanted = classNamed("storage ECC")
	parent, ok := g.madeBy(tpm2.TPMCCCreatePrimary)
	if !ok || !g.persist(parent.response.Handle, firstStocked) {
		return
	}
	for i, c := range stocked(g) {
		for _, k := range conversation.Keys() {
			if c.takes(k) {
				g.wanted, g.wantedKey = c, k
			}
		}
		if r, ok := g.madeBy(tpm2.TPMCCImport, tpm2.TPMCCLoad); ok {
			g.persist(r.response.Handle, firstStocked+1+uint32(i))
		}
	}
}

// firstStocked is the persistent handle of the parent that stock makes.
const firstStocked = 0x81000010

// stocked draws the classes of the keys that stock makes.
func stocked(g *generator) []*class {
	all := []string{"any RSA", "any ECC", "HMAC", "cipher", "sealed", "attesting ECC", "attesting RSA", "decrypting RSA", "signing ECC"}
	g.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var of []*class
	for _, name := range all[:4] {
		of = append(of, classNamed(name))
	}
	return of
}

// persist moves an object to a persistent handle.
func (g *generator) persist(transient, persistent uint32) bool {
	_, ok := g.send(draft{Packet: conformance.Packet{
		Code: uint32(tpm2.TPMCCEvictControl), Handles: []uint32{uint32(tpm2.TPMRHOwner), transient},
		Sessions:   []conformance.Session{conformance.Password(g.model.auth(uint32(tpm2.TPMRHOwner)))},
		Parameters: wire.U32(persistent),
	}}, "stock")
	g.flush(transient)
	return ok
}

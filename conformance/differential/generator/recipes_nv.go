package generator

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// nvRecipes are the commands on NV indices.
var nvRecipes = map[tpm2.TPMCC]recipe{
	tpm2.TPMCCNVDefineSpace:          {weight: 10, parameters: nvDefine, handles: nvOwner, effect: nvDefined},
	tpm2.TPMCCNVUndefineSpace:        {weight: 3, parameters: bare(nothing), effect: nvUndefined, handles: nvToUndefine},
	tpm2.TPMCCNVUndefineSpaceSpecial: {weight: 1, parameters: bare(nothing), effect: nvUndefinedSpecially, handles: nvToUndefineSpecially},
	tpm2.TPMCCNVWrite:                {weight: 8, parameters: bare(nvWrite), handles: nvPair(indexWish{kinds: []uint32{0, 8, 9}, unlocked: true}), effect: nvWasWritten},
	tpm2.TPMCCNVRead:                 {weight: 8, parameters: bare(nvRead), handles: nvPair(indexWish{written: true, readable: true})},
	tpm2.TPMCCNVIncrement:            {weight: 4, parameters: bare(nothing), handles: nvPair(indexWish{kinds: []uint32{1}, unlocked: true}), effect: nvWasWritten},
	tpm2.TPMCCNVExtend:               {weight: 4, parameters: bare(func(g *generator) []byte { return g.sized(64) }), handles: nvPair(indexWish{kinds: []uint32{4}, unlocked: true}), effect: nvWasWritten},
	tpm2.TPMCCNVSetBits:              {weight: 4, parameters: bare(func(g *generator) []byte { return g.bytes(8) }), handles: nvPair(indexWish{kinds: []uint32{2}, unlocked: true}), effect: nvWasWritten},
	tpm2.TPMCCNVReadPublic:           {weight: 6, parameters: bare(nothing), handles: func(g *generator) []uint32 { return []uint32{g.indexFor(indexWish{})} }},
	tpm2.TPMCCNVWriteLock:            {weight: 2, parameters: bare(nothing), handles: nvPair(indexWish{attributes: wire.NVWriteStClear}), effect: nvWasWriteLocked},
	tpm2.TPMCCNVReadLock:             {weight: 2, parameters: bare(nothing), handles: nvPair(indexWish{attributes: wire.NVReadStClear}), effect: nvWasReadLocked},
	tpm2.TPMCCNVGlobalWriteLock:      {weight: 1, parameters: bare(nothing), handles: nvOwner, effect: nvGloballyLocked},
	tpm2.TPMCCNVChangeAuth:           {weight: 2, parameters: bare(authValue), effect: nvAuthChanged, handles: func(g *generator) []uint32 { return []uint32{g.indexFor(indexWish{allows: tpm2.TPMCCNVChangeAuth})} }},
	tpm2.TPMCCPolicyNV:               {weight: 2, parameters: bare(policyNV), handles: nvPolicy},
}

// nvFlags are attributes that may be added to any index.
var nvFlags = [...]uint32{
	wire.NVPolicyDelete, wire.NVWriteLocked, wire.NVWriteAll, wire.NVWriteDefine, wire.NVWriteStClear, wire.NVGlobalLock,
	wire.NVOrderly, wire.NVClearStClear, wire.NVReadLocked, wire.NVWritten, wire.NVReadStClear,
}

func nvOwner(g *generator) []uint32 {
	return []uint32{uint32(pick(g, tpm2.TPMRHOwner, tpm2.TPMRHOwner, tpm2.TPMRHPlatform))}
}

// nvDefine draws an authorization value and a TPM2B_NV_PUBLIC.
func nvDefine(g *generator) area {
	kind := nvTypes[g.rng.IntN(len(nvTypes))]
	size := kind.size
	if kind.kind == 0 {
		size = g.rng.IntN(80)
	}
	attributes := kind.attributes()
	if g.chance(0.3) {
		attributes |= wire.NVPolicyRead | wire.NVPolicyWrite
	}
	for _, flag := range nvFlags {
		if g.chance(0.06) {
			attributes |= flag
		}
	}
	if g.odd() {
		attributes ^= 1 << g.rng.UintN(32)
		size = pick(g, size, 0, 7, 9, 64, 2048, 2049)
	}
	if byPlatform := len(g.handles) > 0 && g.handles[0] == uint32(tpm2.TPMRHPlatform); byPlatform != g.odd() {
		attributes |= wire.NVPlatformCreate
	}
	handle := g.freeIndex()
	if g.chance(0.1) {
		handle = g.handle(conformance.NVIndex) // one that is there
	}
	if g.odd() {
		handle = g.strangeHandle()
	}
	return join(plain(nvAuth(g)), inSized(nvPublic(g, handle, attributes, size)))
}

func nvPublic(g *generator, handle, attributes uint32, size int) area {
	algorithm := tpm2.TPMAlgSHA256
	if g.chance(0.1) {
		algorithm = g.hash()
	}
	policy := plain([]byte{0, 0})
	if g.chance(0.4) {
		policy = plain(wire.Sized(satisfiable[g.rng.IntN(len(satisfiable))].digest()))
	}
	if attributes&(wire.NVPolicyRead|wire.NVPolicyWrite) != 0 && g.chance(0.5) {
		if p := g.program(pick[tpm2.TPMCC](g, 0, 0, tpm2.TPMCCNVChangeAuth, tpm2.TPMCCNVUndefineSpaceSpecial)); p != nil {
			policy = p.area()
		}
	}
	if g.odd() {
		policy = plain(wire.Sized(g.bytes(pick(g, 1, 20, 31, 48, 64))))
	}
	return join(plain(wire.U32(handle), wire.U16(uint16(algorithm)), wire.U32(attributes)), policy, plain(wire.U16(uint16(size))))
}

func nvDefined(m *model, r result) {
	_, rest, _ := conformance.CutSized(r.command.Parameters)
	public, _, ok := conformance.CutSized(rest)
	if !ok || len(public) < 14 {
		return
	}
	m.indices = append(m.indices, index{
		handle: wire.Number(public[:4]), auth: wire.AuthOf(r.command.Parameters), attributes: wire.Number(public[6:10]),
		size: int(binary.BigEndian.Uint16(public[len(public)-2:])), policy: bytes.Clone((&wire.Cursor{Rest: public[10:]}).Sized()), platform: wire.Number(public[6:10])&wire.NVPlatformCreate != 0,
	})
}

func nvUndefined(m *model, r result) {
	m.indices = slices.DeleteFunc(m.indices, func(n index) bool { return n.handle == r.command.Handles[1] })
}

func nvUndefinedSpecially(m *model, r result) {
	m.indices = slices.DeleteFunc(m.indices, func(n index) bool { return n.handle == r.command.Handles[0] })
}

func nvWasWriteLocked(m *model, r result) {
	if n := m.index(r.command.Handles[1]); n != nil {
		n.locked = true
	}
}

func nvWasReadLocked(m *model, r result) {
	if n := m.index(r.command.Handles[1]); n != nil {
		n.readLocked = true
	}
}

func nvGloballyLocked(m *model, _ result) {
	for i := range m.indices {
		m.indices[i].locked = m.indices[i].locked || m.indices[i].attributes&wire.NVGlobalLock != 0
	}
}

func nvAuthChanged(m *model, r result) {
	for i := range m.indices {
		if m.indices[i].handle == r.command.Handles[0] {
			m.indices[i].auth = wire.AuthOf(r.command.Parameters)
		}
	}
}

// nvPair draws an authorization handle and an index: the index itself, or a
// hierarchy.
func nvPair(w indexWish) func(*generator) []uint32 {
	return func(g *generator) []uint32 {
		n := g.indexFor(w)
		return []uint32{pick(g, n, n, uint32(tpm2.TPMRHOwner), uint32(tpm2.TPMRHPlatform)), n}
	}
}

// nvPolicy draws what TPM2_PolicyNV compares.
func nvPolicy(g *generator) []uint32 {
	return append(nvPair(indexWish{written: true, readable: true})(g), g.handle(conformance.PolicySession))
}

// nvAuthorizes draws an index with the digest in it that a policy session has
// come to.
func nvAuthorizes(g *generator) []uint32 {
	session := g.handle(conformance.PolicySession)
	w := indexWish{written: true, readable: true}
	if alg, digest := g.player.Policy(session); digest != nil && g.chance(0.7) {
		w.kinds, w.contents = []uint32{0}, append(wire.U16(uint16(alg)), digest...)
	}
	return append(nvPair(w)(g), session)
}

// nvToUndefine draws an index, and as authorization the hierarchy that defined it.
func nvToUndefine(g *generator) []uint32 {
	n := g.indexFor(indexWish{})
	by := nvOwner(g)[0]
	if i := g.model.index(n); i != nil && g.chance(0.8) {
		by = uint32(tpm2.TPMRHOwner)
		if i.platform {
			by = uint32(tpm2.TPMRHPlatform)
		}
	}
	return []uint32{by, n}
}

func nvToUndefineSpecially(g *generator) []uint32 {
	w := indexWish{attributes: wire.NVPolicyDelete, platform: true, allows: tpm2.TPMCCNVUndefineSpaceSpecial}
	return []uint32{g.indexFor(w), uint32(tpm2.TPMRHPlatform)}
}

// nvSize is the size of the index the command is about, or a guess.
func (g *generator) nvSize() int {
	for _, n := range g.model.indices {
		if slices.Contains(g.handles, n.handle) {
			return n.size
		}
	}
	return 8
}

// nvWritten reports whether the index has a value that may be written in part.
func (g *generator) nvWritten() bool {
	return slices.ContainsFunc(g.model.indices, func(n index) bool { return n.written && slices.Contains(g.handles, n.handle) })
}

func nvWasWritten(m *model, r result) {
	for i := range m.indices {
		if n := &m.indices[i]; n.handle == r.command.Handles[1] {
			n.written, n.contents = true, nil
		}
	}
}

func nvWrite(g *generator) []byte {
	size, offset := g.nvSize(), 0
	if g.nvWritten() && g.chance(0.4) {
		offset = g.rng.IntN(size + 1)
		size -= offset
	}
	if g.odd() {
		offset = pick(g, 1, 2048, 0xffff)
	}
	return append(conformance.AppendSized(nil, g.bytes(size)), wire.U16(uint16(offset))...)
}

func nvRead(g *generator) []byte {
	size, offset := g.nvSize(), 0
	if g.chance(0.3) {
		offset = g.rng.IntN(size + 1)
		size -= offset
	}
	if g.odd() {
		size = pick(g, 0, 1024, 1025, 0xffff)
	}
	return append(wire.U16(uint16(size)), wire.U16(uint16(offset))...)
}

func policyNV(g *generator) []byte {
	b := conformance.AppendSized(nil, g.bytes(g.rng.IntN(g.nvSize()+1)))
	b = append(b, 0, byte(g.rng.UintN(4)))
	return append(b, wire.U16(uint16(g.rng.UintN(13)))...)
}

package differential

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// nvRecipes are the commands on NV indices.
var nvRecipes = map[tpm2.TPMCC]recipe{
	tpm2.TPMCCNVDefineSpace:          {weight: 10, parameters: nvDefine, handles: nvOwner, effect: nvDefined},
	tpm2.TPMCCNVUndefineSpace:        {weight: 3, parameters: bare(nothing), effect: nvUndefined, handles: func(g *generator) []uint32 { return []uint32{nvOwner(g)[0], g.handle(conformance.NVIndex)} }},
	tpm2.TPMCCNVUndefineSpaceSpecial: {weight: 1, parameters: bare(nothing)},
	tpm2.TPMCCNVWrite:                {weight: 8, parameters: bare(nvWrite), handles: nvPairOf(0, 0, 0, 8, 9), effect: nvWasWritten},
	tpm2.TPMCCNVRead:                 {weight: 8, parameters: bare(nvRead), handles: nvPair},
	tpm2.TPMCCNVIncrement:            {weight: 4, parameters: bare(nothing), handles: nvPairOf(1)},
	tpm2.TPMCCNVExtend:               {weight: 4, parameters: bare(func(g *generator) []byte { return g.sized(64) }), handles: nvPairOf(4)},
	tpm2.TPMCCNVSetBits:              {weight: 4, parameters: bare(func(g *generator) []byte { return g.bytes(8) }), handles: nvPairOf(2)},
	tpm2.TPMCCNVReadPublic:           {weight: 6, parameters: bare(nothing)},
	tpm2.TPMCCNVWriteLock:            {weight: 2, parameters: bare(nothing), handles: nvPair},
	tpm2.TPMCCNVReadLock:             {weight: 2, parameters: bare(nothing), handles: nvPair},
	tpm2.TPMCCNVGlobalWriteLock:      {weight: 1, parameters: bare(nothing), handles: nvOwner},
	tpm2.TPMCCNVChangeAuth:           {weight: 2, parameters: bare(authValue), effect: nvAuthChanged},
	tpm2.TPMCCPolicyNV:               {weight: 2, parameters: bare(policyNV), handles: nvPolicy},
}

// Attributes of NV indices (TPM 2.0 Library Part 2, section "TPMA_NV").
const (
	nvPPWrite, nvOwnerWrite, nvAuthWrite, nvPolicyWrite = 1 << 0, 1 << 1, 1 << 2, 1 << 3
	nvTypeShift                                         = 4
	nvPPRead, nvOwnerRead, nvAuthRead, nvPolicyRead     = 1 << 16, 1 << 17, 1 << 18, 1 << 19
	nvNoDA, nvPlatformCreate                            = 1 << 25, 1 << 30
)

// nvFlags are attributes that may be added to any index.
var nvFlags = [...]uint32{
	1 << 10 /* POLICY_DELETE */, 1 << 11 /* WRITELOCKED */, 1 << 12 /* WRITEALL */, 1 << 13, /* WRITEDEFINE */
	1 << 14 /* WRITE_STCLEAR */, 1 << 15 /* GLOBALLOCK */, 1 << 26 /* ORDERLY */, 1 << 27, /* CLEAR_STCLEAR */
	1 << 28 /* READLOCKED */, 1 << 29 /* WRITTEN */, 1 << 31, /* READ_STCLEAR */
}

func nvOwner(g *generator) []uint32 {
	return []uint32{uint32(pick(g, tpm2.TPMRHOwner, tpm2.TPMRHOwner, tpm2.TPMRHPlatform))}
}

// nvTypes are the types with the sizes in bytes that they need; ordinary and
// extend indices have others.
var nvTypes = [...]struct {
	kind uint32
	size int
}{{0, 0}, {0, 0}, {1, 8}, {2, 8}, {4, 32}, {8, 8}, {9, 8}}

// nvDefine draws an authorization value and a TPM2B_NV_PUBLIC.
func nvDefine(g *generator) area {
	kind := nvTypes[g.rng.IntN(len(nvTypes))]
	size := kind.size
	if kind.kind == 0 {
		size = g.rng.IntN(80)
	}
	attributes := kind.kind<<nvTypeShift | nvNoDA | nvOwnerWrite | nvAuthWrite | nvOwnerRead | nvAuthRead | nvPPRead | nvPPWrite
	if g.chance(0.3) {
		attributes |= nvPolicyRead | nvPolicyWrite
	}
	if kind.kind >= 8 {
		attributes &^= nvAuthWrite
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
		attributes |= nvPlatformCreate
	}
	handle := 0x01400000 + g.rng.Uint32N(6)
	if g.odd() {
		handle = g.strangeHandle()
	}
	return join(plain(nvAuth(g)), inSized(nvPublic(g, handle, attributes, size)))
}

// nvAuth draws the value of an index; most have none.
func nvAuth(g *generator) []byte {
	if g.chance(0.6) {
		return []byte{0, 0}
	}
	return authValue(g)
}

func nvPublic(g *generator, handle, attributes uint32, size int) area {
	algorithm := tpm2.TPMAlgSHA256
	if g.chance(0.1) {
		algorithm = g.hash()
	}
	policy := plain([]byte{0, 0})
	if g.chance(0.4) {
		policy = plain(sized(satisfiable[g.rng.IntN(len(satisfiable))].digest()))
	}
	if attributes&(nvPolicyRead|nvPolicyWrite) != 0 && g.chance(0.5) {
		if p := g.program(pick[tpm2.TPMCC](g, 0, 0, tpm2.TPMCCNVChangeAuth, tpm2.TPMCCNVUndefineSpaceSpecial)); p != nil {
			policy = p.area()
		}
	}
	if g.odd() {
		policy = plain(sized(g.bytes(pick(g, 1, 20, 31, 48, 64))))
	}
	return join(plain(u32(handle), u16(uint16(algorithm)), u32(attributes)), policy, plain(u16(uint16(size))))
}

func nvDefined(m *model, r result) {
	_, rest, _ := conformance.CutSized(r.command.Parameters)
	public, _, ok := conformance.CutSized(rest)
	if !ok || len(public) < 14 {
		return
	}
	m.indices = append(m.indices, index{
		handle: number(public[:4]), auth: stripped(r.command.Parameters), attributes: number(public[6:10]),
		size: int(binary.BigEndian.Uint16(public[len(public)-2:])), policy: bytes.Clone((&cursor{rest: public[10:]}).sized()), platform: number(public[6:10])&nvPlatformCreate != 0,
	})
}

func nvUndefined(m *model, r result) {
	m.indices = slices.DeleteFunc(m.indices, func(n index) bool { return n.handle == r.command.Handles[1] })
}

func nvAuthChanged(m *model, r result) {
	for i := range m.indices {
		if m.indices[i].handle == r.command.Handles[0] {
			m.indices[i].auth = stripped(r.command.Parameters)
		}
	}
}

// nvPair draws an authorization handle and an index: the index itself, or a
// hierarchy.
func nvPair(g *generator) []uint32 { return g.nvAuthorized(g.handle(conformance.NVIndex)) }

func (g *generator) nvAuthorized(n uint32) []uint32 {
	return []uint32{pick(g, n, n, uint32(tpm2.TPMRHOwner), uint32(tpm2.TPMRHPlatform)), n}
}

// nvPairOf prefers indices of a type.
func nvPairOf(types ...uint32) func(*generator) []uint32 {
	return func(g *generator) []uint32 {
		kind := types[g.rng.IntN(len(types))]
		of := slices.DeleteFunc(slices.Clone(g.model.indices), func(n index) bool { return n.attributes>>nvTypeShift&0xf != kind })
		if len(of) == 0 || g.chance(0.1) {
			return nvPair(g)
		}
		return g.nvAuthorized(of[g.rng.IntN(len(of))].handle)
	}
}

func nvPolicy(g *generator) []uint32 {
	return append(nvPair(g), g.handle(conformance.PolicySession))
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

// nvWritten says whether the index has a value that may be written in part.
func (g *generator) nvWritten() bool {
	return slices.ContainsFunc(g.model.indices, func(n index) bool { return n.written && slices.Contains(g.handles, n.handle) })
}

func nvWasWritten(m *model, r result) {
	for i := range m.indices {
		m.indices[i].written = m.indices[i].written || m.indices[i].handle == r.command.Handles[1]
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
	return append(conformance.AppendSized(nil, g.bytes(size)), u16(uint16(offset))...)
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
	return append(u16(uint16(size)), u16(uint16(offset))...)
}

func policyNV(g *generator) []byte {
	b := conformance.AppendSized(nil, g.bytes(g.rng.IntN(g.nvSize()+1)))
	b = append(b, 0, byte(g.rng.UintN(4)))
	return append(b, u16(uint16(g.rng.UintN(13)))...)
}

package generator

import (
	"bytes"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// indexWish describes the NV index that a command needs.
type indexWish struct {
	// kinds are its types; none stands for any.
	kinds []uint32
	// attributes are those it has among others.
	attributes uint32
	// written wants a value in it, and contents this one; size is that of an
	// ordinary index, 0 for any.
	written  bool
	contents []byte
	// unlocked wants that it can be written, and readable that it can be read.
	unlocked, readable bool
	// allows is a command that its policy allows, 0 for any policy.
	allows tpm2.TPMCC
	// platform wants one that the platform has defined.
	platform bool
}

func (w *indexWish) fits(n *index) bool {
	return (len(w.kinds) == 0 || slices.Contains(w.kinds, n.kind())) && n.attributes&w.attributes == w.attributes &&
		(!w.written || n.written) && (!w.unlocked || !n.locked) && (!w.readable || !n.readLocked) &&
		(w.allows == 0 || n.allows == w.allows) && (!w.platform || n.platform) &&
		(w.contents == nil || bytes.Equal(n.contents, w.contents))
}

// kind is the TPM_NT of the index.
func (n *index) kind() uint32 { return n.attributes >> wire.NVTypeShift & 0xf }

// indexFor draws an index as it is wished; if there is none, and now and then
// anyway, one is defined.
func (g *generator) indexFor(w indexWish) uint32 {
	if g.odd() {
		return g.handle(conformance.NVIndex)
	}
	var of []uint32
	for i := range g.model.indices {
		if w.fits(&g.model.indices[i]) {
			of = append(of, g.model.indices[i].handle)
		}
	}
	if len(of) > 0 && (g.preparing > maxPreparing || g.chance(0.9)) {
		return pick(g, of...)
	}
	if n := g.newIndex(w); n != nil {
		return n.handle
	}
	if len(of) > 0 {
		return pick(g, of...)
	}
	return g.handle(conformance.NVIndex)
}

// newIndex defines an index, and writes it if it is to be written.
func (g *generator) newIndex(w indexWish) *index {
	if g.preparing > maxPreparing || !g.can(tpm2.TPMCCNVDefineSpace) {
		return nil
	}
	g.preparing++
	defer func() { g.preparing-- }()
	kind := nvTypes[g.rng.IntN(len(nvTypes))]
	for len(w.kinds) > 0 && !slices.Contains(w.kinds, kind.kind) {
		kind = nvTypes[g.rng.IntN(len(nvTypes))]
	}
	size := kind.size
	switch {
	case w.contents != nil:
		size = len(w.contents)
	case kind.kind == 0:
		size = g.rng.IntN(80)
	}
	policy := plain([]byte{0, 0})
	if w.allows != 0 {
		p := g.program(w.allows)
		if p == nil {
			return nil
		}
		policy = p.area()
	}
	by, attributes := uint32(tpm2.TPMRHOwner), kind.attributes()|w.attributes
	if w.platform {
		by, attributes = uint32(tpm2.TPMRHPlatform), attributes|wire.NVPlatformCreate
	}
	handle := g.freeIndex()
	public := join(plain(wire.U32(handle), wire.U16(uint16(tpm2.TPMAlgSHA256)), wire.U32(attributes)), policy, plain(wire.U16(uint16(size))))
	parameters := join(plain(nvAuth(g)), inSized(public))
	if _, ok := g.nvCommand(tpm2.TPMCCNVDefineSpace, []uint32{by}, parameters); !ok {
		return nil
	}
	n := g.model.index(handle)
	if n == nil {
		return nil
	}
	n.allows = w.allows
	if w.written && !g.fill(handle, by, w.contents) {
		return nil
	}
	return g.model.index(handle)
}

// firstIndex is where the indices are that the generator defines, indexRange how
// many handles it takes.
const firstIndex, indexRange = 0x01400000, 24

// freeIndex draws a handle, if there is one a handle that no index has.
func (g *generator) freeIndex() uint32 {
	at := g.rng.Uint32N(indexRange)
	for range indexRange {
		if g.model.index(firstIndex+at) == nil {
			break
		}
		at = (at + 1) % indexRange
	}
	return firstIndex + at
}

// fill writes an index for the first time, authorized by a hierarchy.
func (g *generator) fill(handle, by uint32, contents []byte) bool {
	n := g.model.index(handle)
	handles := []uint32{by, handle}
	ok := false
	switch n.kind() {
	case 1:
		_, ok = g.nvCommand(tpm2.TPMCCNVIncrement, handles, area{})
	case 2:
		_, ok = g.nvCommand(tpm2.TPMCCNVSetBits, handles, plain(g.bytes(8)))
	case 4:
		_, ok = g.nvCommand(tpm2.TPMCCNVExtend, handles, plain(wire.Sized(g.bytes(16))))
	case 8, 9: // a PIN: none was tried, and some may be
		_, ok = g.nvCommand(tpm2.TPMCCNVWrite, handles, plain(wire.Sized([]byte{0, 0, 0, 0, 0, 0, 0, byte(1 + g.rng.UintN(5))}), wire.U16(0)))
	default:
		if contents == nil {
			contents = g.bytes(n.size)
		}
		if _, ok = g.nvCommand(tpm2.TPMCCNVWrite, handles, plain(wire.Sized(contents), wire.U16(0))); ok {
			g.model.index(handle).contents = contents
		}
	}
	return ok
}

// nvCommand sends a command that the first handle authorizes with its value.
func (g *generator) nvCommand(code tpm2.TPMCC, handles []uint32, parameters area) (result, bool) {
	return g.send(draft{
		Packet: conformance.Packet{
			Code: uint32(code), Handles: handles, Sessions: []conformance.Session{conformance.Password(g.model.auth(handles[0]))},
			Parameters: parameters.bytes,
		},
		spans: parameters.spans,
	}, "to have one")
}

// nvTypes are the types with the sizes in bytes that they need; ordinary and
// extend indices have others.
var nvTypes = [...]nvType{{0, 0}, {0, 0}, {1, 8}, {2, 8}, {4, 32}, {8, 8}, {9, 8}}

type nvType struct {
	kind uint32
	size int
}

// attributes are those of an index that anybody may read and write who knows a
// value. A PIN is not for who has to enter it to write.
func (t nvType) attributes() uint32 {
	attributes := t.kind<<wire.NVTypeShift | wire.NVNoDA | wire.NVOwnerWrite | wire.NVAuthWrite | wire.NVOwnerRead | wire.NVAuthRead | wire.NVPPRead | wire.NVPPWrite
	if t.kind >= 8 {
		attributes &^= wire.NVAuthWrite
	}
	return attributes
}

// nvAuth draws the value of an index; most have none.
func nvAuth(g *generator) []byte {
	if g.chance(0.6) {
		return []byte{0, 0}
	}
	return authValue(g)
}

package generator

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// makeCredential draws a credential for an object that is loaded.
func makeCredential(g *generator) area {
	name := plain(wire.Sized(g.bytes(34)))
	if o := g.someKey(); o != nil && g.chance(0.9) {
		name = g.nameArea(o.handle)
	}
	return join(plain(g.sized(32)), name)
}

// someKey draws any object with a name.
func (g *generator) someKey() *object {
	var of []*object
	for i := range g.model.objects {
		if o := &g.model.objects[i]; o.key {
			of = append(of, o)
		}
	}
	if len(of) == 0 {
		return nil
	}
	return pick(g, of...)
}

// credentialKeys draws a credential, the object it is for, and the key it is
// encrypted to.
func credentialKeys(g *generator) []uint32 {
	g.input, _ = g.answerTo(tpm2.TPMCCMakeCredential)
	if g.input.id == 0 {
		return []uint32{g.handle(conformance.Object), storageParent(g)[0]}
	}
	_, rest, _ := conformance.CutSized(g.input.command.Parameters)
	name, _, _ := conformance.CutSized(rest)
	activated := g.handle(conformance.Object)
	for _, o := range g.model.objects {
		if o.key && bytes.Equal(g.player.Name(o.handle), name) {
			activated = o.handle
		}
	}
	return []uint32{activated, g.input.command.Handles[0]}
}

func activateCredential(g *generator) area {
	if g.input.id == 0 {
		return plain(g.sized(60), g.sized(60))
	}
	return join(g.hole(g.input, 1), g.hole(g.input, 2))
}

// duplicable draws an object that can be duplicated, and a new parent.
func duplicable(g *generator) []uint32 {
	of := g.objectOf(func(o *object) bool {
		return o.key && o.private && o.public.Attributes&wire.ObjectFixedParent == 0 && len(o.public.Policy) > 0
	}, "HMAC", "signing ECC", "sealed")
	if g.chance(0.4) {
		return []uint32{of, uint32(tpm2.TPMRHNull)}
	}
	g.keep = append(g.keep, of)
	return []uint32{of, g.objectOf(func(o *object) bool { return o.isParent(false) && o.public.Kind != tpm2.TPMAlgSymCipher }, "storage ECC", "storage RSA")}
}

// duplicate draws encryptionKeyIn and symmetricAlg.
func duplicate(g *generator) []byte {
	switch g.rng.IntN(3) {
	case 0:
		return append([]byte{0, 0}, innerWrapper()...)
	case 1:
		return append(wire.Sized(g.bytes(pick(g, 16, 16, 16, 15))), innerWrapper()...)
	}
	return append([]byte{0, 0}, wire.U16(uint16(tpm2.TPMAlgNull))...)
}

func innerWrapper() []byte {
	return bytes.Join([][]byte{wire.U16(uint16(tpm2.TPMAlgAES)), wire.U16(128), wire.U16(uint16(tpm2.TPMAlgCFB))}, nil)
}

func duplicated(m *model, r result) {
	o := m.object(r.command.Handles[0])
	_, rest, _ := conformance.CutSized(r.response.Parameters)
	if blob, _, ok := conformance.CutSized(rest); ok && o != nil {
		m.origins[string(blob)] = o.origin
	}
}

// importParent draws what is to be imported, and below what.
func importParent(g *generator) []uint32 {
	g.input = result{}
	if g.wantedKey == nil && g.chance(0.5) && g.can(tpm2.TPMCCDuplicate) {
		code := tpm2.TPMCCDuplicate
		if len(g.model.past[tpm2.TPMCCRewrap]) > 0 && g.chance(0.3) {
			code = tpm2.TPMCCRewrap
		}
		g.input, _ = g.answerTo(code)
	}
	if h := g.input.command.Handles; len(h) == 2 && h[1] != uint32(tpm2.TPMRHNull) {
		return h[1:]
	}
	return storageParent(g)
}

// importKey draws what comes of a duplication, or a key of this package in the
// clear.
func importKey(g *generator) area {
	r := g.input
	if r.id == 0 {
		public, sensitive := g.known(g.knownKey())
		return join(plain([]byte{0, 0}), inSized(public), plain(wire.Sized(sensitive), []byte{0, 0}, wire.U16(uint16(tpm2.TPMAlgNull))))
	}
	key, symmetric := plain([]byte{0, 0}), plain(wire.U16(uint16(tpm2.TPMAlgNull)))
	blob, seed := 2, 3
	if tpm2.TPMCC(r.command.Code) == tpm2.TPMCCDuplicate {
		given, rest, _ := conformance.CutSized(r.command.Parameters)
		symmetric = plain(rest)
		switch {
		case len(given) > 0:
			key = plain(wire.Sized(given))
		case len(rest) > 2:
			key = g.hole(r, 1)
		}
	} else {
		blob, seed = 1, 2
	}
	duplicate := g.hole(r, blob)
	public := plain([]byte{0, 0})
	if o, ok := g.model.origins[string(duplicate.bytes[2:])]; ok && o.public.bytes != nil {
		public = o.public
	}
	return join(key, public, duplicate, g.hole(r, seed), symmetric)
}

func imported(m *model, r result) {
	in := &wire.Cursor{Rest: r.command.Parameters}
	in.Sized() // encryptionKey
	public, blob := in.Sized(), in.Sized()
	private, _, _ := conformance.CutSized(r.response.Parameters)
	o, ok := m.origins[string(blob)]
	if !ok { // in the clear: TPM2B_SENSITIVE
		s := &wire.Cursor{Rest: (&wire.Cursor{Rest: blob}).Sized()}
		s.U16() // sensitiveType
		o = origin{auth: bytes.TrimRight(bytes.Clone(s.Sized()), "\x00"), public: plain(wire.Sized(public))}
	}
	m.origins[string(private)] = o
}

// rewrapParents draws a duplicate, its parent and another one.
func rewrapParents(g *generator) []uint32 {
	g.input, _ = g.answerTo(tpm2.TPMCCDuplicate)
	old := uint32(tpm2.TPMRHNull)
	if len(g.input.command.Handles) == 2 {
		old = g.input.command.Handles[1]
	}
	if g.chance(0.2) {
		return []uint32{old, uint32(tpm2.TPMRHNull)}
	}
	g.keep = append(g.keep, old)
	return []uint32{old, g.objectOf(func(o *object) bool { return o.isParent(false) && o.public.Kind != tpm2.TPMAlgSymCipher }, "storage ECC")}
}

// rewrap draws inDuplicate, name and inSymSeed.
func rewrap(g *generator) area {
	if g.input.id == 0 {
		return plain(g.sized(60), g.sized(34), g.sized(60))
	}
	blob := g.hole(g.input, 2)
	name := plain(wire.Sized(g.bytes(34)))
	if o, ok := g.model.origins[string(blob.bytes[2:])]; ok {
		for _, live := range g.model.objects {
			if live.key && bytes.Equal(o.public.bytes, wire.Sized(live.public.Raw)) {
				name = g.nameArea(live.handle)
			}
		}
	}
	return join(blob, name, g.hole(g.input, 3))
}

func rewrapped(m *model, r result) {
	in, _, _ := conformance.CutSized(r.command.Parameters)
	out, _, _ := conformance.CutSized(r.response.Parameters)
	if o, ok := m.origins[string(in)]; ok {
		m.origins[string(out)] = o
	}
}

// savable draws an object, a sequence or a session.
func savable(g *generator) []uint32 {
	if len(g.model.sessions) > 0 && g.chance(0.5) {
		return []uint32{g.model.sessions[g.rng.IntN(len(g.model.sessions))].handle}
	}
	return []uint32{g.handle(conformance.Context)}
}

func contextSaved(m *model, r result) {
	if s := m.session(r.command.Handles[0]); s != nil {
		s.saved = true
	}
	if o := m.object(r.command.Handles[0]); o != nil {
		saved := *o
		m.contexts[string(r.response.Parameters)] = saved
	}
}

// contextLoad draws a context that was saved.
func contextLoad(g *generator) area {
	r, ok := g.answerTo(tpm2.TPMCCContextSave)
	if !ok {
		return plain(g.bytes(16), g.sized(100))
	}
	g.roomForObject(1)
	context := g.hole(r, 1)
	for i := range context.spans {
		context.spans[i].size = wire.ContextHead
	}
	return context
}

func contextLoaded(m *model, r result) {
	if s := m.session(r.response.Handle); s != nil {
		s.saved = false
	}
	if o, ok := m.contexts[string(r.command.Parameters)]; ok {
		m.forget(r.response.Handle)
		o.handle, o.id = r.response.Handle, r.id
		m.objects = append(m.objects, o)
	}
}

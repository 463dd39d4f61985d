package generator

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// objectRecipes are the commands that make, load, move and take away objects.
var objectRecipes = map[tpm2.TPMCC]recipe{
	tpm2.TPMCCCreatePrimary:      {weight: 3, parameters: createPrimary, handles: primaryHierarchy, effect: primaryCreated},
	tpm2.TPMCCCreate:             {weight: 4, parameters: create, handles: createParent, effect: created},
	tpm2.TPMCCLoad:               {weight: 5, parameters: load, handles: loadParent, effect: loaded},
	tpm2.TPMCCLoadExternal:       {weight: 6, parameters: external, handles: room, effect: externalLoaded},
	tpm2.TPMCCCreateLoaded:       {weight: 3, parameters: createLoaded, handles: createLoadedParent, effect: loadedCreated},
	tpm2.TPMCCReadPublic:         {weight: 4, parameters: bare(nothing)},
	tpm2.TPMCCObjectChangeAuth:   {weight: 2, parameters: bare(authValue), handles: changeAuth, effect: authChanged},
	tpm2.TPMCCUnseal:             {weight: 4, parameters: bare(nothing), handles: one("sealed")},
	tpm2.TPMCCEvictControl:       {weight: 3, parameters: bare(persistentHandle), handles: evict, effect: evicted},
	tpm2.TPMCCMakeCredential:     {weight: 3, parameters: makeCredential, handles: one("storage ECC", "storage RSA")},
	tpm2.TPMCCActivateCredential: {weight: 3, parameters: activateCredential, handles: credentialKeys},
	tpm2.TPMCCDuplicate:          {weight: 4, parameters: bare(duplicate), handles: duplicable, effect: duplicated},
	tpm2.TPMCCImport:             {weight: 3, parameters: importKey, handles: importParent, effect: imported},
	tpm2.TPMCCRewrap:             {weight: 2, parameters: rewrap, handles: rewrapParents, effect: rewrapped},
	tpm2.TPMCCContextSave:        {weight: 4, parameters: bare(nothing), handles: savable, effect: contextSaved},
	tpm2.TPMCCContextLoad:        {weight: 4, parameters: contextLoad, effect: contextLoaded},
}

// room makes room for an object; there are no handles.
func room(g *generator) []uint32 {
	g.roomForObject(1)
	return nil
}

func primaryHierarchy(g *generator) []uint32 {
	g.roomForObject(1)
	return []uint32{uint32(pick(g, tpm2.TPMRHOwner, tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHPlatform, tpm2.TPMRHNull))}
}

// sensitive draws a TPM2B_SENSITIVE_CREATE for a class, and the attributes that
// go with it.
func (g *generator) sensitive(c *class) (sensitive []byte, besides uint32) {
	var data []byte
	besides = wire.ObjectOrigin
	switch {
	case c.name == "sealed":
		data, besides = g.bytes(1+g.rng.IntN(64)), 0
	case c.kind == tpm2.TPMAlgKeyedHash && g.chance(0.4):
		data, besides = g.bytes(1+g.rng.IntN(40)), 0
	case c.kind == tpm2.TPMAlgSymCipher && g.chance(0.4):
		data, besides = g.bytes(16), 0
	}
	if g.odd() {
		data = g.bytes(pick(g, 0, 1, 16, 128, 129))
	}
	auth := authValue(g)
	if len(auth) > 34 && !g.odd() {
		auth = []byte{0, 0}
	}
	return wire.Sized(append(auth, wire.Sized(data)...)), besides
}

// creation draws inSensitive and the attributes and policy of a template; admin
// are the commands its policy may be for.
func (g *generator) creation(c *class, parent *object) (sensitive []byte, t template) {
	sensitive, besides := g.sensitive(c)
	fixed := uint32(wire.ObjectFixedTPM | wire.ObjectFixedParent)
	if parent != nil && parent.public.Attributes&wire.ObjectFixedTPM == 0 {
		fixed = wire.ObjectFixedParent
	}
	if g.chance(0.25) {
		fixed = 0
	}
	t = g.template(c, besides|fixed)
	if c.name == "sealed" && besides == 0 || g.chance(0.98) {
		// An object that brings its secret along was made elsewhere.
		t.attributes = t.attributes&^wire.ObjectOrigin | besides&wire.ObjectOrigin
	}
	if g.chance(0.15) || fixed == 0 && g.chance(0.7) {
		code := pick[tpm2.TPMCC](g, 0, tpm2.TPMCCCertify, tpm2.TPMCCActivateCredential, tpm2.TPMCCObjectChangeAuth)
		if fixed == 0 {
			code = tpm2.TPMCCDuplicate
		}
		if p := g.program(code); p != nil {
			t.policy, t.nameAlg = p.area(), p.hash
			if code != 0 && code != tpm2.TPMCCDuplicate {
				t.attributes |= wire.ObjectAdminWithPolicy
			}
		}
	}
	return sensitive, t
}

// creationEnd draws outsideInfo and creationPCR.
func creationEnd(g *generator) area {
	pcrs := wire.U32(0)
	if g.chance(0.2) {
		pcrs = selection(g)
	}
	return plain(g.sized(32), pcrs)
}

func createPrimary(g *generator) area {
	sensitive, t := g.creation(g.drawnClass(), nil)
	if g.handles[0] == uint32(tpm2.TPMRHPlatform) && g.chance(0.5) {
		t.attributes &^= wire.ObjectFixedTPM
	}
	return join(plain(sensitive), inSized(t.area()), creationEnd(g))
}

// drawnClass is the class asked for, or any. Few are of RSA keys, because to
// generate one takes as long as a thousand commands.
func (g *generator) drawnClass() *class {
	if g.wanted != nil {
		return g.wanted
	}
	generates := g.chance(0.1)
	return g.drawClass(func(c *class) bool { return generates || c.kind != tpm2.TPMAlgRSA })
}

func create(g *generator) area {
	sensitive, t := g.creation(g.drawnClass(), g.model.object(g.handles[0]))
	return join(plain(sensitive), inSized(t.area()), creationEnd(g))
}

func primaryCreated(m *model, r result) {
	auth, data := authAndData(r.command.Parameters)
	public, _, _ := conformance.CutSized(r.response.Parameters)
	m.add(r, public, object{
		auth: auth, private: true, parent: r.command.Handles[0],
		origin: origin{auth: auth, data: data, public: fieldOf(r, 1, wire.Sized(public))},
	})
}

func created(m *model, r result) {
	auth, data := authAndData(r.command.Parameters)
	private, rest, _ := conformance.CutSized(r.response.Parameters)
	public, _, _ := conformance.CutSized(rest)
	m.origins[string(private)] = origin{auth: auth, data: data, public: fieldOf(r, 2, wire.Sized(public))}
}

func storageParent(g *generator) []uint32 {
	return []uint32{g.objectOf(func(o *object) bool { return o.isParent(false) }, "storage ECC", "storage ECC", "storage ECC", "storage RSA", "storage symmetric")}
}

// createParent is storageParent with room for the object to be created, which the
// references put into a slot for a while.
func createParent(g *generator) []uint32 {
	parent := storageParent(g)
	g.keep = append(g.keep, parent...)
	if g.chance(0.9) {
		g.roomForObject(1)
	}
	return parent
}

// isParent reports whether objects can be made below; derivation selects derivation
// parents, instead of storage parents.
func (o *object) isParent(derivation bool) bool {
	return o.key && o.private && o.public.Attributes&usesMask == wire.ObjectRestricted|wire.ObjectDecrypt &&
		(o.public.Kind == tpm2.TPMAlgKeyedHash) == derivation
}

// loadParent draws what is to be loaded, and its parent.
func loadParent(g *generator) []uint32 {
	code := tpm2.TPMCCCreate
	if g.can(tpm2.TPMCCImport) && g.chance(0.25) {
		code = tpm2.TPMCCImport
	}
	if len(g.model.past[tpm2.TPMCCObjectChangeAuth]) > 0 && g.chance(0.1) {
		code = tpm2.TPMCCObjectChangeAuth
	}
	g.input, _ = g.answerTo(code)
	g.roomForObject(1)
	if len(g.input.command.Handles) == 0 {
		return storageParent(g)
	}
	if g.input.command.Code == uint32(tpm2.TPMCCObjectChangeAuth) {
		return g.input.command.Handles[1:]
	}
	return g.input.command.Handles[:1]
}

func load(g *generator) area {
	if g.input.id == 0 {
		return plain(g.sized(100), g.sized(100))
	}
	private, _, _ := conformance.CutSized(g.input.response.Parameters)
	public := g.model.origins[string(private)].public
	if public.bytes == nil {
		public = plain([]byte{0, 0})
	}
	return join(g.hole(g.input, 1), public)
}

func loaded(m *model, r result) {
	private, rest, _ := conformance.CutSized(r.command.Parameters)
	public, _, _ := conformance.CutSized(rest)
	o := m.origins[string(private)]
	m.add(r, public, object{auth: o.auth, private: true, parent: r.command.Handles[0], origin: o})
}

// external draws the parameters of LoadExternal: a key of this package, with
// its sensitive area and in the null hierarchy, or the public area alone.
func external(g *generator) area {
	k := g.knownKey()
	public, sensitive := g.known(k)
	hierarchy := uint32(tpm2.TPMRHNull)
	if (g.publicOnly || g.chance(0.1)) && k.Asymmetric() {
		sensitive, hierarchy = []byte{0, 0}, g.ticketHierarchy()
	}
	return join(plain(sensitive), inSized(public), plain(wire.U32(hierarchy)))
}

// knownKey draws a key of this package, of the class that is wanted.
func (g *generator) knownKey() *conversation.Key {
	if g.wantedKey != nil {
		return g.wantedKey
	}
	return pick(g, conversation.Keys()...)
}

// known draws a public and a sensitive area of a key of this package. The
// latter is a TPM2B_SENSITIVE.
func (g *generator) known(k *conversation.Key) (public area, sensitive []byte) {
	t := g.knownTemplate(k)
	auth := authValue(g)
	if len(auth) > 34 && !g.odd() {
		auth = []byte{0, 0}
	}
	var seed []byte
	if !k.Asymmetric() {
		seed = g.bytes(max(wire.HashSizes[t.nameAlg], 20))
		sum := wire.NameOf(t.nameAlg, seed, k.Secret)
		t.unique = wire.Sized(sum[min(2, len(sum)):])
		if g.odd() {
			t.unique[len(t.unique)-1] ^= 1
		}
	}
	body := bytes.Join([][]byte{wire.U16(uint16(k.Kind)), auth, wire.Sized(seed), wire.Sized(k.Secret)}, nil)
	return t.area(), wire.Sized(body)
}

func externalLoaded(m *model, r result) {
	in := &wire.Cursor{Rest: r.command.Parameters}
	sensitive, public := in.Sized(), in.Sized()
	hierarchy := in.U32()
	o := object{private: len(sensitive) > 0, parent: hierarchy}
	if o.private {
		s := &wire.Cursor{Rest: sensitive[2:]}
		o.auth = bytes.TrimRight(bytes.Clone(s.Sized()), "\x00")
	}
	o.origin = origin{auth: o.auth, public: plain(wire.Sized(public))}
	m.add(r, public, o)
}

func createLoadedParent(g *generator) []uint32 {
	g.roomForObject(1)
	switch g.rng.IntN(3) {
	case 0:
		return primaryHierarchy(g)
	case 1:
		return []uint32{g.objectOf(func(o *object) bool { return o.isParent(true) }, "derivation parent")}
	}
	return storageParent(g)
}

// createLoaded draws the same as create, without what is in a creation ticket.
// For a derived object the template ends with label and context.
func createLoaded(g *generator) area {
	parent := g.model.object(g.handles[0])
	c := g.drawnClass()
	if parent == nil || !parent.isParent(true) {
		sensitive, t := g.creation(c, parent)
		return join(plain(sensitive), inSized(t.area()))
	}
	for c.kind == tpm2.TPMAlgRSA || c.uses&(wire.ObjectRestricted|wire.ObjectDecrypt) == wire.ObjectRestricted|wire.ObjectDecrypt {
		c = g.drawClass(nil)
	}
	t := g.template(c, wire.ObjectFixedParent)
	t.unique = append(g.sized(20), g.sized(20)...)
	return join(plain(wire.Sized(append(authValue(g), 0, 0))), inSized(t.area()))
}

func loadedCreated(m *model, r result) {
	auth, data := authAndData(r.command.Parameters)
	private, rest, _ := conformance.CutSized(r.response.Parameters)
	public, _, _ := conformance.CutSized(rest)
	o := origin{auth: auth, data: data, public: fieldOf(r, 2, wire.Sized(public))}
	if len(private) > 0 {
		m.origins[string(private)] = o
	}
	m.add(r, public, object{auth: auth, private: true, parent: r.command.Handles[0], origin: o})
}

// changeAuth draws an object and its parent.
func changeAuth(g *generator) []uint32 {
	o := g.objectOf(func(o *object) bool { return o.key && g.model.object(o.parent) != nil }, "sealed", "HMAC", "signing ECC")
	if live := g.model.object(o); live != nil && g.model.object(live.parent) != nil {
		return []uint32{o, live.parent}
	}
	return []uint32{o, storageParent(g)[0]}
}

func authChanged(m *model, r result) {
	private, _, _ := conformance.CutSized(r.response.Parameters)
	if o := m.object(r.command.Handles[0]); o != nil {
		changed := o.origin
		changed.auth = wire.AuthOf(r.command.Parameters)
		m.origins[string(private)] = changed
	}
}

// evict draws who asks, and a transient or persistent object.
func evict(g *generator) []uint32 {
	hierarchy := uint32(pick(g, tpm2.TPMRHOwner, tpm2.TPMRHOwner, tpm2.TPMRHPlatform))
	of := g.handle(conformance.Object)
	if o := g.model.object(of); o != nil && o.hierarchy == uint32(tpm2.TPMRHPlatform) {
		hierarchy = o.hierarchy
	}
	return []uint32{hierarchy, of}
}

func persistentHandle(g *generator) []byte {
	handle := 0x81000000 + g.rng.Uint32N(5)
	if g.handles[0] == uint32(tpm2.TPMRHPlatform) {
		handle += 0x00800000
	}
	if g.handles[1]>>24 == 0x81 && !g.odd() {
		handle = g.handles[1]
	}
	if g.odd() {
		handle = g.strangeHandle()
	}
	return wire.U32(handle)
}

func evicted(m *model, r result) {
	handle := wire.Number(r.command.Parameters)
	o := m.object(r.command.Handles[1])
	if o == nil || o.handle>>24 == 0x81 {
		m.forget(r.command.Handles[1])
		return
	}
	persistent := *o
	persistent.handle, persistent.id = handle, 0
	m.objects = append(m.objects, persistent)
}

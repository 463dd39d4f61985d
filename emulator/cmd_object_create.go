package emulator

import (
	"io"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The creation of objects: TPM2_CreatePrimary of Part 3, chapter "Hierarchy
// Commands", TPM2_Create and TPM2_CreateLoaded of chapter "Object Commands".

// creation is what an object is made from.
type creation struct {
	public wire.Public // the template; its unique is replaced
	auth   []byte      // authorization value of the new object
	data   []byte      // from the creator, empty where the TPM makes the secret
	// gen gives the random numbers of the object. That of a derived object, which
	// is no RSA key, is no DRBGState.
	gen io.Reader
	// known has the RSA keys of primary objects that were made before; nil for others.
	known *crypt.RSAKeys
	// proofs are mixed into gen after the key, for what must not outlive them.
	proofs [][]byte
	// single: gen makes this object and nothing else, so what nobody needs is not drawn.
	single bool

	// What was computed on the way.
	lattice latticeKeys
	eddsa   crypt.EdDSAKey
}

// keepKeys has a new object keep what its creation has computed. The object may be nil.
func (o *object) keepKeys(from *creation) {
	if o != nil {
		o.lattice, o.eddsa = from.lattice, from.eddsa
	}
}

// creationParameters takes a TPM2B_SENSITIVE_CREATE. Zeros at the end of the
// authorization value do not count.
func (c *call) creationParameters() wire.SensitiveCreate {
	var s wire.SensitiveCreate
	c.next().SensitiveCreate(&s)
	s.Auth = stripZeros(s.Auth)
	return s
}

// creationDetails are the parameters that go into the creation data: the PCR
// selection goes into the call.
func (c *call) creationDetails() (outside []byte) {
	outside = c.data()
	c.next().PCRSelections(&c.selections)
	return outside
}

// createPrimary is TPM2_CreatePrimary.
func (t *TPM) createPrimary(c *call) wire.RC {
	in := c.creationParameters()
	var public wire.Public
	c.next().SizedPublic(&public, false)
	outside := c.creationDetails()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if t.freeSlots() < 1 {
		return wire.RCObjectMemory
	}
	hierarchy := c.entities[0].handle
	if rc := t.checkCreation(nil, &public, len(in.Data)); rc != wire.RCSuccess {
		return c.badParam(2, rc)
	}
	if !authFits(public.NameAlg, in.Auth) {
		return c.badParam(1, wire.RCSize)
	}
	o := t.primaryCreation(hierarchy, &public, &in)
	sensitive, rc := t.makeObject(&o)
	if rc != wire.RCSuccess {
		return rc
	}
	h, loaded := t.newPrimary(&o.public, &sensitive, hierarchy)
	if loaded == nil {
		return wire.RCObjectMemory
	}
	loaded.keepKeys(&o)
	c.rhandle = h
	c.out.Sized(loaded.Public)
	t.respondCreation(c, o.public.NameAlg, loaded.Name, outside)
	c.out.Sized(loaded.Name)
	return wire.RCSuccess
}

// primaryCreation is the creation of a primary object. All of it comes from the
// primary seed of the hierarchy, the template and the data of the creator. The
// seed value of one of the endorsement hierarchy depends on the proofs too, so
// that its children end with the owner, while the key stays (Part 1, section
// "Primary Object Creation").
func (t *TPM) primaryCreation(hierarchy wire.Handle, public *wire.Public, in *wire.SensitiveCreate) creation {
	var name [wire.MaxName]byte
	o := creation{public: *public, auth: in.Auth, data: in.Data, single: true,
		known: t.platform.PrimaryKeys,
		gen:   crypt.NewPrimaryGenerator(t.primarySeed(hierarchy), t.appendPublicName(name[:0], public), in.Data)}
	if hierarchy == wire.RHEndorsement {
		o.proofs = [][]byte{t.proof(wire.RHOwner), t.proof(wire.RHEndorsement)}
	}
	return o
}

// primarySeed is what the primary objects of a hierarchy are made from.
func (t *TPM) primarySeed(hierarchy wire.Handle) []byte {
	p := &t.s.Persistent
	switch hierarchy {
	case wire.RHOwner:
		return p.SPSeed.Bytes()
	case wire.RHEndorsement:
		return p.EPSeed.Bytes()
	case wire.RHPlatform:
		return p.PPSeed.Bytes()
	}
	return t.s.Reset.NullSeed.Bytes()
}

// create is TPM2_Create.
func (t *TPM) create(c *call) wire.RC {
	in := c.creationParameters()
	var public wire.Public
	c.next().SizedPublic(&public, false)
	outside := c.creationDetails()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	parent := c.entities[0].object
	if !parent.isStorageParent() {
		return c.badHandle(1, wire.RCType)
	}
	if t.freeSlots() < 1 {
		return wire.RCObjectMemory // it is made in one
	}
	if rc := t.checkCreation(parent, &public, len(in.Data)); rc != wire.RCSuccess {
		return c.badParam(2, rc)
	}
	if !authFits(public.NameAlg, in.Auth) {
		return c.badParam(1, wire.RCSize)
	}
	o := creation{public: public, auth: in.Auth, data: in.Data}
	sensitive, rc := t.makeOrdinary(&o)
	if rc != wire.RCSuccess {
		return rc
	}
	name := t.publicName(&o.public)
	c.out.Sized(t.wrapSensitive(parent, name, &sensitive))
	c.out.SizedPublic(&o.public)
	t.respondCreation(c, public.NameAlg, name, outside)
	return wire.RCSuccess
}

// respondCreation appends the creation data, its hash and the ticket of an
// object that was made with the first handle of the command for parent, with
// the PCR selection in the call (Part 2, section "TPMS_CREATION_DATA").
func (t *TPM) respondCreation(c *call, nameAlg wire.AlgID, name, outside []byte) {
	e := &c.entities[0]
	var space [2][wire.MaxDigest]byte
	d := wire.CreationData{Locality: localityAttributes(c.locality), OutsideInfo: outside}
	d.PCRDigest = t.digestPCRs(space[0][:0], nameAlg, &c.selections)
	d.PCRs = c.selections
	if parent := e.object; parent != nil {
		d.ParentNameAlg, d.ParentName, d.ParentQualifiedName = parent.public.NameAlg, parent.Name, parent.QualifiedName
	} else {
		d.ParentNameAlg, d.ParentName = wire.AlgNull, handleName(e.handle)
		d.ParentQualifiedName = d.ParentName
	}
	at := c.out.Len()
	c.out.U16(0)
	c.out.CreationData(&d)
	data := c.out.Data()[at+2:]
	c.out.SetU16(at, uint16(len(data)))
	hash := crypt.Digest(nameAlg, space[1][:0], data)
	c.out.Sized(hash)
	ticket := t.creationTicket(e.hierarchy(), name, hash)
	c.out.Ticket(&ticket)
}

// localityAttributes is a TPMA_LOCALITY with one locality.
func localityAttributes(locality uint8) wire.LocalityAttributes {
	if locality < wire.LocalityExtended {
		return wire.LocalityBit(locality)
	}
	return wire.LocalityAttributes(locality)
}

// createLoaded is TPM2_CreateLoaded. What the parent is decides what the template
// is: of a derivation parent's child it has label and context in place of unique.
func (t *TPM) createLoaded(c *call) wire.RC {
	in := c.creationParameters()
	template := c.next().Template()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	parent := c.entities[0].object // nil for a hierarchy
	if parent != nil && !parent.isParent() {
		return c.badHandle(1, wire.RCType)
	}
	if t.freeSlots() < 1 {
		return wire.RCObjectMemory
	}
	derived := parent != nil && parent.isDerivationParent()
	public, derive, rc := t.decodeTemplate(template, derived)
	if rc != wire.RCSuccess {
		return c.badParam(2, rc)
	}
	if !authFits(public.NameAlg, in.Auth) {
		return c.badParam(1, wire.RCSize)
	}
	if derived {
		return t.createDerived(c, parent, &public, &derive, &in)
	}
	if rc := t.checkCreation(parent, &public, len(in.Data)); rc != wire.RCSuccess {
		return c.badParam(2, rc)
	}
	if parent == nil {
		o := t.primaryCreation(c.entities[0].handle, &public, &in)
		sensitive, rc := t.makeObject(&o)
		if rc != wire.RCSuccess {
			return rc
		}
		h, loaded := t.newPrimary(&o.public, &sensitive, c.entities[0].handle)
		loaded.keepKeys(&o)
		return c.respondCreated(h, loaded, nil)
	}
	o := creation{public: public, auth: in.Auth, data: in.Data}
	sensitive, rc := t.makeOrdinary(&o)
	if rc != wire.RCSuccess {
		return rc
	}
	name := t.publicName(&o.public)
	private := t.wrapSensitive(parent, name, &sensitive)
	h, loaded := t.newChild(parent, &o.public, name, &sensitive)
	loaded.keepKeys(&o)
	return c.respondCreated(h, loaded, private)
}

// decodeTemplate decodes the bytes of a TPM2B_TEMPLATE.
func (t *TPM) decodeTemplate(template []byte, derived bool) (p wire.Public, d wire.Derive, rc wire.RC) {
	r := wire.NewReader(template, t.algs.Selectors())
	if derived {
		r.DeriveTemplate(&p, &d)
	} else {
		r.Public(&p, false)
	}
	if r.Len() != 0 {
		r.Fail(wire.RCSize)
	}
	return p, d, r.RC()
}

// createDerived is TPM2_CreateLoaded below a derivation parent (Part 1, section
// "Derivation Parents"). Label and context are those of the template, and where
// it has none those of the sensitive data.
func (t *TPM) createDerived(c *call, parent *object, public *wire.Public, d *wire.Derive, in *wire.SensitiveCreate) wire.RC {
	if public.Parms.Type == wire.AlgRSA || isLattice(public.Parms.Type) {
		return c.badParam(2, wire.RCType) // Part 1 says how to derive the others
	}
	if public.Attributes&wire.ObjectSensitiveDataOrigin != 0 {
		return wire.RCAttributes // the reference gives it no number
	}
	if rc := t.checkPublic(parent, public); rc != wire.RCSuccess {
		return c.badParam(2, rc)
	}
	if rc := completeDerive(d, in.Data); rc != wire.RCSuccess {
		return rc
	}
	gen, err := crypt.NewDerivationGenerator(parent.public.Parms.Scheme.Hash, parent.sensitive.Data, d.Label, d.Context)
	if err != nil {
		return rcOf(err)
	}
	o := creation{public: *public, auth: in.Auth, gen: gen}
	sensitive, rc := t.makeObject(&o)
	if rc != wire.RCSuccess {
		return rc
	}
	h, loaded := t.newChild(parent, &o.public, nil, &sensitive)
	loaded.keepKeys(&o)
	return c.respondCreated(h, loaded, nil)
}

// completeDerive takes what d does not say from the TPMS_DERIVE that the sensitive
// data are, if there are any.
func completeDerive(d *wire.Derive, data []byte) wire.RC {
	if len(data) == 0 {
		return wire.RCSuccess
	}
	var from wire.Derive
	r := wire.NewReader(data, nil)
	r.Derive(&from)
	if r.Len() != 0 {
		r.Fail(wire.RCSize)
	}
	if rc := r.RC(); rc != wire.RCSuccess {
		return rc
	}
	if len(d.Label) == 0 {
		d.Label = from.Label
	}
	if len(d.Context) == 0 {
		d.Context = from.Context
	}
	return wire.RCSuccess
}

// respondCreated puts handle, private area, public area and Name of an object
// that has been made and loaded into the response.
func (c *call) respondCreated(h wire.Handle, o *object, private []byte) wire.RC {
	if o == nil {
		return wire.RCObjectMemory
	}
	c.rhandle = h
	c.out.Sized(private)
	c.out.Sized(o.Public)
	c.out.Sized(o.Name)
	return wire.RCSuccess
}

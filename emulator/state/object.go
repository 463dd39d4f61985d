package state

import "github.com/swtpmd/swtpmd/emulator/wire"

// Bounds of what an object slot holds, in bytes.
const (
	maxMACState  = 512  // a running HMAC or CMAC with its key, or another message
	maxFirst     = 4    // of TPM_GENERATED_VALUE
	maxPublic    = 1024 // TPMT_PUBLIC of RSA-4096: 2+2+4+66+16+514
	maxLattice   = 3072 // TPMT_PUBLIC of ML-DSA-87: 2+2+4+66+4+2594
	maxSensitive = 1024 // TPMT_SENSITIVE of RSA-4096: 2+66+66+258
)

// MaxPersistentObjects bounds the number of persistent objects.
const MaxPersistentObjects = 256

// ObjectKind says what a transient object slot holds.
type ObjectKind uint8

// What a slot can hold.
const (
	ObjectNone ObjectKind = iota
	ObjectHashSequence
	ObjectEventSequence
	ObjectMACSequence
	ObjectLoaded // an object with a public area
	ObjectSignSequence
	ObjectVerifySequence
)

// ObjectFlags are properties of a loaded object that are not in its public
// area (Part 1, chapter "Objects").
type ObjectFlags uint8

// The flags.
const (
	ObjectPublicOnly   ObjectFlags = 1 << iota // there is no sensitive area
	ObjectPrimary                              // made from a primary seed
	ObjectExternal                             // came by TPM2_LoadExternal
	ObjectTemporary                            // in the null hierarchy
	ObjectUntilRestart                         // stClear, of itself or of an ancestor

	objectFlags = ObjectUntilRestart<<1 - 1
)

// Object is a slot for a transient object or sequence object. What its kind
// does not have is zero.
type Object struct {
	Kind ObjectKind
	Auth TPM2B // of a sequence; that of a loaded object is in Sensitive

	FirstBlock bool // a sequence has received data
	TicketSafe bool // and they do not start with TPM_GENERATED_VALUE
	// Hashes of a sequence: one, or one per bank of an event sequence.
	Hashes []HashState
	// MAC is the state of a MAC sequence: 1 octet, 0 for HMAC and 1 for CMAC,
	// and what MarshalBinary of crypt.HMACState or crypt.CMACState gives.
	MAC []byte

	// Of a sign or verify sequence: what tells its key from others, the context of the
	// signature, and the first octets of the message, up to four. Message is what the
	// message has come to: 1 octet, 0 for a hash, 1 for µ of ML-DSA, 2 for an HMAC, 3
	// for a message that EdDSA signs, 4 and 5 for one whose EdDSA signature of curve 25519
	// or 448 is verified; after 0 the hash algorithm in 2, after 3 TPM_ALG_EDDSA in 2 and
	// nothing else; and what MarshalBinary of the hash, of crypt.MLDSAMu, crypt.HMACState,
	// crypt.Ed25519Verification or crypt.Ed448Verification gives. Ticket is that of the HMAC
	// of a ticket, empty if there is none.
	Key     []byte
	Context []byte
	First   []byte
	Message []byte
	Ticket  []byte

	// Of a loaded object, and Hierarchy of its key of a verify sequence:
	Flags         ObjectFlags
	Hierarchy     wire.Handle
	Public        []byte // TPMT_PUBLIC
	Sensitive     []byte // TPMT_SENSITIVE, empty with ObjectPublicOnly
	Name          []byte // empty where nameAlg is TPM_ALG_NULL
	QualifiedName []byte
}

// PersistentObject is an object that TPM2_EvictControl has made persistent.
type PersistentObject struct {
	Handle wire.Handle
	Object Object
}

// PersistentObjects are in ascending order of handle.
type PersistentObjects struct{ List []PersistentObject }

// Undefined reports whether there is nothing to encode.
func (p *PersistentObjects) Undefined() bool { return len(p.List) == 0 }

// large reports whether an object is a key of ML-KEM or ML-DSA, whose public area
// may be longer than those that there were before version 185 of the library.
func (o *Object) large() bool {
	if len(o.Public) < 2 {
		return false
	}
	switch wire.AlgID(o.Public[0])<<8 | wire.AlgID(o.Public[1]) {
	case wire.AlgMLKEM, wire.AlgMLDSA, wire.AlgHashMLDSA:
		return true
	}
	return false
}

// version is the version of the section Volatile in which an object can be written.
func (o *Object) version() uint16 {
	if o.large() || o.Kind > ObjectLoaded {
		return volatileLattice
	}
	return volatileSessions
}

func (o *Object) fields(c *coder) {
	c.u8((*uint8)(&o.Kind))
	newest := ObjectVerifySequence
	if c.version < volatileLattice {
		newest = ObjectLoaded
	}
	if o.Kind > newest {
		c.refuse("the kind of an object is not known")
	}
	c.tpm2b(&o.Auth)
	c.bool(&o.FirstBlock)
	c.bool(&o.TicketSafe)
	n := len(o.Hashes)
	c.count(&n, MaxBanks)
	if c.decode && n > 0 {
		o.Hashes = make([]HashState, n)
	}
	for i := range o.Hashes {
		h := &o.Hashes[i]
		c.alg(&h.Alg)
		c.sized(&h.Size, h.Buf[:])
	}
	if c.version < 2 {
		return
	}
	switch o.Kind {
	case ObjectMACSequence:
		c.slice(&o.MAC, maxMACState)
	case ObjectLoaded:
		o.loaded(c, c.version >= volatileLattice)
	case ObjectSignSequence, ObjectVerifySequence:
		o.signature(c)
	}
}

// signature codes the fields of a sign or verify sequence.
func (o *Object) signature(c *coder) {
	c.u32((*uint32)(&o.Hierarchy))
	c.slice(&o.Key, wire.MaxName)
	c.slice(&o.Context, wire.MaxSignatureContext)
	c.slice(&o.First, maxFirst)
	c.slice(&o.Message, maxMACState)
	c.slice(&o.Ticket, maxMACState)
}

// loaded codes the fields of a loaded object, in a version of the section that has
// large ones or not.
func (o *Object) loaded(c *coder, large bool) {
	c.u8((*uint8)(&o.Flags))
	if o.Flags&^objectFlags != 0 {
		c.refuse("an object has a flag that is not known")
	}
	c.u32((*uint32)(&o.Hierarchy))
	limit := maxPublic
	if large {
		limit = maxLattice
	}
	c.slice(&o.Public, limit)
	c.slice(&o.Sensitive, maxSensitive)
	c.slice(&o.Name, wire.MaxName)
	c.slice(&o.QualifiedName, wire.MaxName)
	if (o.Flags&ObjectPublicOnly != 0) != (len(o.Sensitive) == 0) {
		c.refuse("an object has a sensitive area and is public only, or neither")
	}
}

func (p *PersistentObjects) fields(c *coder) {
	n := len(p.List)
	c.count(&n, MaxPersistentObjects)
	last := wire.Handle(0)
	for i := range n {
		if c.decode {
			if c.failed() {
				return // before memory is taken for what is not there
			}
			p.List = append(p.List, PersistentObject{Object: Object{Kind: ObjectLoaded}})
		}
		x := &p.List[i]
		c.u32((*uint32)(&x.Handle))
		if x.Handle <= last || x.Handle.Type() != wire.HTPersistent {
			c.refuse("persistent objects are not in ascending order of handle")
		}
		last = x.Handle
		x.Object.loaded(c, c.version >= objectsLattice)
	}
	if p.Undefined() {
		c.refuse("it is there though it is empty")
	}
}

package state

import "github.com/swtpmd/swtpmd/emulator/wire"

// Bounds of the tables of sessions.
const (
	MaxLoadedSessions = 64
	MaxActiveSessions = 1024
)

// SessionFlags are properties of a session that its commands have given it.
type SessionFlags uint16

// The flags.
const (
	SessionPolicy           SessionFlags = 1 << iota // or trial, not HMAC
	SessionTrial                                     // cannot authorize
	SessionBound                                     // Bound is in use
	SessionDABound                                   // bound to an entity with dictionary attack protection
	SessionLockoutBound                              // namely to lockoutAuth
	SessionAudited                                   // Digest is an audit digest
	SessionPassword                                  // TPM2_PolicyPassword
	SessionAuthValue                                 // TPM2_PolicyAuthValue
	SessionPresence                                  // TPM2_PolicyPhysicalPresence
	SessionCpHash                                    // what Hash is of: command parameters,
	SessionNameHash                                  // names of the handles,
	SessionTemplateHash                              // the template of a new object,
	SessionParametersHash                            // parameters without names
	SessionNVWrittenChecked                          // TPM2_PolicyNvWritten,
	SessionNVWritten                                 // with writtenSet
	SessionSecureChannel                             // TPM2_PolicyTransportSPDM
)

// Session is a slot for a loaded session (Part 1, chapter "Authorizations and
// Acknowledgments"). A free one is zero.
type Session struct {
	Handle    wire.Handle
	Flags     SessionFlags
	AuthHash  wire.AlgID
	Symmetric wire.SymDef
	Key       TPM2B // sessionKey, empty if neither bound nor salted
	NonceTPM  TPM2B

	// Bound is, of an HMAC session, the digest of what it is bound to.
	Bound TPM2B
	// Digest is the policyDigest, or of an HMAC session the audit digest.
	Digest TPM2B

	// Of a policy session; see the flags for Hash.
	Hash        TPM2B
	CommandCode wire.CC // 0 for any
	Locality    wire.LocalityAttributes
	PCRCounter  uint32 // PCR update counter at TPM2_PolicyPCR, 0 without
	Start       uint64 // Time, in milliseconds
	Timeout     uint64 // Time, in milliseconds; 0 for none
	Epoch       uint64 // TimeEpoch
}

// ActiveSession says where the session with a handle is: nowhere, loaded, or
// saved.
type ActiveSession struct {
	Slot    uint8  // of a loaded one, from 1
	Context uint64 // of a saved one: the sequence number of its context
}

func (s *Session) fields(c *coder) {
	c.u32((*uint32)(&s.Handle))
	if s.Handle == 0 {
		return
	}
	s.context(c)
}

// context codes all but the handle.
func (s *Session) context(c *coder) {
	c.u16((*uint16)(&s.Flags))
	c.alg(&s.AuthHash)
	c.alg(&s.Symmetric.Alg)
	c.u16(&s.Symmetric.KeyBits)
	c.alg(&s.Symmetric.Mode)
	c.alg(&s.Symmetric.Hash)
	c.tpm2b(&s.Key, &s.NonceTPM, &s.Bound, &s.Digest, &s.Hash)
	c.u32((*uint32)(&s.CommandCode))
	c.u8((*uint8)(&s.Locality))
	c.u32(&s.PCRCounter)
	c.u64(&s.Start)
	c.u64(&s.Timeout)
	c.u64(&s.Epoch)
}

// sessions codes the table of active sessions: its length, and of its entries
// those that are not free, by their index.
func (r *Reset) sessions(c *coder) {
	c.u64(&r.ContextCounter)
	n := len(r.ActiveSessions)
	c.count(&n, MaxActiveSessions)
	if c.decode && n > 0 {
		r.ActiveSessions = make([]ActiveSession, n)
	}
	active := 0
	for _, a := range r.ActiveSessions {
		if a != (ActiveSession{}) {
			active++
		}
	}
	c.count(&active, n)
	next := 0
	for range active {
		i := r.nextActive(next)
		index := uint16(i)
		c.u16(&index)
		if i = int(index); i < next || i >= n {
			c.refuse("sessions are not in ascending order of index")
			return
		}
		a := &r.ActiveSessions[i]
		c.u8(&a.Slot)
		c.u64(&a.Context)
		if a.Slot > MaxLoadedSessions || (a.Slot != 0) == (a.Context != 0) {
			c.refuse("a session is both loaded and saved, or neither")
		}
		next = i + 1
	}
}

// nextActive is the index of the first entry from i on that is not free.
func (r *Reset) nextActive(i int) int {
	for i < len(r.ActiveSessions) && r.ActiveSessions[i] == (ActiveSession{}) {
		i++
	}
	return i
}

func (v *Volatile) sessions(c *coder) {
	n := len(v.Sessions)
	c.count(&n, MaxLoadedSessions)
	if c.decode && n > 0 {
		v.Sessions = make([]Session, n)
	}
	for i := range v.Sessions {
		v.Sessions[i].fields(c)
	}
}

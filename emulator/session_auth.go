package emulator

import (
	"bytes"
	"crypto/subtle"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The authorization area of commands (Part 1, chapter "Authorizations and
// Acknowledgments"; Part 3, section "Session Area Validation" and following).

// none is the index of a session that a command does not have.
const none = -1

// authSession is one session of a command.
type authSession struct {
	wire.AuthCommand
	// loaded is the session, nil for a password.
	loaded *state.Session
	// entity is what the session authorizes, nil for nothing.
	entity *entity
	// withAuth: the authValue of entity is part of the HMAC key.
	withAuth bool
}

// policy reports whether it is a policy session.
func (s *authSession) policy() bool {
	return s.loaded != nil && s.loaded.Flags&state.SessionPolicy != 0
}

// stripZeros drops the zero octets at the end of an authorization value, which
// do not count (Part 1, section "Authorization Values").
func stripZeros(b []byte) []byte { return bytes.TrimRight(b, "\x00") }

// equalSecret compares without telling by its duration where two secrets differ.
func equalSecret(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// authArea decodes the authorization area, checks every authorization, and
// decrypts the first parameter.
func (t *TPM) authArea(c *call) wire.RC {
	authorized := c.cmd.AuthHandles()
	if c.tag == wire.STNoSessions {
		if authorized > 0 {
			return wire.RCAuthMissing
		}
		c.parameters = c.in.Rest()
		return t.prepareAudit(c)
	}
	size := c.in.U32()
	if rc := c.in.RC(); rc != wire.RCSuccess {
		return rc
	}
	if size < wire.MinAuthArea || uint64(size) > uint64(c.in.Len()) {
		return wire.RCSize
	}
	if c.cmd.Sessions == SessionsNone {
		return wire.RCAuthContext
	}
	area := wire.NewReader(c.in.Bytes(int(size)), nil)
	c.parameters = c.in.Rest()
	if rc := t.decodeSessions(c, &area); rc != wire.RCSuccess {
		return rc
	}
	if c.nSession < authorized {
		return wire.RCAuthMissing
	}
	for i := range authorized {
		c.sessions[i].entity = &c.entities[i]
	}
	for i := range c.sessions[:c.nSession] {
		if rc := t.checkSession(c, i); rc != wire.RCSuccess {
			return rc.Session(i + 1)
		}
	}
	if rc := t.prepareAudit(c); rc != wire.RCSuccess {
		return rc
	}
	if c.decrypt != none {
		return t.decryptParameter(c).Session(c.decrypt + 1)
	}
	return wire.RCSuccess
}

// decodeSessions decodes all sessions and checks what can be said of each
// without the handles: its fields, that it is loaded, its attributes.
func (t *TPM) decodeSessions(c *call, area *wire.Reader) wire.RC {
	for n := 0; area.Len() > 0; n++ {
		if n == maxSessions {
			return wire.RCSize.Session(n + 1)
		}
		s := &c.sessions[n]
		*s = authSession{}
		area.AuthCommand(&s.AuthCommand, t.config.Limits.ActiveSessions)
		if rc := area.RC(); rc != wire.RCSuccess {
			return rc.Session(n + 1)
		}
		if s.Session == wire.RSPW {
			if s.Attributes&^wire.SessionContinue != 0 {
				return wire.RCAttributes.Session(n + 1)
			}
			if len(s.Nonce) != 0 {
				return wire.RCNonce.Session(n + 1)
			}
		} else if rc := t.useSession(c, n); rc != wire.RCSuccess {
			return rc.Session(n + 1)
		}
		c.nSession = n + 1
	}
	return wire.RCSuccess
}

// useSession finds session n of a command, and what it is used for besides
// authorization.
func (t *TPM) useSession(c *call, n int) wire.RC {
	s := &c.sessions[n]
	var rc wire.RC
	switch s.loaded, rc = t.session(s.Session); rc {
	case wire.RCSuccess:
	case wire.RCReferenceH0:
		return wire.RCReferenceS0 + wire.RC(n)
	default:
		return rc
	}
	for i := range n {
		if c.sessions[i].Session == s.Session {
			return wire.RCHandle
		}
	}
	if rc := useFor(s, wire.SessionDecrypt, c.cmd.Decrypt, &c.decrypt, n); rc != wire.RCSuccess {
		return rc
	}
	if rc := useFor(s, wire.SessionEncrypt, c.cmd.Encrypt, &c.encrypt, n); rc != wire.RCSuccess {
		return rc
	}
	if s.Attributes&wire.SessionAudit == 0 {
		if s.Attributes&(wire.SessionAuditExclusive|wire.SessionAuditReset) != 0 {
			return wire.RCAttributes
		}
		return wire.RCSuccess
	}
	if c.audit != none || s.policy() {
		return wire.RCAttributes
	}
	again := s.Attributes&wire.SessionAuditReset == 0 && s.loaded.Flags&state.SessionAudited != 0
	if again && s.Attributes&wire.SessionAuditExclusive != 0 && t.s.Volatile.ExclusiveSession != s.Session {
		return wire.RCExclusive
	}
	c.audit = n
	return wire.RCSuccess
}

// useFor notes in index that session n encrypts or decrypts a parameter, if it
// has the attribute. One session of a command can, if the command has such a
// parameter and the session an algorithm.
func useFor(s *authSession, attribute wire.SessionAttributes, possible bool, index *int, n int) wire.RC {
	switch {
	case s.Attributes&attribute == 0:
		return wire.RCSuccess
	case !possible, *index != none:
		return wire.RCAttributes
	case s.loaded.Symmetric.Alg == wire.AlgNull:
		return wire.RCSymmetric
	}
	*index = n
	return wire.RCSuccess
}

// checkSession checks session i: that it may be where it is, and that it
// authorizes what it stands for.
func (t *TPM) checkSession(c *call, i int) wire.RC {
	s := &c.sessions[i]
	if s.loaded == nil {
		if s.entity == nil {
			return wire.RCHandle
		}
		return t.authorize(c, i)
	}
	if s.loaded.Flags&state.SessionTrial != 0 {
		return wire.RCAttributes
	}
	if s.loaded.Flags&state.SessionDABound != 0 {
		if rc := t.daUse(s.loaded.Flags&state.SessionLockoutBound != 0); rc != wire.RCSuccess {
			return rc
		}
	}
	if s.entity != nil {
		return t.authorize(c, i)
	}
	if s.Attributes&(wire.SessionAudit|wire.SessionDecrypt|wire.SessionEncrypt) == 0 {
		return wire.RCAttributes
	}
	return t.checkHMAC(c, i)
}

// authorize checks that session i authorizes the use of its handle.
func (t *TPM) authorize(c *call, i int) wire.RC {
	s := &c.sessions[i]
	e := s.entity
	if e.handle == wire.RHPlatform && t.presenceRequired(c.cmd) && !t.platform.PhysicalPresence() {
		return wire.RCPP
	}
	switch {
	case s.loaded == nil:
		s.withAuth = true
	case s.policy():
		s.withAuth = s.loaded.Flags&(state.SessionAuthValue|state.SessionPassword) != 0
	default:
		s.withAuth = s.loaded.Flags&state.SessionBound == 0 || s.loaded.Bound != t.boundTo(e)
	}
	if s.withAuth && !e.daExempt() {
		if rc := t.daUse(e.lockout()); rc != wire.RCSuccess {
			return rc
		}
	}
	if s.policy() {
		if !c.authPolicyAvailable(i) {
			return wire.RCAuthUnavailable
		}
		if rc := t.checkPolicy(c, i); rc != wire.RCSuccess {
			return rc
		}
	} else {
		if c.policyRequired(i) {
			return wire.RCAuthType
		}
		if !c.authValueAvailable(i) {
			return wire.RCAuthUnavailable
		}
	}
	return t.checkAuthValue(c, i)
}

// checkAuthValue compares what session i has for the authValue of its handle,
// which is a password or an HMAC. That of a PIN index is of no use from its
// limit on, also where a policy asks for it, and what it counts must be recordable
// first: the number of tries would not be limited otherwise. A policy that does
// not ask for the authValue counts nothing.
func (t *TPM) checkAuthValue(c *call, i int) wire.RC {
	s := &c.sessions[i]
	n := s.entity.index
	if n != nil && (!isPIN(n) || !s.withAuth) {
		n = nil
	}
	if n != nil {
		if count, limit := pin(n); n.Written() && count >= limit {
			return wire.RCAuthUnavailable
		}
		if rc := t.nvChangeable(n); rc != wire.RCSuccess {
			return rc
		}
	}
	var rc wire.RC
	if s.loaded == nil || s.loaded.Flags&state.SessionPassword != 0 {
		if !equalSecret(stripZeros(s.HMAC), s.entity.authValue()) {
			rc = t.sessionFailure(c, i)
		}
	} else {
		rc = t.checkHMAC(c, i)
	}
	if n != nil {
		t.countPIN(n, rc == wire.RCSuccess)
		t.recordAuth()
	}
	return rc
}

// checkHMAC compares the HMAC of session i. With an empty key it may be empty.
func (t *TPM) checkHMAC(c *call, i int) wire.RC {
	s := &c.sessions[i]
	var space [2 * wire.MaxDigest]byte
	key := t.hmacKey(s, space[:0])
	if len(key) == 0 && len(s.HMAC) == 0 {
		return wire.RCSuccess
	}
	var decrypt, encrypt []byte // nonces of the sessions that do it for the first
	if i == 0 && s.entity != nil {
		if c.decrypt > 0 {
			decrypt = c.sessions[c.decrypt].loaded.NonceTPM.Bytes()
		}
		if c.encrypt > 0 && c.encrypt != c.decrypt {
			encrypt = c.sessions[c.encrypt].loaded.NonceTPM.Bytes()
		}
	}
	alg := s.loaded.AuthHash
	var want [wire.MaxDigest]byte
	hmac := crypt.AppendHMAC(alg, want[:0], key, c.cpHash(alg), s.Nonce, s.loaded.NonceTPM.Bytes(),
		decrypt, encrypt, []byte{byte(s.Attributes)})
	if !equalSecret(s.HMAC, hmac) {
		return t.sessionFailure(c, i)
	}
	return wire.RCSuccess
}

// hmacKey appends the key of the HMAC of a session: sessionKey, and the
// authValue of what it authorizes (Part 1, section "HMAC Computation").
func (t *TPM) hmacKey(s *authSession, dst []byte) []byte {
	dst = append(dst, s.loaded.Key.Bytes()...)
	if s.withAuth {
		dst = append(dst, s.entity.authValue()...)
	}
	return dst
}

// sessionFailure records that session i has failed, and gives the code for it.
// It counts if it may have been a try to guess what is protected: the authValue
// of its handle, or that of what the session is bound to, whatever it should
// authorize. Of both lockoutAuth comes first.
func (t *TPM) sessionFailure(c *call, i int) wire.RC {
	s := &c.sessions[i]
	lockout := s.withAuth && s.entity.lockout()
	counts := s.withAuth && !s.entity.daExempt()
	if s.loaded != nil && s.loaded.Flags&state.SessionDABound != 0 {
		counts = true
		lockout = lockout || s.loaded.Flags&state.SessionLockoutBound != 0
	}
	if !counts {
		return wire.RCBadAuth
	}
	t.recordAuth()
	t.authFailed(lockout)
	return wire.RCAuthFail
}

// policyRequired reports whether only a policy session can authorize: the DUP role,
// the ADMIN role for anything but an object that allows otherwise, and a PCR of
// a group that has a policy.
func (c *call) policyRequired(i int) bool {
	e := c.sessions[i].entity
	switch c.cmd.Handles[i].Role {
	case RoleDup:
		return true
	case RoleAdmin:
		return e.object == nil || e.object.has(wire.ObjectAdminWithPolicy)
	}
	return e.pcr() && e.policy != nil && e.policy.Alg != wire.AlgNull
}

// authValueAvailable reports whether the authValue of the handle of session i can
// authorize.
func (c *call) authValueAvailable(i int) bool {
	e := c.sessions[i].entity
	if e.index != nil {
		return nvAuthAvailable(c.cmd, e.index)
	}
	o := e.object
	if o == nil || !o.loaded() {
		return true
	}
	return !o.publicOnly() && (o.has(wire.ObjectUserWithAuth) ||
		c.cmd.Handles[i].Role == RoleAdmin && !o.has(wire.ObjectAdminWithPolicy))
}

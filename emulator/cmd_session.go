package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Session Commands".

// minNonce is the size in bytes of the smallest nonceCaller.
const minNonce = 16

// sessionParameters are the parameters of TPM2_StartAuthSession.
type sessionParameters struct {
	nonceCaller []byte
	salt        []byte // encryptedSalt
	kind        wire.SE
	symmetric   wire.SymDef
	authHash    wire.AlgID
}

// startAuthSession is TPM2_StartAuthSession.
func (t *TPM) startAuthSession(c *call) wire.RC {
	var p sessionParameters
	p.nonceCaller = c.digest()
	p.salt = c.next().EncryptedSecret()
	p.kind = wire.SE(c.u8())
	if p.kind != wire.SEHMAC && p.kind != wire.SEPolicy && p.kind != wire.SETrial {
		c.in.Fail(wire.RCValue)
	}
	p.symmetric = c.next().SymDef(true)
	p.authHash = c.hashAlg(false)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if len(p.nonceCaller) < minNonce || len(p.nonceCaller) > t.algs.DigestSize(p.authHash) {
		return c.badParam(1, wire.RCSize)
	}
	salt, rc := t.sessionSalt(c, &p)
	if rc != wire.RCSuccess {
		return rc
	}
	if rc := c.bindable(&c.entities[1]); rc != wire.RCSuccess {
		return rc
	}
	if s := &p.symmetric; s.Alg != wire.AlgNull && s.Alg != wire.AlgXOR && s.Mode != wire.AlgCFB {
		return c.badParam(4, wire.RCMode)
	}
	s, rc := t.createSession(c, &p, salt)
	if rc != wire.RCSuccess {
		return rc
	}
	c.rhandle = s.Handle
	c.out.Sized(s.NonceTPM.Bytes())
	return wire.RCSuccess
}

// sessionSalt decrypts the salt with the key that the first handle names.
func (t *TPM) sessionSalt(c *call, p *sessionParameters) ([]byte, wire.RC) {
	if c.entities[0].handle == wire.RHNull {
		if len(p.salt) != 0 {
			return nil, c.badParam(2, wire.RCValue)
		}
		return nil, wire.RCSuccess
	}
	key := c.entities[0].object
	switch {
	case !key.asymmetric():
		return nil, c.badHandle(1, wire.RCKey)
	case len(p.salt) == 0:
		return nil, c.badParam(2, wire.RCValue)
	case key.publicOnly():
		return nil, c.badHandle(1, wire.RCHandle)
	case !key.has(wire.ObjectDecrypt):
		return nil, c.badHandle(1, wire.RCAttributes)
	}
	salt, rc := t.decryptSecret(key, labelSecret, p.salt)
	if rc != wire.RCSuccess {
		return nil, c.badParam(2, wire.RCValue)
	}
	return salt, wire.RCSuccess
}

// bindable checks that a session can be bound to the entity of the second handle:
// the TPM must have its authValue, and a PIN index would count.
func (c *call) bindable(e *entity) wire.RC {
	if e.object != nil && e.object.publicOnly() {
		return c.badHandle(2, wire.RCHandle)
	}
	if e.index != nil && isPIN(e.index) {
		return c.badHandle(2, wire.RCHandle)
	}
	return wire.RCSuccess
}

// createSession makes a session that is bound to the entity of the second handle,
// unless that is TPM_RH_NULL.
func (t *TPM) createSession(c *call, p *sessionParameters, salt []byte) (*state.Session, wire.RC) {
	slot, index, rc := t.takeSession()
	if rc != wire.RCSuccess {
		return nil, rc
	}
	s := &t.s.Volatile.Sessions[slot]
	t.s.Reset.ActiveSessions[index] = state.ActiveSession{Slot: uint8(slot + 1)}
	*s = state.Session{Handle: wire.HMACFirst + wire.Handle(index), AuthHash: p.authHash, Symmetric: p.symmetric}
	if p.kind != wire.SEHMAC {
		s.Handle = wire.PolicyFirst + wire.Handle(index)
		s.Flags = state.SessionPolicy
		if p.kind == wire.SETrial {
			s.Flags |= state.SessionTrial
		}
		t.startSessionTime(s)
		s.Digest.Size = uint8(t.algs.DigestSize(p.authHash))
	}
	t.random(&s.NonceTPM, len(p.nonceCaller))
	key, bind := &c.entities[0], &c.entities[1]
	if bind.handle == wire.RHNull && key.handle == wire.RHNull {
		return s, wire.RCSuccess
	}
	t.sessionKey(s, bind, salt, p.nonceCaller)
	return s, wire.RCSuccess
}

// sessionKey derives the sessionKey from the authValue of what the session is
// bound to and the salt (Part 1, section "sessionKey Creation").
func (t *TPM) sessionKey(s *state.Session, bind *entity, salt, nonceCaller []byte) {
	size := t.algs.DigestSize(s.AuthHash)
	key := append(append([]byte(nil), bind.authValue()...), salt...)
	s.Key.Set(crypt.KDFa(s.AuthHash, key, "ATH", s.NonceTPM.Bytes(), nonceCaller, size*8))
	if bind.handle == wire.RHNull {
		return
	}
	if s.Flags&state.SessionPolicy == 0 {
		s.Flags |= state.SessionBound
		s.Bound = t.boundTo(bind)
	}
	if !bind.daExempt() {
		s.Flags |= state.SessionDABound
		if bind.lockout() {
			s.Flags |= state.SessionLockoutBound
		}
	}
}

// startSessionTime begins the time in which a policy has to be used. Every new
// nonceTPM does.
func (t *TPM) startSessionTime(s *state.Session) {
	s.Start, s.Epoch, s.Timeout = t.s.Volatile.Time, t.s.Volatile.TimeEpoch, 0
}

// resetPolicy takes back what was asserted in a policy session. Its time goes
// on.
func (t *TPM) resetPolicy(s *state.Session) {
	s.Flags &= state.SessionPolicy | state.SessionTrial | state.SessionDABound | state.SessionLockoutBound
	s.CommandCode, s.Locality, s.PCRCounter = 0, 0, 0
	s.Hash, s.Timeout = state.TPM2B{}, 0
	clear(s.Digest.Bytes())
}

// policyRestart is TPM2_PolicyRestart. The session keeps its nonceTPM, and so the
// time from which authorizations with it count.
func (t *TPM) policyRestart(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	t.resetPolicy(c.entities[0].session)
	return wire.RCSuccess
}

package conversation

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/hmac"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/kdf"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Secret is the authorization value with which the HMAC of a session is made.
type Secret struct {
	// Session is the number of the session in the command, from 1 on, or
	// [BindSecret].
	Session int
	// Auth is the value of the entity it authorizes, without zeros at its end;
	// see [BindSecret] for TPM2_StartAuthSession, which has no authorization.
	Auth []byte
}

// BindSecret is the Secret.Session of TPM2_StartAuthSession: the authorization value
// of the entity that the session is bound to.
const BindSecret = 9

// liveSession is the caller's side of a session on one device (TPM 2.0
// Library Part 1, section "Session-Based Authorizations").
type liveSession struct {
	kind byte // TPM_SE
	alg  tpm2.TPMAlgID
	hash crypto.Hash
	// symmetric is AES or XOR, or TPM_ALG_NULL; bits those of an AES key.
	symmetric tpm2.TPMAlgID
	bits      int
	// key is sessionKey.
	key      []byte
	nonceTPM []byte
	// bound is the Name and the authValue of the entity it is bound to, nil if
	// it is not.
	bound []byte
	// audit is the digest of an audit session, nil if it is none.
	audit []byte
	// policy is policyDigest, nil when it is not known.
	policy []byte
	// needsAuth and needsPassword are of TPM2_PolicyAuthValue and
	// TPM2_PolicyPassword.
	needsAuth, needsPassword bool
	// id stands for what the session has been through.
	id uint64
}

// startSession remembers a new session.
func (c *caller) startSession(x *exchange, response conformance.Response) {
	p := &wire.Cursor{Rest: x.command.Parameters}
	nonceCaller := p.Sized()
	p.Sized() // encryptedSalt
	s := &liveSession{kind: p.U8(), symmetric: p.Alg()}
	switch s.symmetric {
	case tpm2.TPMAlgNull:
	case tpm2.TPMAlgXOR:
		p.Alg() // XOR uses the hash algorithm of the session
	default:
		s.bits = int(p.U16())
		p.U16() // mode
	}
	s.alg = p.Alg()
	nonce, _, ok := conformance.CutSized(response.Parameters)
	if s.hash, _ = wire.Hashes[s.alg]; !ok || !p.Done() || s.hash == 0 {
		return
	}
	s.nonceTPM = bytes.Clone(nonce)
	s.policy = make([]byte, s.hash.Size())
	s.id = uint64(s.alg)<<8 | uint64(s.kind)
	c.keySession(s, x, nonceCaller)
	c.sessions[response.Handle] = s
}

// keySession makes the sessionKey of a session that is salted or bound.
func (c *caller) keySession(s *liveSession, x *exchange, nonceCaller []byte) {
	var auth, salt []byte
	bind := x.command.Handles[1]
	if bind != uint32(tpm2.TPMRHNull) {
		auth, _ = secretOf(x.step.Secrets, BindSecret)
		if s.kind == wire.SessionHMAC {
			s.bound = bindValue(c.nameOf(bind), auth)
		}
	}
	for _, h := range x.step.Holes {
		if key := c.entities[x.command.Handles[0]]; h.Kind == HoleSalt && key != nil {
			salt = saltOf(&key.public, h.Text)
		}
	}
	if bind == uint32(tpm2.TPMRHNull) && x.command.Handles[0] == uint32(tpm2.TPMRHNull) {
		return
	}
	s.key = kdf.A(s.hash, append(bytes.Clone(auth), salt...), "ATH", s.nonceTPM, nonceCaller, s.hash.Size()*8)
}

func bindValue(name, auth []byte) []byte { return append(wire.Sized(name), auth...) }

func secretOf(secrets []Secret, session int) ([]byte, bool) {
	for _, s := range secrets {
		if s.Session == session {
			return s.Auth, true
		}
	}
	return nil, false
}

// crypt encrypts or decrypts a parameter in place. The authValue is that of
// the entity the session authorizes.
func (s *liveSession) crypt(auth, nonceNewer, nonceOlder, data []byte, decrypt bool) bool {
	key := append(bytes.Clone(s.key), auth...)
	switch {
	case s.symmetric == tpm2.TPMAlgXOR:
		kdf.XOR(s.hash, key, nonceNewer, nonceOlder, data)
		return true
	case s.symmetric != tpm2.TPMAlgAES:
		return false
	}
	material := kdf.A(s.hash, key, "CFB", nonceNewer, nonceOlder, s.bits+8*aes.BlockSize)
	block, err := aes.NewCipher(material[:s.bits/8])
	if err != nil {
		return false
	}
	kdf.CFB(block, material[s.bits/8:], data, decrypt)
	return true
}

// protect encrypts the first parameter if a session says so, and fills in the
// HMACs. What cannot be done stays as it is.
func (c *caller) protect(x *exchange) {
	command, ok := wire.ParseCommand(x.wire) // parameters in wire
	if !ok {
		return
	}
	if at, s, auth := c.sessionWith(x, wire.AttributeDecrypt); s != nil {
		if data, _, ok := conformance.CutSized(command.Parameters); ok {
			s.crypt(auth, x.area[at].Nonce, s.nonceTPM, data, false)
		}
	}
	for i, sent := range x.area {
		s := c.sessions[sent.Handle]
		auth, known := secretOf(x.step.Secrets, i+1)
		if s == nil || !known || i >= len(x.included) {
			continue
		}
		x.included[i] = c.includes(x, i, s, auth)
		if len(sent.HMAC) != s.hash.Size() {
			continue
		}
		mac := hmac.New(s.hash.New, s.macKey(x.included[i], auth))
		mac.Write(c.commandHash(s.hash, command))
		mac.Write(sent.Nonce)
		mac.Write(s.nonceTPM)
		if i == 0 && x.auths > 0 {
			mac.Write(c.otherNonces(x))
		}
		mac.Write([]byte{sent.Attributes})
		copy(sent.HMAC, mac.Sum(nil)) // into wire
	}
}

// sessionWith finds the session with an attribute; auth is of the entity it
// authorizes.
func (c *caller) sessionWith(x *exchange, attribute byte) (at int, s *liveSession, auth []byte) {
	for i, sent := range x.area {
		if s := c.sessions[sent.Handle]; s != nil && sent.Attributes&attribute != 0 {
			auth, known := secretOf(x.step.Secrets, i+1)
			switch {
			case i >= x.auths:
				auth = nil
			case !known && (s.kind != wire.SessionHMAC || len(sent.HMAC) > 0):
				return 0, nil, nil // without an HMAC it authorizes what has no authValue
			}
			return i, s, auth
		}
	}
	return 0, nil, nil
}

// otherNonces are those of the decrypt and the encrypt session, which the HMAC
// of the first session is over if they are other sessions (Part 1, section
// "HMAC Computation").
func (c *caller) otherNonces(x *exchange) []byte {
	var nonces []byte
	decrypt, s, _ := c.sessionWith(x, wire.AttributeDecrypt)
	if s != nil && decrypt != 0 {
		nonces = append(nonces, s.nonceTPM...)
	}
	encrypt, e, _ := c.sessionWith(x, wire.AttributeEncrypt)
	if e != nil && encrypt != 0 && (s == nil || encrypt != decrypt) {
		nonces = append(nonces, e.nonceTPM...)
	}
	return nonces
}

// includes reports whether the authValue goes into the HMAC key.
func (c *caller) includes(x *exchange, at int, s *liveSession, auth []byte) bool {
	switch {
	case at >= x.auths:
		return false
	case s.kind != wire.SessionHMAC:
		return s.needsAuth
	}
	return s.bound == nil || !bytes.Equal(s.bound, bindValue(c.nameOf(x.command.Handles[at]), auth))
}

func (s *liveSession) macKey(include bool, auth []byte) []byte {
	if !include {
		return s.key
	}
	return append(bytes.Clone(s.key), auth...)
}

// commandHash is cpHash.
func (c *caller) commandHash(hash crypto.Hash, p conformance.Packet) []byte {
	h := hash.New()
	h.Write(wire.U32(p.Code))
	for _, handle := range p.Handles {
		h.Write(c.nameOf(handle))
	}
	h.Write(p.Parameters)
	return h.Sum(nil)
}

// checkSessions takes the new nonces of sessions that go on, and checks the
// HMACs.
func (c *caller) checkSessions(x *exchange, response conformance.Response) string {
	if len(x.area) != len(response.Sessions) {
		return "" // the comparison says so
	}
	problem := ""
	command, _ := wire.ParseCommand(x.wire)
	for i, sent := range x.area {
		s := c.sessions[sent.Handle]
		if s == nil {
			continue
		}
		got := response.Sessions[i]
		if auth, known := secretOf(x.step.Secrets, i+1); known && !s.answers(x, i, response, auth) {
			problem = "the HMAC in the answer is wrong"
		}
		s.nonceTPM = bytes.Clone(got.Nonce)
		c.auditWith(s, x.code, sent.Attributes, command, response)
	}
	return problem
}

// auditWith extends the digest of an audit session (Part 1, section "Audit").
func (c *caller) auditWith(s *liveSession, code uint32, attributes byte, command conformance.Packet, response conformance.Response) {
	if attributes&wire.AttributeAudit == 0 {
		return
	}
	if s.audit == nil || attributes&wire.AttributeAuditReset != 0 {
		s.audit, s.bound = make([]byte, s.hash.Size()), nil
	}
	h := s.hash.New()
	h.Write(s.audit)
	h.Write(c.commandHash(s.hash, command))
	h.Write(responseHash(s.hash, code, response))
	s.audit = h.Sum(nil)
}

// responseHash is rpHash of a success.
func responseHash(hash crypto.Hash, code uint32, response conformance.Response) []byte {
	h := hash.New()
	h.Write(wire.U32(0))
	h.Write(wire.U32(code))
	h.Write(response.Parameters)
	return h.Sum(nil)
}

// answers checks the HMAC of an answer.
func (s *liveSession) answers(x *exchange, at int, response conformance.Response, auth []byte) bool {
	sent, got := x.area[at], response.Sessions[at]
	key := s.macKey(x.included[at], changedAuth(x, at, auth))
	if s.kind != wire.SessionHMAC && s.needsPassword || len(key) == 0 && len(sent.HMAC) == 0 {
		return len(got.HMAC) == 0
	}
	mac := hmac.New(s.hash.New, key)
	mac.Write(responseHash(s.hash, x.code, response))
	mac.Write(got.Nonce)
	mac.Write(sent.Nonce)
	mac.Write([]byte{got.Attributes})
	return hmac.Equal(mac.Sum(nil), got.HMAC)
}

// changedAuth is the authorization value after the command: one that changes
// the value it is authorized with is answered with the new one.
func changedAuth(x *exchange, at int, auth []byte) []byte {
	switch tpm2.TPMCC(x.code) {
	case tpm2.TPMCCHierarchyChanegAuth, tpm2.TPMCCPCRSetAuthValue, tpm2.TPMCCNVChangeAuth:
		if at == 0 {
			return wire.AuthOf(x.command.Parameters)
		}
	case tpm2.TPMCCClear:
		if at == 0 && x.command.Handles[0] == uint32(tpm2.TPMRHLockout) {
			return nil
		}
	case tpm2.TPMCCNVUndefineSpaceSpecial:
		if at == 0 { // there is no index any more
			return nil
		}
	}
	return auth
}

// decrypted gives the response as the caller reads it. It is opaque if a session
// has encrypted it and the caller does not know with what.
func (c *caller) decrypted(x *exchange, raw []byte, response conformance.Response) (plain []byte, decrypted conformance.Response, opaque bool) {
	at, s, auth := c.sessionWith(x, wire.AttributeEncrypt)
	if s == nil || len(response.Sessions) != len(x.area) {
		return raw, response, slices.ContainsFunc(x.area, func(sent conformance.Session) bool {
			return c.sessions[sent.Handle] != nil && sent.Attributes&wire.AttributeEncrypt != 0
		})
	}
	plain = bytes.Clone(raw)
	again, err := conformance.ParseResponse(x.code, plain)
	if err != nil {
		return raw, response, false
	}
	if data, _, ok := conformance.CutSized(again.Parameters); ok {
		s.crypt(auth, s.nonceTPM, x.area[at].Nonce, data, true)
	}
	return plain, again, false
}

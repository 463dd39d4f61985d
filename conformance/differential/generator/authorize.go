package generator

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// authorize draws the authorization for a handle of a draft: its value in the
// clear mostly, an HMAC session, or a policy session where nothing else will
// do; and now and then any session at all.
func (g *generator) authorize(d *draft, at int) {
	handle := d.Handles[at]
	if g.odd() && len(g.model.sessions) > 0 {
		live := g.model.sessions[g.rng.IntN(len(g.model.sessions))]
		s := conformance.Session{Handle: live.handle, Nonce: g.bytes(pick(g, 0, 16, 32)), Attributes: g.continued()}
		if g.chance(0.3) {
			s.HMAC = g.bytes(32)
		}
		d.Sessions = append(d.Sessions, s)
		return
	}
	p := g.programs[string(g.model.policyOf(handle))]
	if p != nil && (g.needsPolicy(d, at) || g.chance(0.2)) && g.preparing <= maxPreparing {
		if g.authorizeByPolicy(d, at, p) {
			return
		}
	}
	if g.chance(0.3) && g.named(d.Handles) && g.authorizeByHMAC(d, at) {
		return
	}
	s := conformance.Password(g.model.auth(handle))
	s.Attributes = pick[uint8](g, 0, conformance.ContinueSession)
	d.Sessions = append(d.Sessions, s)
}

// continued draws session attributes: the session goes on, mostly.
func (g *generator) continued() uint8 {
	if g.chance(0.1) {
		return 0
	}
	return conformance.ContinueSession
}

// needsPolicy reports whether the authValue of the entity does not authorize the command.
func (g *generator) needsPolicy(d *draft, at int) bool {
	command, _ := conformance.Lookup(d.Code)
	role := command.Role
	if at > 0 {
		role = conformance.User
	}
	handle := d.Handles[at]
	if o := g.model.object(handle); o != nil && o.key {
		switch role {
		case conformance.Dup:
			return true
		case conformance.Admin:
			return o.public.Attributes&wire.ObjectAdminWithPolicy != 0
		}
		return o.public.Attributes&wire.ObjectUserWithAuth == 0
	}
	if n := g.model.index(handle); n != nil {
		return role == conformance.Admin || n.attributes&(wire.NVAuthRead|wire.NVAuthWrite) == 0
	}
	return false
}

// named reports whether the names of all entities are known, so that the caller's
// side can make an HMAC.
func (g *generator) named(handles []uint32) bool {
	return !slices.ContainsFunc(handles, func(h uint32) bool {
		return (h>>24 == 0x01 || h>>24 >= 0x80) && !g.player.Knows(h)
	})
}

// authorizeByHMAC adds an HMAC session, a new one if there is none.
func (g *generator) authorizeByHMAC(d *draft, at int) bool {
	live := g.liveSession(d, wire.SessionHMAC)
	if live == nil && g.preparing <= maxPreparing && g.can(tpm2.TPMCCStartAuthSession) && g.chance(0.2) {
		g.startSession(wire.SessionHMAC, tpm2.TPMAlgSHA256)
		live = g.liveSession(d, wire.SessionHMAC)
	}
	if live == nil || wire.HashSizes[live.hash] == 0 {
		return false
	}
	g.addHMAC(d, live, g.continued()|g.protection(d, live), g.model.auth(d.Handles[at]))
	return true
}

// liveSession draws a session of a kind that the draft does not use yet.
func (g *generator) liveSession(d *draft, kind byte) *session {
	var of []*session
	for i := range g.model.sessions {
		s := &g.model.sessions[i]
		used := slices.ContainsFunc(d.Sessions, func(in conformance.Session) bool { return in.Handle == s.handle })
		if s.kind == kind && !s.saved && !used && !slices.Contains(d.Handles, s.handle) {
			of = append(of, s)
		}
	}
	if len(of) == 0 {
		return nil
	}
	return pick(g, of...)
}

// addHMAC adds a session whose HMAC is made when the script is played.
func (g *generator) addHMAC(d *draft, live *session, attributes uint8, auth []byte) {
	d.Sessions = append(d.Sessions, conformance.Session{
		Handle: live.handle, Nonce: g.bytes(pick(g, 16, 32, wire.HashSizes[live.hash])), Attributes: attributes,
		HMAC: make([]byte, wire.HashSizes[live.hash]),
	})
	d.secrets = append(d.secrets, conversation.Secret{Session: len(d.Sessions), Auth: auth})
}

// protection draws whether a session encrypts parameters or audits.
func (g *generator) protection(d *draft, live *session) (attributes uint8) {
	command, _ := conformance.Lookup(d.Code)
	used := uint8(0)
	for _, s := range d.Sessions {
		used |= s.Attributes
	}
	if live.symmetric && command.Decrypt && used&wire.AttributeDecrypt == 0 && g.chance(0.3) {
		attributes |= wire.AttributeDecrypt
	}
	if live.symmetric && command.Encrypt && used&wire.AttributeEncrypt == 0 && g.chance(0.3) {
		attributes |= wire.AttributeEncrypt
	}
	if live.kind == wire.SessionHMAC && used&wire.AttributeAudit == 0 && g.chance(0.1) {
		attributes |= wire.AttributeAudit | pick[uint8](g, 0, 0, wire.AttributeAuditReset)
	}
	return attributes
}

// addSessions adds sessions that authorize nothing: for encryption, for audit.
func (g *generator) addSessions(d *draft, command conformance.Command) {
	if command.Sessionless || len(d.Sessions) == 3 || !g.chance(0.12) || !g.named(d.Handles) {
		return
	}
	live := g.liveSession(d, pick[byte](g, wire.SessionHMAC, wire.SessionHMAC, wire.SessionPolicy))
	if live == nil || wire.HashSizes[live.hash] == 0 {
		return
	}
	attributes := g.protection(d, live)
	if attributes == 0 && live.kind == wire.SessionHMAC {
		attributes = wire.AttributeAudit
	}
	if attributes == 0 {
		return
	}
	g.addHMAC(d, live, attributes|g.continued(), nil)
}

// startSession starts a session for the sake of another command, and says
// which.
func (g *generator) startSession(kind byte, hash tpm2.TPMAlgID) (handle uint32, ok bool) {
	g.roomForSession()
	d := g.soundly(uint32(tpm2.TPMCCStartAuthSession))
	if n := len(d.Parameters); n > 6 {
		// The type follows the salt, the hash algorithm is at the end.
		at := 2 + int(wire.Number(d.Parameters[:2]))
		at += 2 + int(wire.Number(d.Parameters[at:at+2]))
		d.Parameters[at] = kind
		copy(d.Parameters[n-2:], wire.U16(uint16(hash)))
	}
	r, ok := g.send(d, "to have one")
	return r.response.Handle, ok
}

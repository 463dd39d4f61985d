package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Auditing (Part 1, chapters "Session-based Audit" and "Command Audit").

// commandAudited reports whether the command goes into the command audit digest.
func (t *TPM) commandAudited(cmd *Command) bool {
	return t.s.Persistent.AuditCommands.Has(cmd.Code)
}

// prepareAudit is asked before the first parameter is decrypted: it computes
// the cpHash that the audits of the command need. The first audited command
// counts in NV, which must be possible, and so does the report.
func (t *TPM) prepareAudit(c *call) wire.RC {
	if c.audit != none {
		c.cpHash(c.sessions[c.audit].loaded.AuthHash)
	}
	if !t.commandAudited(c.cmd) {
		return wire.RCSuccess
	}
	if t.s.Reset.CommandAuditDigest.Size == 0 || c.cmd.Code == wire.CCGetCommandAuditDigest {
		if rc := t.needNV(); rc != wire.RCSuccess {
			return rc
		}
	}
	if t.resumable() { // the digest will be what the shutdown has saved
		if rc := t.needNV(); rc != wire.RCSuccess {
			return rc
		}
	}
	c.cpHash(t.s.Persistent.AuditAlg)
	return wire.RCSuccess
}

// auditSessions extends the digest of the audit session of a command that
// succeeded, and says in its attributes whether it is exclusive. A command
// without an audit session that could have one ends the exclusivity.
func (t *TPM) auditSessions(c *call) {
	exclusive := &t.s.Volatile.ExclusiveSession
	if c.audit == none {
		if c.cmd.Sessions != SessionsNone {
			*exclusive = wire.RHUnassigned
		}
		return
	}
	s := &c.sessions[c.audit]
	l := s.loaded
	if l.Flags&state.SessionAudited == 0 || s.Attributes&wire.SessionAuditReset != 0 {
		l.Flags = l.Flags&^state.SessionBound | state.SessionAudited
		l.Digest = state.TPM2B{Size: uint8(t.algs.DigestSize(l.AuthHash))}
		*exclusive = s.Session
	} else if *exclusive != s.Session {
		*exclusive = wire.RHUnassigned
	}
	s.Attributes &^= wire.SessionAuditExclusive | wire.SessionAuditReset
	if *exclusive == s.Session {
		s.Attributes |= wire.SessionAuditExclusive
	}
	t.auditInto(c, l.AuthHash, &l.Digest)
}

// auditCommand extends the command audit digest after a command that succeeded.
func (t *TPM) auditCommand(c *call) {
	if !t.commandAudited(c.cmd) || c.auditRestarted {
		return
	}
	d := &t.s.Reset.CommandAuditDigest
	if d.Size == 0 {
		d.Size = uint8(t.algs.DigestSize(t.s.Persistent.AuditAlg))
		t.changePersistent().AuditCounter++
	}
	t.withdrawShutdown()
	t.auditInto(c, t.s.Persistent.AuditAlg, d)
}

// auditInto extends a digest with cpHash and rpHash of the command.
func (t *TPM) auditInto(c *call, alg wire.AlgID, digest *state.TPM2B) {
	var space [3 * wire.MaxDigest]byte
	b := append(space[:0], digest.Bytes()...)
	b = append(b, c.cpHash(alg)...)
	b = append(b, c.rpHash(alg)...)
	digest.Set(crypt.Digest(alg, nil, b))
}

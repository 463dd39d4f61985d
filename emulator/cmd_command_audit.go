package emulator

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Command Audit".

// auditDefaults are what a new TPM audits: the command that changes it.
func (t *TPM) auditDefaults(p *state.Persistent) {
	p.AuditAlg, p.AuditCommands, p.AuditCounter = t.contextHash, auditedAlways(), 0
}

func auditedAlways() (b state.CommandBits) {
	b.Set(wire.CCSetCommandCodeAuditStatus)
	return b
}

// setCommandCodeAuditStatus is TPM2_SetCommandCodeAuditStatus. Codes of commands
// that cannot be on the list, or cannot be taken from it, are passed over.
func (t *TPM) setCommandCodeAuditStatus(c *call) wire.RC {
	alg := c.hashAlg(true)
	set := c.next().CommandCodes(maxCommandCodes)
	clear := c.next().CommandCodes(maxCommandCodes)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	p := &t.s.Persistent
	if alg != wire.AlgNull && alg != p.AuditAlg {
		if len(set) != 0 || len(clear) != 0 {
			return c.badParam(1, wire.RCValue)
		}
		t.changePersistent().AuditAlg = alg
		t.s.Reset.CommandAuditDigest = state.TPM2B{}
		c.auditRestarted = true
		return wire.RCSuccess
	}
	p = t.changePersistent()
	for code := range set.All() {
		if t.commands.lookup(code) != nil && code != wire.CCShutdown {
			p.AuditCommands.Set(code)
		}
	}
	for code := range clear.All() {
		if t.commands.lookup(code) != nil && code != wire.CCSetCommandCodeAuditStatus {
			p.AuditCommands.Clear(code)
		}
	}
	return wire.RCSuccess
}

// auditedCommands is the digest of the codes of the commands under audit.
func (t *TPM) auditedCommands() []byte {
	var b []byte
	for _, cmd := range t.commands.byCode {
		if cmd != nil && t.commandAudited(cmd) {
			b = binary.BigEndian.AppendUint32(b, uint32(cmd.Code))
		}
	}
	return crypt.Digest(t.s.Persistent.AuditAlg, nil, b)
}

package emulator

import (
	"bytes"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Authorization with a policy session (Part 1, section "Policy Session
// Authorization" and following).

// authPolicyAvailable reports whether the policy of the entity of session i can
// authorize. That of an object always can, even an empty one, which no session
// satisfies.
func (c *call) authPolicyAvailable(i int) bool {
	e := c.sessions[i].entity
	switch {
	case e.object != nil:
		return e.object.loaded() && !e.object.publicOnly()
	case e.index != nil:
		switch {
		case e.index.Policy.Size == 0:
			return false
		case c.policyRequired(i):
			return true
		case c.cmd.WritesIndex:
			return e.index.Attributes&wire.NVPolicyWrite != 0
		}
		return e.index.Attributes&wire.NVPolicyRead != 0
	case e.policy == nil:
		return false
	}
	return e.pcr() || e.policy.Digest.Size != 0
}

// checkPolicy checks that the policy of session i is that of its handle, and
// that what the policy demands of the command is true.
func (t *TPM) checkPolicy(c *call, i int) wire.RC {
	s := c.sessions[i].loaded
	if c.cmd.Code == wire.CCPolicySecret && s.Flags&(state.SessionPassword|state.SessionAuthValue) == 0 {
		return wire.RCMode
	}
	if s.PCRCounter != 0 && s.PCRCounter != t.s.Reset.PCRUpdateCounter {
		return wire.RCPCRChanged
	}
	policy, alg := c.sessions[i].entity.authPolicy()
	if !bytes.Equal(policy, s.Digest.Bytes()) || alg != s.AuthHash {
		return wire.RCPolicyFail
	}
	if s.Timeout != 0 {
		if rc := t.needNV(); rc != wire.RCSuccess {
			return rc // Time stands still
		}
		if s.Timeout < t.s.Volatile.Time || s.Epoch != t.s.Volatile.TimeEpoch {
			return wire.RCExpired
		}
	}
	switch role := c.cmd.Handles[i].Role; {
	case s.CommandCode != 0:
		if s.CommandCode != c.cmd.Code {
			return wire.RCPolicyCC
		}
	case role == RoleAdmin, role == RoleDup:
		return wire.RCPolicyFail
	}
	if s.Locality != 0 && !s.Locality.Allows(c.locality) {
		return wire.RCLocality
	}
	if s.Flags&state.SessionPresence != 0 && !t.platform.PhysicalPresence() {
		return wire.RCPP
	}
	if s.Hash.Size != 0 && !bytes.Equal(s.Hash.Bytes(), t.policyHash(c, s)) {
		return wire.RCPolicyFail
	}
	if s.Flags&state.SessionSecureChannel != 0 {
		return wire.RCChannel
	}
	if s.Flags&state.SessionNVWrittenChecked != 0 {
		n := c.sessions[i].entity.index
		if n == nil || n.Written() != (s.Flags&state.SessionNVWritten != 0) {
			return wire.RCPolicyFail
		}
	}
	return wire.RCSuccess
}

// policyHash is, of the command, the hash that a policy session compares with
// its own; nil if the command has nothing to be hashed.
func (t *TPM) policyHash(c *call, s *state.Session) []byte {
	b := t.hashing[:0]
	switch {
	case s.Flags&state.SessionCpHash != 0:
		return c.cpHash(s.AuthHash)
	case s.Flags&state.SessionNameHash != 0:
		b = c.appendNames(b)
	case s.Flags&state.SessionParametersHash != 0:
		b = append(binary.BigEndian.AppendUint32(b, uint32(c.cmd.Code)), c.parameters...)
	case s.Flags&state.SessionTemplateHash != 0:
		var ok bool
		if b, ok = c.template(); !ok {
			return nil
		}
	}
	return crypt.Digest(s.AuthHash, nil, b)
}

// template is the template of a command that makes an object: its second
// parameter, which like the first is a TPM2B.
func (c *call) template() ([]byte, bool) {
	switch c.cmd.Code {
	case wire.CCCreate, wire.CCCreatePrimary, wire.CCCreateLoaded:
		r := wire.NewReader(c.parameters, nil)
		r.Sized(len(c.parameters))
		b := r.Sized(len(c.parameters))
		return b, r.RC() == wire.RCSuccess
	}
	return nil, false
}

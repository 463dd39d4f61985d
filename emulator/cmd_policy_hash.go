package emulator

import (
	"bytes"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Policies on a hash of the command that the session authorizes. A session has
// room for one such hash; what it is of its flags say.

// hashFlags are the flags of which a session has one if its Hash is in use.
const hashFlags = state.SessionCpHash | state.SessionNameHash | state.SessionTemplateHash | state.SessionParametersHash

// hashTaken reports whether a session has another hash than this one already.
func hashTaken(s *state.Session, of state.SessionFlags, hash []byte) bool {
	return s.Flags&hashFlags != 0 && (s.Flags&hashFlags != of || !bytes.Equal(s.Hash.Bytes(), hash))
}

// setHash notes the hash of the command.
func setHash(s *state.Session, of state.SessionFlags, hash []byte) {
	s.Flags |= of
	s.Hash.Set(hash)
}

// assertHash notes the hash of the command and makes it part of the
// policyDigest.
func (t *TPM) assertHash(s *state.Session, of state.SessionFlags, hash []byte) wire.RC {
	setHash(s, of, hash)
	t.extendPolicy(s, t.call.cmd.Code, hash)
	return wire.RCSuccess
}

// policyCpHash is TPM2_PolicyCpHash.
func (t *TPM) policyCpHash(c *call) wire.RC {
	hash := c.digest()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	switch {
	case len(hash) != int(s.Digest.Size):
		return c.badParam(1, wire.RCSize)
	case hashTaken(s, state.SessionCpHash, hash):
		return wire.RCCPHash
	}
	return t.assertHash(s, state.SessionCpHash, hash)
}

// policyTemplate is TPM2_PolicyTemplate.
func (t *TPM) policyTemplate(c *call) wire.RC {
	hash := c.digest()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	switch {
	case hashTaken(s, state.SessionTemplateHash, hash):
		return wire.RCCPHash
	case len(hash) != int(s.Digest.Size):
		return c.badParam(1, wire.RCSize)
	}
	return t.assertHash(s, state.SessionTemplateHash, hash)
}

// policyNameHash is TPM2_PolicyNameHash.
func (t *TPM) policyNameHash(c *call) wire.RC { return t.policyOnce(c, state.SessionNameHash) }

// policyParameters is TPM2_PolicyParameters.
func (t *TPM) policyParameters(c *call) wire.RC { return t.policyOnce(c, state.SessionParametersHash) }

// policyOnce is a policy on a hash that cannot be repeated, not even with the
// same one.
func (t *TPM) policyOnce(c *call, of state.SessionFlags) wire.RC {
	hash := c.digest()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	switch {
	case len(hash) != int(s.Digest.Size):
		return c.badParam(1, wire.RCSize)
	case s.Flags&hashFlags != 0:
		return wire.RCCPHash
	}
	return t.assertHash(s, of, hash)
}

// policyDuplicationSelect is TPM2_PolicyDuplicationSelect: TPM2_Duplicate with
// these two names. The policyDigest has the new parent's, and the object's only
// if it is to be included.
func (t *TPM) policyDuplicationSelect(c *call) wire.RC {
	object, parent := c.objectName(), c.objectName()
	include := c.yesNo()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	switch {
	case s.Flags&hashFlags != 0:
		return wire.RCCPHash
	case s.CommandCode != 0:
		return wire.RCCommandCode
	}
	names := append(append(t.hashing[:0], object...), parent...)
	setHash(s, state.SessionNameHash, crypt.Digest(s.AuthHash, c.digestSpace[:0], names))
	s.CommandCode = wire.CCDuplicate
	if include {
		t.extendPolicy(s, wire.CCPolicyDuplicationSelect, object, parent, []byte{1})
	} else {
		t.extendPolicy(s, wire.CCPolicyDuplicationSelect, parent, []byte{0})
	}
	return wire.RCSuccess
}

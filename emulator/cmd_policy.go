package emulator

import (
	"bytes"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Enhanced Authorization (EA) Commands": what the commands have
// in common, and the assertions about how the session is used. Those on hashes
// of the command are in cmd_policy_hash.go, on values of the TPM in cmd_policy_value.go,
// and those that somebody authorizes in cmd_policy_authorization.go.
//
// An assertion makes a new policyDigest of the old one, its command code and
// its parameters, and notes in the session what has to be true when it
// authorizes, which checkPolicy asks. A trial session takes everything that is
// asserted for true.

// trial reports whether a session is one that computes a policyDigest only.
func trial(s *state.Session) bool { return s.Flags&state.SessionTrial != 0 }

// extendPolicy makes the new policyDigest of the old one, the command code and
// parts.
func (t *TPM) extendPolicy(s *state.Session, code wire.CC, parts ...[]byte) {
	b := append(t.hashing[:0], s.Digest.Bytes()...)
	b = binary.BigEndian.AppendUint32(b, uint32(code))
	for _, p := range parts {
		b = append(b, p...)
	}
	setDigest(&s.Digest, s.AuthHash, b)
}

// updatePolicy is PolicyUpdate() of Part 3: it makes the new policyDigest of the
// old one, the command code, a Name, and in a second step policyRef.
func (t *TPM) updatePolicy(s *state.Session, code wire.CC, name, policyRef []byte) {
	t.extendPolicy(s, code, name)
	setDigest(&s.Digest, s.AuthHash, append(append(t.hashing[:0], s.Digest.Bytes()...), policyRef...))
}

// policyOR is TPM2_PolicyOR: the policyDigest must be one of the list, of which
// the new one is made.
func (t *TPM) policyOR(c *call) wire.RC {
	var space [8][]byte
	list := c.next().DigestList(space[:0], 2, len(space))
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	met := trial(s)
	for _, d := range list {
		met = met || bytes.Equal(d, s.Digest.Bytes())
	}
	if !met {
		return c.badParam(1, wire.RCValue)
	}
	clear(s.Digest.Bytes())
	t.extendPolicy(s, wire.CCPolicyOR, list...)
	return wire.RCSuccess
}

// policyPCR is TPM2_PolicyPCR: the selected PCRs have this digest, and none
// changes until the session authorizes.
func (t *TPM) policyPCR(c *call) wire.RC {
	want := c.digest()
	c.next().PCRSelections(&c.selections)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	digest := t.digestPCRs(c.digestSpace[:0], s.AuthHash, &c.selections)
	counter := t.s.Reset.PCRUpdateCounter
	switch {
	case trial(s):
		if len(want) != 0 {
			digest = want
		}
	case s.PCRCounter != 0 && s.PCRCounter != counter:
		return wire.RCPCRChanged
	case len(want) != 0 && !bytes.Equal(want, digest):
		return c.badParam(1, wire.RCValue)
	default:
		s.PCRCounter = counter
	}
	w := wire.NewWriter(c.digestSpace[wire.MaxDigest:wire.MaxDigest])
	w.PCRSelections(c.selections.Slice())
	t.extendPolicy(s, wire.CCPolicyPCR, w.Data(), digest)
	return wire.RCSuccess
}

// policyLocality is TPM2_PolicyLocality. Of several ones what all allow is
// allowed; that must not be nothing, nor mix an extended locality with others.
func (t *TPM) policyLocality(c *call) wire.RC {
	locality := wire.LocalityAttributes(c.u8())
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	allowed := locality
	switch {
	case s.Locality == 0:
	case locality < wire.LocalityExtended && s.Locality < wire.LocalityExtended:
		allowed &= s.Locality
	case locality != s.Locality:
		allowed = 0
	}
	if allowed == 0 {
		return c.badParam(1, wire.RCRange)
	}
	s.Locality = allowed
	t.extendPolicy(s, wire.CCPolicyLocality, []byte{byte(locality)})
	return wire.RCSuccess
}

// policyCommandCode is TPM2_PolicyCommandCode.
func (t *TPM) policyCommandCode(c *call) wire.RC {
	code := wire.CC(c.u32())
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	if s.CommandCode != 0 && s.CommandCode != code {
		return c.badParam(1, wire.RCValue)
	}
	if t.commands.lookup(code) == nil {
		return c.badParam(1, wire.RCPolicyCC)
	}
	s.CommandCode = code
	t.extendPolicy(s, wire.CCPolicyCommandCode, binary.BigEndian.AppendUint32(nil, uint32(code)))
	return wire.RCSuccess
}

// policyPhysicalPresence is TPM2_PolicyPhysicalPresence.
func (t *TPM) policyPhysicalPresence(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	s.Flags |= state.SessionPresence
	t.extendPolicy(s, wire.CCPolicyPhysicalPresence)
	return wire.RCSuccess
}

// policyAuthValue is TPM2_PolicyAuthValue: the authValue of the entity goes into
// the HMAC of the session.
func (t *TPM) policyAuthValue(c *call) wire.RC {
	return t.wantAuthValue(c, state.SessionAuthValue)
}

// policyPassword is TPM2_PolicyPassword: the session gives the authValue of the
// entity as it is. A policy does not tell that from TPM2_PolicyAuthValue.
func (t *TPM) policyPassword(c *call) wire.RC {
	return t.wantAuthValue(c, state.SessionPassword)
}

// wantAuthValue notes the way in which the authValue is given, of which the last
// that was asserted counts.
func (t *TPM) wantAuthValue(c *call, way state.SessionFlags) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	s.Flags = s.Flags&^(state.SessionAuthValue|state.SessionPassword) | way
	t.extendPolicy(s, wire.CCPolicyAuthValue)
	return wire.RCSuccess
}

// policyNvWritten is TPM2_PolicyNvWritten.
func (t *TPM) policyNvWritten(c *call) wire.RC {
	written := c.yesNo()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	flags, octet := state.SessionNVWrittenChecked, byte(0)
	if written {
		flags, octet = flags|state.SessionNVWritten, 1
	}
	if s.Flags&state.SessionNVWrittenChecked != 0 && (s.Flags^flags)&state.SessionNVWritten != 0 {
		return c.badParam(1, wire.RCValue)
	}
	s.Flags |= flags
	t.extendPolicy(s, wire.CCPolicyNvWritten, []byte{octet})
	return wire.RCSuccess
}

// policyGetDigest is TPM2_PolicyGetDigest.
func (t *TPM) policyGetDigest(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	c.out.Sized(c.entities[0].session.Digest.Bytes())
	return wire.RCSuccess
}

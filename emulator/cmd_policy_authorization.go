package emulator

import (
	"bytes"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Policies that somebody else authorizes: by a signature, a secret, a ticket for
// either, or a policy in an NV index.

// assertion is an authorization as TPM2_PolicySigned and TPM2_PolicySecret take
// it: their first four parameters.
type assertion struct {
	authorization
	nonceTPM   []byte // empty for one that any session can use
	expiration int32  // in seconds; one below zero asks for a ticket
}

// assertion takes the four parameters.
func (c *call) assertion(tag wire.ST) assertion {
	a := assertion{nonceTPM: c.digest()}
	a.tag, a.cpHash, a.policyRef = tag, c.digest(), c.digest()
	a.expiration = int32(c.u32())
	a.untilReset = len(a.nonceTPM) == 0
	return a
}

// checkAssertion checks an assertion in a session that is not a trial.
func (t *TPM) checkAssertion(c *call, s *state.Session, a *assertion) wire.RC {
	a.timeout = t.policyTimeout(s, a)
	if len(a.nonceTPM) != 0 && !bytes.Equal(a.nonceTPM, s.NonceTPM.Bytes()) {
		return c.badParam(1, wire.RCNonce)
	}
	return t.checkAuthorization(c, s, &a.authorization, 4)
}

// policyTimeout is the Time, in milliseconds, at which an assertion expires, 0
// for never. With nonceTPM the expiration counts from the start of the session.
// Without it is a Time, in seconds; that it is not taken for earlier than meant,
// the milliseconds of the present one are added.
func (t *TPM) policyTimeout(s *state.Session, a *assertion) uint64 {
	ms := uint64(max(int64(a.expiration), -int64(a.expiration))) * 1000
	switch {
	case ms == 0:
		return 0
	case len(a.nonceTPM) != 0:
		return s.Start + ms
	}
	return ms + t.s.Volatile.Time%1000
}

// checkAuthorization checks that an authorization has not expired, which is
// about one parameter, and that its cpHash, which is the second, can be noted in
// the session.
func (t *TPM) checkAuthorization(c *call, s *state.Session, a *authorization, timeoutParam int) wire.RC {
	if a.timeout != 0 {
		if rc := t.needNV(); rc != wire.RCSuccess {
			return rc // Time stands still
		}
		if a.timeout < t.s.Volatile.Time || s.Epoch != t.s.Volatile.TimeEpoch {
			return c.badParam(timeoutParam, wire.RCExpired)
		}
	}
	switch {
	case len(a.cpHash) == 0:
	case len(a.cpHash) != int(s.Digest.Size):
		return c.badParam(2, wire.RCSize)
	case hashTaken(s, state.SessionCpHash, a.cpHash):
		return wire.RCCPHash
	}
	return wire.RCSuccess
}

// authorizePolicy notes an authorization in the session. Of several timeouts the
// first counts.
func (t *TPM) authorizePolicy(s *state.Session, a *authorization) {
	code := wire.CCPolicySigned
	if a.tag == wire.STAuthSecret {
		code = wire.CCPolicySecret
	}
	t.updatePolicy(s, code, a.name, a.policyRef)
	if len(a.cpHash) != 0 {
		setHash(s, state.SessionCpHash, a.cpHash)
	}
	if a.timeout != 0 && (s.Timeout == 0 || a.timeout < s.Timeout) {
		s.Timeout = a.timeout
	}
}

// respondTicket appends the timeout and the ticket of an authorization, which
// are empty if none is asked for or there can be none.
func (t *TPM) respondTicket(c *call, hierarchy wire.Handle, a *authorization, wanted bool) {
	if !wanted {
		c.out.Sized(nil)
		ticket := nullTicket(a.tag)
		c.out.Ticket(&ticket)
		return
	}
	ticket := t.authTicket(hierarchy, a)
	c.out.Sized(a.encodedTimeout())
	c.out.Ticket(&ticket)
}

// policySecret is TPM2_PolicySecret. The session area has checked the secret.
// For a PIN Pass index there is no ticket, which would authorize without
// counting.
func (t *TPM) policySecret(c *call) wire.RC {
	a := c.assertion(wire.STAuthSecret)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	e, s := &c.entities[0], c.entities[1].session
	n := e.index
	if n != nil && isPIN(n) && t.s.Clear.ReadOnly {
		return wire.RCReadOnly
	}
	if !trial(s) {
		if rc := t.checkAssertion(c, s, &a); rc != wire.RCSuccess {
			return rc
		}
	}
	a.name = e.appendName(c.digestSpace[:0])
	t.authorizePolicy(s, &a.authorization)
	pinPass := n != nil && n.Attributes.Type() == wire.NTPinPass
	t.respondTicket(c, e.hierarchy(), &a.authorization, a.expiration < 0 && !trial(s) && !pinPass)
	return wire.RCSuccess
}

// policySigned is TPM2_PolicySigned.
func (t *TPM) policySigned(c *call) wire.RC {
	a := c.assertion(wire.STAuthSigned)
	var signature wire.Signature
	c.next().Signature(&signature, false)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	key, s := c.entities[0].object, c.entities[1].session
	if !trial(s) {
		if rc := t.checkAssertion(c, s, &a); rc != wire.RCSuccess {
			return rc
		}
		if rc := t.verifyMessage(key, a.signed(), &signature); rc != wire.RCSuccess {
			return c.badParam(5, rc)
		}
	}
	a.name = key.Name
	t.authorizePolicy(s, &a.authorization)
	t.respondTicket(c, c.entities[0].hierarchy(), &a.authorization, a.expiration < 0 && !trial(s))
	return wire.RCSuccess
}

// signed returns the message of an assertion whose digest is aHash.
func (a *assertion) signed() []byte {
	b := binary.BigEndian.AppendUint32(bytes.Clone(a.nonceTPM), uint32(a.expiration))
	return append(append(b, a.cpHash...), a.policyRef...)
}

// policyTicket is TPM2_PolicyTicket: a ticket stands for the command that has
// made it.
func (t *TPM) policyTicket(c *call) wire.RC {
	timeout := c.sized(timeoutSize)
	a := authorization{cpHash: c.digest(), policyRef: c.digest(), name: c.objectName()}
	var ticket wire.Ticket
	c.next().Ticket(&ticket, wire.STAuthSigned, wire.STAuthSecret)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	if trial(s) {
		return c.badHandle(1, wire.RCAttributes)
	}
	a.tag = ticket.Tag
	if !a.decodeTimeout(timeout) {
		return c.badParam(1, wire.RCSize)
	}
	if rc := t.checkAuthorization(c, s, &a, 1); rc != wire.RCSuccess {
		return rc
	}
	if !t.authHolds(&ticket, &a) {
		return c.badParam(5, wire.RCTicket)
	}
	t.authorizePolicy(s, &a)
	return wire.RCSuccess
}

// policyAuthorize is TPM2_PolicyAuthorize: a key has signed the policyDigest,
// for which there is a ticket. The key's Name takes its place.
func (t *TPM) policyAuthorize(c *call) wire.RC {
	approved, policyRef, key := c.digest(), c.digest(), c.objectName()
	var ticket wire.Ticket
	c.next().Ticket(&ticket, t.verifiedTags()...)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if len(key) < 2 {
		return c.badParam(3, wire.RCSize)
	}
	alg := wire.AlgID(binary.BigEndian.Uint16(key))
	switch t.algs.DigestSize(alg) {
	case 0:
		return c.badParam(3, wire.RCHash)
	case len(key) - 2:
	default:
		return c.badParam(3, wire.RCSize)
	}
	s := c.entities[0].session
	if !trial(s) {
		if !bytes.Equal(approved, s.Digest.Bytes()) {
			return c.badParam(1, wire.RCValue)
		}
		signed := append(append(t.hashing[:0], approved...), policyRef...)
		switch ticket.Tag { // TPM_ST_MESSAGE_VERIFIED is of the message itself
		case wire.STVerified:
			signed = crypt.Digest(alg, c.digestSpace[:0], signed)
		case wire.STDigestVerified:
			signed = crypt.Digest(ticket.Hash, c.digestSpace[:0], signed)
		}
		if !t.verifiedHolds(&ticket, signed, key) {
			return c.badParam(4, wire.RCValue)
		}
	}
	clear(s.Digest.Bytes())
	t.updatePolicy(s, wire.CCPolicyAuthorize, key, policyRef)
	return wire.RCSuccess
}

// policyAuthorizeNV is TPM2_PolicyAuthorizeNV: the policyDigest is the one in an
// NV index, the Name of which takes its place. The codes about what is in the
// index have no number: it is no parameter.
func (t *TPM) policyAuthorizeNV(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	n, s := c.entities[1].index, c.entities[2].session
	if !trial(s) {
		if rc := nvReadable(c, 0, n); rc != wire.RCSuccess {
			return rc
		}
		r := wire.NewReader(n.Data, t.algs.Selectors())
		approved := r.HA(false)
		switch rc := r.RC(); {
		case rc != wire.RCSuccess:
			return rc
		case approved.Hash != s.AuthHash:
			return wire.RCHash
		case !bytes.Equal(approved.Digest, s.Digest.Bytes()):
			return wire.RCValue
		}
	}
	clear(s.Digest.Bytes())
	t.extendPolicy(s, wire.CCPolicyAuthorizeNV, appendNVName(c.digestSpace[:0], n))
	return wire.RCSuccess
}

package emulator

import (
	"crypto/subtle"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Tickets (Part 2, section "Tickets"): what the TPM has found, with an HMAC by
// which it knows it again. The key is the proof of a hierarchy, so that a ticket
// ends with the hierarchy it is of.

// ticket makes the ticket of a hierarchy over parts.
func (t *TPM) ticket(tag wire.ST, hierarchy wire.Handle, parts ...[]byte) wire.Ticket {
	var space [2 + 3*wire.MaxName]byte // more than most tickets are of
	b := binary.BigEndian.AppendUint16(space[:0], uint16(tag))
	for _, p := range parts {
		b = append(b, p...)
	}
	return wire.Ticket{Tag: tag, Hierarchy: hierarchy, Digest: crypt.HMAC(t.contextHash, t.proof(hierarchy), b)}
}

// nullTicket is the NULL Ticket, which says nothing and never holds.
func nullTicket(tag wire.ST) wire.Ticket { return wire.Ticket{Tag: tag, Hierarchy: wire.RHNull} }

// sameTicket compares the HMAC of a ticket that was brought with the one that
// was made.
func sameTicket(brought, made *wire.Ticket) bool {
	return subtle.ConstantTimeCompare(brought.Digest, made.Digest) == 1
}

// hashCheckTicket appends a TPMT_TK_HASHCHECK: the TPM has computed the digest
// itself, of a message that is safe to be signed. It is the NULL Ticket for the
// null hierarchy and for a message that is not safe.
func (t *TPM) hashCheckTicket(c *call, hierarchy wire.Handle, alg wire.AlgID, digest []byte, safe bool) {
	ticket := nullTicket(wire.STHashCheck)
	if hierarchy != wire.RHNull && safe {
		ticket = t.hashChecked(hierarchy, alg, digest)
	}
	c.out.Ticket(&ticket)
}

func (t *TPM) hashChecked(hierarchy wire.Handle, alg wire.AlgID, digest []byte) wire.Ticket {
	return t.ticket(wire.STHashCheck, hierarchy, binary.BigEndian.AppendUint16(nil, uint16(alg)), digest)
}

// hashCheckHolds reports whether a TPMT_TK_HASHCHECK is of the digest.
func (t *TPM) hashCheckHolds(ticket *wire.Ticket, alg wire.AlgID, digest []byte) bool {
	made := t.hashChecked(ticket.Hierarchy, alg, digest)
	return sameTicket(ticket, &made)
}

// creationTicket is a TPMT_TK_CREATION: the TPM has created the object with the
// Name, and creationHash is the digest of its TPMS_CREATION_DATA.
func (t *TPM) creationTicket(hierarchy wire.Handle, name, creationHash []byte) wire.Ticket {
	return t.ticket(wire.STCreation, hierarchy, name, creationHash)
}

// creationHolds reports whether a TPMT_TK_CREATION is of the object with the Name
// and its creationHash.
func (t *TPM) creationHolds(ticket *wire.Ticket, name, creationHash []byte) bool {
	made := t.creationTicket(ticket.Hierarchy, name, creationHash)
	return sameTicket(ticket, &made)
}

// verifiedTags are the tags that a TPMT_TK_VERIFIED can have: those besides
// TPM_ST_VERIFIED came with version 185.
func (t *TPM) verifiedTags() []wire.ST {
	tags := [...]wire.ST{wire.STVerified, wire.STMessageVerified, wire.STDigestVerified}
	if t.config.hasVersion185() {
		return tags[:]
	}
	return tags[:1]
}

// verifiedTicket is a TPMT_TK_VERIFIED: the TPM has verified a signature of the
// digest, or with TPM_ST_MESSAGE_VERIFIED of the message, by the key with the Name. hash
// is that of the digest with TPM_ST_DIGEST_VERIFIED. It is the NULL Ticket for a key of
// the null hierarchy, and for one without a Name.
func (t *TPM) verifiedTicket(tag wire.ST, hierarchy wire.Handle, signed, keyName []byte, hash wire.AlgID) wire.Ticket {
	digest := tag == wire.STDigestVerified
	if hierarchy == wire.RHNull || len(keyName) == 0 {
		ticket := nullTicket(tag)
		if digest {
			ticket.Hash = wire.AlgNull
		}
		return ticket
	}
	if !digest {
		return t.ticket(tag, hierarchy, signed, keyName)
	}
	ticket := t.ticket(tag, hierarchy, signed, keyName, binary.BigEndian.AppendUint16(nil, uint16(hash)))
	ticket.Hash = hash
	return ticket
}

// verifiedHolds reports whether a TPMT_TK_VERIFIED is of the digest or message and the
// key.
func (t *TPM) verifiedHolds(ticket *wire.Ticket, signed, keyName []byte) bool {
	made := t.verifiedTicket(ticket.Tag, ticket.Hierarchy, signed, keyName, ticket.Hash)
	return len(made.Digest) != 0 && sameTicket(ticket, &made)
}

// authorization is what TPM2_PolicySigned and TPM2_PolicySecret have been
// authorized, and what their ticket is of. Its bytes alias the command.
type authorization struct {
	tag       wire.ST // TPM_ST_AUTH_SIGNED or TPM_ST_AUTH_SECRET
	name      []byte  // of the entity that has authorized
	cpHash    []byte  // cpHashA, empty for any command
	policyRef []byte
	// timeout is the Time in milliseconds after which it does not hold, 0 for
	// never.
	timeout uint64
	// untilReset says that it does not hold after a TPM Reset: it is not of one
	// session, in which it would end.
	untilReset bool
}

// untilResetBit is where the timeout that goes with a ticket says untilReset.
// Time never becomes as large.
const untilResetBit = 1 << 63

// timeoutSize is the size in bytes of such a timeout.
const timeoutSize = 8

// encodedTimeout is the TPM2B_TIMEOUT that goes with the ticket, without its
// size.
func (a *authorization) encodedTimeout() []byte {
	timeout := a.timeout
	if a.untilReset {
		timeout |= untilResetBit
	}
	return binary.BigEndian.AppendUint64(nil, timeout)
}

// decodeTimeout is the inverse of encodedTimeout, false for another size.
func (a *authorization) decodeTimeout(b []byte) bool {
	if len(b) != timeoutSize {
		return false
	}
	timeout := binary.BigEndian.Uint64(b)
	a.timeout, a.untilReset = timeout&^untilResetBit, timeout&untilResetBit != 0
	return true
}

// authTicket is a TPMT_TK_AUTH: the authorization was given. Where it has a
// timeout it does not outlast the period of Time that this refers to.
func (t *TPM) authTicket(hierarchy wire.Handle, a *authorization) wire.Ticket {
	end := binary.BigEndian.AppendUint64(nil, a.timeout)
	if a.timeout != 0 {
		end = binary.BigEndian.AppendUint64(end, t.s.Volatile.TimeEpoch)
		if a.untilReset {
			end = binary.BigEndian.AppendUint64(end, t.s.Persistent.TotalResetCount)
		}
	}
	return t.ticket(a.tag, hierarchy, a.cpHash, a.policyRef, a.name, end)
}

// authHolds reports whether a TPMT_TK_AUTH is of the authorization.
func (t *TPM) authHolds(ticket *wire.Ticket, a *authorization) bool {
	made := t.authTicket(ticket.Hierarchy, a)
	return sameTicket(ticket, &made)
}

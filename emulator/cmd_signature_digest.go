package emulator

import "github.com/swtpmd/swtpmd/emulator/wire"

// TPM2_SignDigest and TPM2_VerifyDigestSignature (version 185; Part 3, chapter "Signing
// and Signature Verification").

// digestScheme is the scheme in which a key signs digests, and how long they are. The
// code is bare and belongs to the key: TPM_RC_KEY for what is no signing key,
// TPM_RC_SCHEME for one whose scheme needs the message, TPM_RC_ATTRIBUTES for an ML-DSA
// key that takes no µ from outside.
func (t *TPM) digestScheme(key *object) (scheme wire.Scheme, size int, rc wire.RC) {
	scheme, rc = ownScheme(key)
	switch {
	case rc != wire.RCSuccess:
		return scheme, 0, rc
	case scheme.Alg == wire.AlgHMAC || scheme.Alg == wire.AlgEdDSA:
		return scheme, 0, wire.RCScheme
	case scheme.Alg != wire.AlgMLDSA:
		return scheme, t.algs.DigestSize(scheme.Hash), wire.RCSuccess
	case !key.public.Parms.ExternalMu || key.has(wire.ObjectRestricted):
		return scheme, 0, wire.RCAttributes
	}
	return scheme, wire.MLDSAMu, wire.RCSuccess
}

// digestContextFits reports whether a scheme can have a context for a digest. What comes
// before a message has been hashed already, in the identity of SM2 and in µ.
func digestContextFits(alg wire.AlgID, context []byte) bool {
	if alg == wire.AlgSM2 || alg == wire.AlgMLDSA {
		return len(context) == 0
	}
	return contextFits(alg, context)
}

// signDigestCommand is TPM2_SignDigest.
func (t *TPM) signDigestCommand(c *call) wire.RC {
	context := c.next().SignatureContext()
	digest := c.digest()
	var ticket wire.Ticket
	c.next().Ticket(&ticket, wire.STHashCheck)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	key := c.entities[0].object
	scheme, size, rc := t.digestScheme(key)
	switch {
	case rc != wire.RCSuccess:
		return c.badHandle(1, rc)
	case key.has(wire.ObjectX509Sign):
		return c.badHandle(1, wire.RCAttributes)
	case !digestContextFits(scheme.Alg, context):
		return c.badParam(1, wire.RCSize)
	case len(ticket.Digest) != 0 || key.has(wire.ObjectRestricted):
		if !t.hashCheckHolds(&ticket, scheme.Hash, digest) {
			return c.badParam(3, wire.RCTicket)
		}
	}
	if len(digest) != size {
		return c.badParam(2, wire.RCSize)
	}
	s, rc := t.signFinal(c, key, scheme, digest, context)
	if rc != wire.RCSuccess {
		return rc
	}
	c.out.Signature(&s)
	return wire.RCSuccess
}

// verifyDigestSignature is TPM2_VerifyDigestSignature.
func (t *TPM) verifyDigestSignature(c *call) wire.RC {
	context := c.next().SignatureContext()
	digest := c.digest()
	var s wire.Signature
	c.next().Signature(&s, false)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	key := c.entities[0].object
	scheme, size, rc := t.digestScheme(key)
	switch {
	case rc != wire.RCSuccess:
		return c.badHandle(1, rc)
	case scheme.Alg == wire.AlgECDAA:
		return c.badHandle(1, wire.RCScheme) // no TPM verifies it
	case !digestContextFits(scheme.Alg, context):
		return c.badParam(1, wire.RCSize)
	case len(digest) != size:
		return c.badParam(2, wire.RCSize)
	}
	if rc := t.verifyFinal(key, scheme, digest, context, &s); rc != wire.RCSuccess {
		return c.badParam(3, rc)
	}
	// Of µ there is no ticket: nobody knows whose message it is (errata 2.5).
	ticket := wire.Ticket{Tag: wire.STDigestVerified, Hierarchy: wire.RHNull, Hash: wire.AlgNull}
	if scheme.Alg != wire.AlgMLDSA {
		ticket = t.verifiedTicket(wire.STDigestVerified, key.Hierarchy, digest, key.Name, scheme.Hash)
	}
	c.out.Ticket(&ticket)
	return wire.RCSuccess
}

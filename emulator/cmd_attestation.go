package emulator

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Attestation Commands", and TPM2_NV_Certify of chapter
// "Non-volatile Storage".

// attestation is what the commands that attest have in common: their signer and
// its scheme, and what is attested.
type attestation struct {
	key    *object // nil for TPM_RH_NULL
	data   []byte  // qualifyingData
	scheme wire.Scheme
	hash   wire.AlgID // of the digests in it, TPM_ALG_NULL if it can have none
	body   wire.Attest
}

// attest makes the structure for the signer that handle n names, with a scheme
// that was asked for in parameter p. It knows all but what is attested.
func (t *TPM) attest(a *attestation, c *call, n, p int, data []byte, asked wire.Scheme) wire.RC {
	*a = attestation{key: c.entities[n-1].object, data: data}
	if !a.key.signing() {
		return c.badHandle(n, wire.RCKey)
	}
	var ok bool
	if a.scheme, ok = t.signScheme(a.key, asked); !ok {
		return c.badParam(p, wire.RCScheme)
	}
	a.hash = t.attestHash(a, asked)
	b := &a.body
	switch {
	case a.key == nil:
		b.QualifiedSigner = binary.BigEndian.AppendUint32(nil, uint32(wire.RHNull))
	case !anonymous(a.scheme.Alg):
		b.QualifiedSigner = a.key.QualifiedName
	}
	if !anonymous(a.scheme.Alg) {
		b.ExtraData = data
	}
	b.Clock = t.clockInfo()
	b.FirmwareVersion = t.config.Identity.Firmware
	t.obfuscate(a)
	return wire.RCSuccess
}

// attestHash is the hash of the digests that an attestation has: that of the scheme,
// and for a key whose scheme has none its nameAlg (version 185, errata 2.6 and 2.7).
// Without a key it is the one that was asked for, since version 185.
func (t *TPM) attestHash(a *attestation, asked wire.Scheme) wire.AlgID {
	switch {
	case a.key == nil && t.config.hasVersion185():
		return asked.Hash
	case a.key != nil && a.key.signsMessages():
		return a.key.public.NameAlg
	}
	return a.scheme.Hash
}

// obfuscate changes what would tell a TPM from others, and how often it was
// reset, unless the signer is one that privacy administrators control (Part 1,
// section "Obfuscation").
func (t *TPM) obfuscate(a *attestation) {
	if a.key != nil && (a.key.Hierarchy == wire.RHEndorsement || a.key.Hierarchy == wire.RHPlatform) {
		return
	}
	k := t.obfuscationOf(a)
	a.body.FirmwareVersion += binary.BigEndian.Uint64(k)
	a.body.Clock.ResetCount += binary.BigEndian.Uint32(k[8:])
	a.body.Clock.RestartCount += binary.BigEndian.Uint32(k[12:])
}

// obfuscation is what a signer adds to the numbers that obfuscate changes: 16 bytes that
// come from the proof of the storage hierarchy and from the signer's name in the
// structure.
type obfuscation struct {
	proof state.TPM2B
	added []byte
}

// obfuscationOf gives the bytes of an attestation. A key keeps those of its Qualified Name.
func (t *TPM) obfuscationOf(a *attestation) []byte {
	proof := &t.s.Persistent.SHProof
	kept := a.key != nil && !anonymous(a.scheme.Alg)
	if kept && a.key.obfuscation != nil && a.key.obfuscation.proof == *proof {
		return a.key.obfuscation.added
	}
	k := crypt.KDFa(t.contextHash, proof.Bytes(), "OBFUSCATE", a.body.QualifiedSigner, nil, 128)
	if kept {
		a.key.obfuscation = &obfuscation{proof: *proof, added: k}
	}
	return k
}

// signAttest signs the structure and writes both as response parameters:
// TPM_RC_SIZE if they do not fit in the response buffer. A
// scheme that keeps the signer unknown signs the qualifying data, which the
// structure does not have. Clock as it attests it after a shutdown must not pass
// for later than what it attests after a power cut, so the mark of the shutdown
// goes. The code it fails with is bare.
func (t *TPM) signAttest(c *call, a *attestation) wire.RC {
	if a.key != nil {
		if rc := t.orderlyChangeable(); rc != wire.RCSuccess {
			return rc
		}
	}
	at := c.out.Len()
	c.out.U16(0)
	c.out.Attest(&a.body)
	attested := c.out.Data()[at+2:]
	c.out.SetU16(at, uint16(len(attested)))
	if a.key != nil && a.key.signsMessages() {
		return t.signAttested(c, a.key, attested)
	}
	var digest []byte
	if a.key != nil {
		digest = crypt.Digest(a.scheme.Hash, nil, attested)
		if anonymous(a.scheme.Alg) && len(a.data) != 0 {
			digest = crypt.Digest(a.scheme.Hash, nil, append(append([]byte(nil), a.data...), digest...))
		}
	}
	s, rc := t.signDigest(c, a.key, a.scheme, digest)
	if rc != wire.RCSuccess {
		return rc
	}
	c.out.Signature(&s)
	if a.key != nil {
		t.withdrawShutdown()
	}
	return wire.RCSuccess
}

// signAttested signs the structure with a key that signs messages.
func (t *TPM) signAttested(c *call, key *object, attested []byte) wire.RC {
	if !c.fits(key.messageSignature()) {
		return wire.RCSize
	}
	s, rc := t.signMessage(key, attested)
	if rc != wire.RCSuccess {
		return rc
	}
	c.out.Signature(&s)
	t.withdrawShutdown()
	return wire.RCSuccess
}

// quote is TPM2_Quote. Without a key a hash must be named all the same; up to
// revision 1.84 it cannot be, and there is no unsigned quote.
func (t *TPM) quote(c *call) wire.RC {
	data := c.data()
	asked := c.next().SigScheme(true)
	sel := &c.selections
	c.next().PCRSelections(sel)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var a attestation
	rc := t.attest(&a, c, 1, 2, data, asked)
	if rc != wire.RCSuccess {
		return rc
	}
	if a.hash == wire.AlgNull {
		return c.badParam(2, wire.RCScheme)
	}
	a.body.Type = wire.STAttestQuote
	a.body.Digest = t.digestPCRs(c.digestSpace[:0], a.hash, sel)
	a.body.PCRs = *sel
	return t.signAttest(c, &a)
}

// certify is TPM2_Certify.
func (t *TPM) certify(c *call) wire.RC {
	data := c.data()
	asked := c.next().SigScheme(true)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var a attestation
	rc := t.attest(&a, c, 2, 2, data, asked)
	if rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	a.body.Type = wire.STAttestCertify
	a.body.Name = o.Name
	if !anonymous(a.scheme.Alg) {
		a.body.QualifiedName = o.QualifiedName
	}
	return t.signAttest(c, &a)
}

// certifyCreation is TPM2_CertifyCreation.
func (t *TPM) certifyCreation(c *call) wire.RC {
	data := c.data()
	creationHash := c.digest()
	asked := c.next().SigScheme(true)
	var ticket wire.Ticket
	c.next().Ticket(&ticket, wire.STCreation)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var a attestation
	rc := t.attest(&a, c, 1, 3, data, asked)
	if rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[1].object
	if !t.creationHolds(&ticket, o.Name, creationHash) {
		return c.badParam(4, wire.RCTicket)
	}
	a.body.Type = wire.STAttestCreation
	a.body.ObjectName, a.body.Digest = o.Name, creationHash
	return t.signAttest(c, &a)
}

// getTime is TPM2_GetTime.
func (t *TPM) getTime(c *call) wire.RC {
	data := c.data()
	asked := c.next().SigScheme(true)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var a attestation
	rc := t.attest(&a, c, 2, 2, data, asked)
	if rc != wire.RCSuccess {
		return rc
	}
	a.body.Type = wire.STAttestTime
	a.body.Time = wire.TimeInfo{Time: t.s.Volatile.Time, Clock: t.clockInfo()}
	a.body.TimeFirmware = t.config.Identity.Firmware
	return t.signAttest(c, &a)
}

// getSessionAuditDigest is TPM2_GetSessionAuditDigest.
func (t *TPM) getSessionAuditDigest(c *call) wire.RC {
	data := c.data()
	asked := c.next().SigScheme(true)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var a attestation
	rc := t.attest(&a, c, 2, 2, data, asked)
	if rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[2].session
	if s.Flags&state.SessionAudited == 0 {
		return c.badHandle(3, wire.RCType)
	}
	a.body.Type = wire.STAttestSessionAudit
	a.body.Digest = s.Digest.Bytes()
	a.body.ExclusiveSession = t.s.Volatile.ExclusiveSession == c.entities[2].handle
	return t.signAttest(c, &a)
}

// getCommandAuditDigest is TPM2_GetCommandAuditDigest. What it has signed is
// not reported again.
func (t *TPM) getCommandAuditDigest(c *call) wire.RC {
	data := c.data()
	asked := c.next().SigScheme(true)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var a attestation
	rc := t.attest(&a, c, 2, 2, data, asked)
	if rc != wire.RCSuccess {
		return rc
	}
	p, d := &t.s.Persistent, &t.s.Reset.CommandAuditDigest
	a.body.Type = wire.STAttestCommandAudit
	a.body.DigestAlg, a.body.AuditCounter = p.AuditAlg, p.AuditCounter
	a.body.Digest, a.body.CommandDigest = d.Bytes(), t.auditedCommands()
	if rc := t.signAttest(c, &a); rc != wire.RCSuccess {
		return rc
	}
	if a.key != nil {
		*d = state.TPM2B{}
	}
	return wire.RCSuccess
}

// nvCertify is TPM2_NV_Certify. Of an index that is asked for whole with size
// and offset 0 it attests a digest.
func (t *TPM) nvCertify(c *call) wire.RC {
	data := c.data()
	asked := c.next().SigScheme(true)
	size, offset := int(c.u16()), int(c.u16())
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var a attestation
	rc := t.attest(&a, c, 1, 2, data, asked)
	if rc != wire.RCSuccess {
		return rc
	}
	n := c.entities[2].index
	if rc := nvReadable(c, 1, n); rc != wire.RCSuccess {
		return rc
	}
	switch {
	case size+offset > len(n.Data):
		return wire.RCNVRange
	case size > int(t.config.Limits.NVBuffer):
		return c.badParam(3, wire.RCValue)
	}
	a.body.IndexName = appendNVName(nil, n)
	if size == 0 && offset == 0 {
		if a.hash == wire.AlgNull && t.config.hasVersion185() {
			return c.badParam(2, wire.RCScheme)
		}
		a.body.Type = wire.STAttestNVDigest
		a.body.Digest = crypt.Digest(a.hash, nil, n.Data)
	} else {
		a.body.Type = wire.STAttestNV
		a.body.Offset, a.body.NVContents = uint16(offset), n.Data[offset:offset+size]
	}
	rc = t.signAttest(c, &a)
	if rc == wire.RCSize {
		return c.badParam(3, rc) // a smaller piece fits
	}
	return rc
}

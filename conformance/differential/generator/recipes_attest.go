package generator

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// attestRecipes are the commands that attest, and what they need.
var attestRecipes = map[tpm2.TPMCC]recipe{
	tpm2.TPMCCCertify:               {weight: 4, parameters: bare(attest), handles: certify},
	tpm2.TPMCCCertifyCreation:       {weight: 4, parameters: certifyCreation, handles: creationToCertify},
	tpm2.TPMCCQuote:                 {weight: 4, parameters: bare(quote), handles: signer},
	tpm2.TPMCCGetTime:               {weight: 3, parameters: bare(attest), handles: privacyAndSigner},
	tpm2.TPMCCGetSessionAuditDigest: {weight: 3, parameters: bare(attest), handles: auditedSession},
	tpm2.TPMCCGetCommandAuditDigest: {weight: 3, parameters: bare(attest), handles: privacyAndSigner},
	tpm2.TPMCCNVCertify:             {weight: 3, parameters: bare(nvCertify), handles: nvToCertify},
	tpm2.TPMCCCertifyX509:           {weight: 1, parameters: bare(certifyX509), handles: certifyWithX509},
}

// attesters are the classes of keys that sign attestations.
var attesters = []string{"attesting ECC", "attesting ECC", "attesting RSA", "signing ECC", "any ECC", "any RSA", "attesting HMAC"}

// attester draws a key to sign with, or none.
func (g *generator) attester() uint32 {
	if g.chance(0.15) {
		return uint32(tpm2.TPMRHNull)
	}
	return g.objectIn(attesters...)
}

// attestScheme draws qualifyingData and inScheme.
func (g *generator) attestScheme(key uint32) (data, inScheme []byte) {
	return g.sized(32), g.signScheme(key, pick(g, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384, tpm2.TPMAlgSHA1))
}

// attest draws qualifyingData and inScheme for the key in the second place.
func attest(g *generator) []byte {
	data, inScheme := g.attestScheme(g.handles[1])
	return append(data, inScheme...)
}

func certify(g *generator) []uint32 {
	of := g.handle(conformance.Object)
	g.keep = append(g.keep, of)
	return []uint32{of, g.attester()}
}

func signer(g *generator) []uint32 { return []uint32{g.attester()} }

func privacyAndSigner(g *generator) []uint32 {
	return []uint32{uint32(tpm2.TPMRHEndorsement), g.attester()}
}

// creationToCertify draws an object that is still there of those that were made
// with a creation ticket.
func creationToCertify(g *generator) []uint32 {
	r, ok := g.answerTo(tpm2.TPMCCCreatePrimary)
	if !ok || g.chance(0.2) {
		r, _ = g.past(tpm2.TPMCCCreate)
	}
	g.input = r
	of := g.handle(conformance.Object)
	if o := g.model.object(r.response.Handle); o != nil && o.id == r.id {
		of = o.handle
	}
	g.keep = append(g.keep, of)
	return []uint32{g.attester(), of}
}

// certifyCreation draws qualifyingData, creationHash, inScheme and
// creationTicket.
func certifyCreation(g *generator) area {
	data, inScheme := g.attestScheme(g.handles[0])
	if g.input.id == 0 {
		return plain(data, wire.Sized(g.bytes(32)), inScheme, ticket(g, uint16(tpm2.TPMSTCreation)))
	}
	hash, creation := 3, 4
	if tpm2.TPMCC(g.input.command.Code) == tpm2.TPMCCCreate {
		hash, creation = 4, 5
	}
	return join(plain(data), g.hole(g.input, hash), plain(inScheme), g.hole(g.input, creation))
}

// quote draws qualifyingData, inScheme and PCRselect.
func quote(g *generator) []byte {
	data, inScheme := g.attestScheme(g.handles[0])
	return bytes.Join([][]byte{data, inScheme, selection(g)}, nil)
}

// auditedSession draws a session, used for audit mostly.
func auditedSession(g *generator) []uint32 {
	live := g.liveSession(&draft{}, wire.SessionHMAC)
	if live == nil && g.preparing <= maxPreparing && g.can(tpm2.TPMCCStartAuthSession) {
		g.startSession(wire.SessionHMAC, tpm2.TPMAlgSHA256)
		live = g.liveSession(&draft{}, wire.SessionHMAC)
	}
	if live == nil {
		return append(privacyAndSigner(g), g.handle(conformance.PolicySession))
	}
	handle := live.handle
	g.keep = append(g.keep, handle)
	if g.chance(0.8) && wire.HashSizes[live.hash] > 0 {
		d := g.soundly(uint32(pick(g, tpm2.TPMCCGetRandom, tpm2.TPMCCPCRRead, tpm2.TPMCCReadClock)))
		if live = g.model.session(handle); live != nil && len(d.Sessions) == 0 {
			g.addHMAC(&d, live, wire.AttributeAudit|conformance.ContinueSession, nil)
			g.send(d, "to be audited")
		}
	}
	return append(privacyAndSigner(g), handle)
}

func nvToCertify(g *generator) []uint32 {
	return append(signer(g), nvPair(indexWish{written: true, readable: true})(g)...)
}

// nvCertify draws qualifyingData, inScheme, size and offset; both zero ask for
// a digest in later revisions.
func nvCertify(g *generator) []byte {
	data, inScheme := g.attestScheme(g.handles[0])
	part := nvRead(g)
	if g.chance(0.1) {
		part = []byte{0, 0, 0, 0}
	}
	return bytes.Join([][]byte{data, inScheme, part}, nil)
}

func certifyWithX509(g *generator) []uint32 {
	of := g.handle(conformance.Object)
	g.keep = append(g.keep, of)
	return []uint32{of, g.objectIn("signing ECC", "any ECC", "any RSA")}
}

// certifyX509 draws reserved, inScheme and partialCertificate.
func certifyX509(g *generator) []byte {
	reserved := []byte{0, 0}
	if g.odd() {
		reserved = g.sized(8)
	}
	certificate := partialCertificate()
	if g.odd() {
		certificate[g.rng.IntN(len(certificate))] ^= 1 << g.rng.UintN(8)
	}
	_, inScheme := g.attestScheme(g.handles[1])
	return bytes.Join([][]byte{reserved, inScheme, wire.Sized(certificate)}, nil)
}

// partialCertificate is the smallest one TPM2_CertifyX509 takes: issuer,
// validity, subject and the extension keyUsage, in DER.
func partialCertificate() []byte {
	der := func(tag byte, parts ...[]byte) []byte {
		body := bytes.Join(parts, nil)
		return append([]byte{tag, byte(len(body))}, body...)
	}
	const sequence, set, printable, utcTime, explicit3 = 0x30, 0x31, 0x13, 0x17, 0xa3
	commonName := []byte{0x06, 0x03, 0x55, 0x04, 0x03}
	keyUsage := []byte{0x06, 0x03, 0x55, 0x1d, 0x0f}
	name := func(s string) []byte {
		return der(sequence, der(set, der(sequence, commonName, der(printable, []byte(s)))))
	}
	validity := der(sequence, der(utcTime, []byte("200101000000Z")), der(utcTime, []byte("300101000000Z")))
	usage := der(sequence, keyUsage, []byte{0x01, 0x01, 0xff}, der(0x04, []byte{0x03, 0x02, 0x07, 0x80}))
	return der(sequence, name("CA"), validity, name("EK"), der(explicit3, der(sequence, usage)))
}

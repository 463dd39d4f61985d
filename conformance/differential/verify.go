package differential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// verify checks of a success what one device alone has to get right: names,
// creation data, policy digests, signatures, attestations. It says what is
// wrong, or "".
func (c *caller) verify(x *exchange, response conformance.Response) string {
	in, out := &cursor{rest: x.command.Parameters}, &cursor{rest: response.Parameters}
	switch tpm2.TPMCC(x.code) {
	case tpm2.TPMCCCreatePrimary:
		return c.verifyCreation(x, out.sized(), out)
	case tpm2.TPMCCCreate:
		out.sized() // outPrivate
		return c.verifyCreation(x, out.sized(), out)
	case tpm2.TPMCCCreateLoaded:
		out.sized() // outPrivate
		return verifyName(out.sized(), out.sized())
	case tpm2.TPMCCLoad, tpm2.TPMCCLoadExternal:
		in.sized() // inPrivate
		return verifyName(in.sized(), out.sized())
	case tpm2.TPMCCReadPublic:
		return c.verifyPublic(x.command.Handles[0], out)
	case tpm2.TPMCCNVReadPublic:
		public, name := out.sized(), out.sized()
		e := c.entities[x.command.Handles[0]]
		if e != nil && !bytes.Equal(e.name, name) {
			return fmt.Sprintf("name: %x of an index %x, which was left as %x", name, public, e.index)
		}
	case tpm2.TPMCCPolicyGetDigest:
		s, digest := c.sessions[x.command.Handles[0]], out.sized()
		if s != nil && s.policy == nil {
			s.policy = bytes.Clone(digest)
		}
		if s != nil && !bytes.Equal(s.policy, digest) {
			return fmt.Sprintf("policy digest: %x, computed %x", digest, s.policy)
		}
	case tpm2.TPMCCSign:
		digest := in.sized()
		return c.verifySignature(x.command.Handles[0], digest, out.signature())
	}
	if at, ok := signers[tpm2.TPMCC(x.code)]; ok {
		return c.verifyAttest(x, x.command.Handles[at], out.sized(), out.signature())
	}
	return ""
}

// signers gives the place of the signing key in the handle areas of the
// commands that attest.
var signers = map[tpm2.TPMCC]int{
	tpm2.TPMCCCertify: 1, tpm2.TPMCCCertifyCreation: 0, tpm2.TPMCCQuote: 0, tpm2.TPMCCGetTime: 1,
	tpm2.TPMCCGetSessionAuditDigest: 1, tpm2.TPMCCGetCommandAuditDigest: 1, tpm2.TPMCCNVCertify: 0,
}

func verifyName(public, name []byte) string {
	area, ok := parsePublic(public)
	if !ok || area.nameAlg == tpm2.TPMAlgNull {
		return ""
	}
	if want := area.name(); !bytes.Equal(want, name) {
		return fmt.Sprintf("name: %x, computed %x", name, want)
	}
	return ""
}

// verifyPublic checks the answer to TPM2_ReadPublic against what is known of
// the object.
func (c *caller) verifyPublic(handle uint32, out *cursor) string {
	e := c.entities[handle]
	public, name, qualified := out.sized(), out.sized(), out.sized()
	switch {
	case e == nil:
		return ""
	case !bytes.Equal(e.public.raw, public):
		return fmt.Sprintf("public area: %x, was %x", public, e.public.raw)
	case !bytes.Equal(e.name, name):
		return fmt.Sprintf("name: %x, was %x", name, e.name)
	case !bytes.Equal(e.qualified, qualified):
		return fmt.Sprintf("qualified name: %x, computed %x", qualified, e.qualified)
	}
	return ""
}

// verifyCreation checks outPublic against the template, and creationData,
// creationHash and, for a primary key, the name against it.
func (c *caller) verifyCreation(x *exchange, public []byte, out *cursor) string {
	in := &cursor{rest: x.command.Parameters}
	in.sized() // inSensitive
	template, outsideInfo := in.sized(), in.sized()
	area, ok := parsePublic(public)
	asked, okAsked := parsePublic(template)
	if !ok || !okAsked || !bytes.Equal(area.raw[:area.uniqueAt], asked.raw[:asked.uniqueAt]) {
		return fmt.Sprintf("public area: %x of the template %x", public, template)
	}
	if problem := area.checkUnique(); problem != "" {
		return problem
	}
	data, hash := out.sized(), out.sized()
	if want := nameOf(area.nameAlg, data); len(want) < 2 || !bytes.Equal(want[2:], hash) {
		return fmt.Sprintf("creation hash: %x, computed %x", hash, want)
	}
	if problem := c.checkCreationData(x, data, outsideInfo); problem != "" {
		return problem
	}
	if tpm2.TPMCC(x.code) == tpm2.TPMCCCreatePrimary {
		ticketField.skip(out)
		return verifyName(public, out.sized())
	}
	return ""
}

// checkUnique checks the size of the unique field, and that an ECC point is on
// its curve.
func (p *publicArea) checkUnique() string {
	switch p.kind {
	case tpm2.TPMAlgRSA:
		if len(p.unique[0]) != p.bits/8 || p.unique[0][0]&0x80 == 0 {
			return fmt.Sprintf("modulus: %x has no %d bits", p.unique[0], p.bits)
		}
	case tpm2.TPMAlgECC:
		curve := standardCurve(p.curve)
		if curve == nil {
			return ""
		}
		if _, err := ecdsa.ParseUncompressedPublicKey(curve, p.point()); err != nil {
			return "point: " + err.Error()
		}
	default:
		if hash, ok := sessionHashes[p.nameAlg]; ok && len(p.unique[0]) != hash.Size() {
			return fmt.Sprintf("unique: %x is no digest", p.unique[0])
		}
	}
	return ""
}

func standardCurve(id tpm2.TPMECCCurve) elliptic.Curve {
	switch id {
	case tpm2.TPMECCNistP224:
		return elliptic.P224()
	case tpm2.TPMECCNistP256:
		return elliptic.P256()
	case tpm2.TPMECCNistP384:
		return elliptic.P384()
	case tpm2.TPMECCNistP521:
		return elliptic.P521()
	}
	return nil
}

// checkCreationData checks a TPMS_CREATION_DATA.
func (c *caller) checkCreationData(x *exchange, data, outsideInfo []byte) string {
	d := &cursor{rest: data}
	for range min(d.u32(), 16) { // pcrSelect
		d.u16()
		d.take(int(d.u8()))
	}
	d.sized() // pcrDigest
	d.u8()    // locality
	parent := x.command.Handles[0]
	nameAlg, name, qualified, outside := d.alg(), d.sized(), d.sized(), d.sized()
	if !d.done() {
		return fmt.Sprintf("creation data: %x", data)
	}
	wantAlg, wantName, wantQualified := tpm2.TPMAlgNull, u32(parent), u32(parent)
	if e := c.entities[parent]; e != nil {
		wantAlg, wantName, wantQualified = e.public.nameAlg, e.name, e.qualified
	}
	switch {
	case nameAlg != wantAlg || !bytes.Equal(name, wantName):
		return fmt.Sprintf("parent in the creation data: %x, is %x", name, wantName)
	case !bytes.Equal(qualified, wantQualified):
		return fmt.Sprintf("qualified name of the parent in the creation data: %x, is %x", qualified, wantQualified)
	case !bytes.Equal(outside, outsideInfo):
		return fmt.Sprintf("outsideInfo: %x in the creation data, was %x", outside, outsideInfo)
	}
	return ""
}

// verifySignature checks a signature with the public key of an object.
func (c *caller) verifySignature(handle uint32, digest []byte, s signature) string {
	e := c.entities[handle]
	if e == nil || !e.public.verifies(digest, s) {
		return ""
	}
	hash := sessionHashes[s.hash]
	ok := true
	switch s.scheme {
	case tpm2.TPMAlgRSASSA:
		ok = rsa.VerifyPKCS1v15(e.public.rsaKey(), hash, digest, s.parts[0]) == nil
	case tpm2.TPMAlgRSAPSS:
		ok = rsa.VerifyPSS(e.public.rsaKey(), hash, digest, s.parts[0], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
	case tpm2.TPMAlgECDSA:
		key, err := ecdsa.ParseUncompressedPublicKey(standardCurve(e.public.curve), e.public.point())
		ok = err == nil && ecdsa.Verify(key, digest, new(big.Int).SetBytes(s.parts[0]), new(big.Int).SetBytes(s.parts[1]))
	}
	if !ok {
		return fmt.Sprintf("signature: %x does not verify with %x", bytes.Join(s.parts, nil), e.public.raw)
	}
	return ""
}

// verifies says whether the standard library can verify the signature.
func (p *publicArea) verifies(digest []byte, s signature) bool {
	hash, ok := sessionHashes[s.hash]
	if !ok || len(digest) != hash.Size() {
		return false
	}
	if p.kind == tpm2.TPMAlgRSA {
		return p.bits >= 2048 && len(p.unique[0]) > 0 && bytes.Equal(p.exponent(), []byte{0, 0, 0, 0})
	}
	return p.kind == tpm2.TPMAlgECC && standardCurve(p.curve) != nil && p.point() != nil
}

// exponent of an RSA key, as it is in the public area.
func (p *publicArea) exponent() []byte { return p.raw[p.uniqueAt-4 : p.uniqueAt] }

// verifyAttest checks an attestation and its signature.
func (c *caller) verifyAttest(x *exchange, signer uint32, attest []byte, s signature) string {
	a, ok := parseAttest(attest)
	if !ok || a.magic != tpmGenerated {
		return fmt.Sprintf("attestation: %x", attest)
	}
	if e := c.entities[signer]; e != nil {
		want := e.qualified
		if s.scheme == tpm2.TPMAlgECDAA {
			want = nil // who signs so is anonymous
		}
		if !bytes.Equal(a.signer, want) {
			return fmt.Sprintf("qualified signer: %x, is %x", a.signer, want)
		}
	}
	want := qualifyingData(x)
	if s.scheme == tpm2.TPMAlgECDAA {
		want = nil // it is in what is signed, but for the verifier alone
	}
	if !bytes.Equal(a.extraData, want) {
		return fmt.Sprintf("extra data: %x, was %x", a.extraData, want)
	}
	if problem := c.verifyAttested(x, a, s.scheme == tpm2.TPMAlgECDAA); problem != "" {
		return problem
	}
	hash, known := sessionHashes[s.hash]
	if !known {
		return ""
	}
	return c.verifySignature(signer, digestOf(hash, attest), s)
}

// tpmGenerated is TPM_GENERATED_VALUE.
const tpmGenerated = 0xff544347

func digestOf(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

// qualifyingData is the first parameter of the commands that attest.
func qualifyingData(x *exchange) []byte {
	data, _, _ := conformance.CutSized(x.command.Parameters)
	return data
}

// verifyAttested checks what is attested, as far as the caller knows it. Who signs
// anonymously does not say where objects are from.
func (c *caller) verifyAttested(x *exchange, a attestation, anonymous bool) string {
	attested := &cursor{rest: a.attested}
	p := x.command
	switch a.kind {
	case tpm2.TPMSTAttestCertify:
		e := c.entities[p.Handles[0]]
		name, qualified := attested.sized(), attested.sized()
		if e == nil || e.public.kind == 0 {
			return ""
		}
		want := e.qualified
		if anonymous {
			want = nil
		}
		if !bytes.Equal(name, e.name) || !bytes.Equal(qualified, want) {
			return fmt.Sprintf("certified: %x %x, is %x %x", name, qualified, e.name, want)
		}
	case tpm2.TPMSTAttestCreation:
		e := c.entities[p.Handles[1]]
		in := &cursor{rest: p.Parameters}
		in.sized() // qualifyingData
		name, hash, want := attested.sized(), attested.sized(), in.sized()
		if e != nil && e.public.kind != 0 && !bytes.Equal(name, e.name) || !bytes.Equal(hash, want) {
			return fmt.Sprintf("creation: %x %x", name, hash)
		}
	case tpm2.TPMSTAttestSessionAudit:
		attested.u8() // exclusiveSession
		digest := attested.sized()
		if x.audit != nil && !bytes.Equal(digest, x.audit) {
			return fmt.Sprintf("session audit digest: %x, computed %x", digest, x.audit)
		}
	case tpm2.TPMSTAttestNV:
		e := c.entities[p.Handles[2]]
		if name := attested.sized(); e != nil && !bytes.Equal(name, e.name) {
			return fmt.Sprintf("certified index: %x, is %x", name, e.name)
		}
	case tpm2.TPMSTAttestTime:
		if len(a.attested) != timeSize+8 || binary.BigEndian.Uint64(a.attested[8:]) != binary.BigEndian.Uint64(a.clock) {
			return fmt.Sprintf("time: %x with clock %x", a.attested, a.clock)
		}
	}
	return ""
}

package conversation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/binary"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/signature"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// verify checks of a success what one device alone has to get right: names,
// creation data, policy digests, signatures, attestations. It describes what is
// wrong, "" if nothing is.
func (c *caller) verify(x *exchange, response conformance.Response) string {
	in, out := &wire.Cursor{Rest: x.command.Parameters}, &wire.Cursor{Rest: response.Parameters}
	switch tpm2.TPMCC(x.code) {
	case tpm2.TPMCCCreatePrimary:
		return c.verifyCreation(x, out.Sized(), out)
	case tpm2.TPMCCCreate:
		out.Sized() // outPrivate
		return c.verifyCreation(x, out.Sized(), out)
	case tpm2.TPMCCCreateLoaded:
		out.Sized() // outPrivate
		return verifyName(out.Sized(), out.Sized())
	case tpm2.TPMCCLoad, tpm2.TPMCCLoadExternal:
		in.Sized() // inPrivate
		return verifyName(in.Sized(), out.Sized())
	case tpm2.TPMCCReadPublic:
		return c.verifyPublic(x.command.Handles[0], out)
	case tpm2.TPMCCNVReadPublic:
		public, name := out.Sized(), out.Sized()
		e := c.entities[x.command.Handles[0]]
		if e != nil && !bytes.Equal(e.name, name) {
			return fmt.Sprintf("name: %x of an index %x, which was left as %x", name, public, e.index)
		}
	case tpm2.TPMCCPolicyGetDigest:
		s, digest := c.sessions[x.command.Handles[0]], out.Sized()
		if s != nil && s.policy == nil {
			s.policy = bytes.Clone(digest)
		}
		if s != nil && !bytes.Equal(s.policy, digest) {
			return fmt.Sprintf("policy digest: %x, computed %x", digest, s.policy)
		}
	case tpm2.TPMCCSign:
		digest := in.Sized()
		return c.verifySignature(x.command.Handles[0], digest, out.Signature())
	}
	if at, ok := signers[tpm2.TPMCC(x.code)]; ok {
		return c.verifyAttest(x, x.command.Handles[at], out.Sized(), out.Signature())
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
	area, ok := wire.ParsePublic(public)
	if !ok || area.NameAlg == tpm2.TPMAlgNull {
		return ""
	}
	if want := area.Name(); !bytes.Equal(want, name) {
		return fmt.Sprintf("name: %x, computed %x", name, want)
	}
	return ""
}

// verifyPublic checks the answer to TPM2_ReadPublic against what is known of
// the object.
func (c *caller) verifyPublic(handle uint32, out *wire.Cursor) string {
	e := c.entities[handle]
	public, name, qualified := out.Sized(), out.Sized(), out.Sized()
	switch {
	case e == nil:
		return ""
	case !bytes.Equal(e.public.Raw, public):
		return fmt.Sprintf("public area: %x, was %x", public, e.public.Raw)
	case !bytes.Equal(e.name, name):
		return fmt.Sprintf("name: %x, was %x", name, e.name)
	case !bytes.Equal(e.qualified, qualified):
		return fmt.Sprintf("qualified name: %x, computed %x", qualified, e.qualified)
	}
	return ""
}

// verifyCreation checks outPublic against the template, and creationData,
// creationHash and, for a primary key, the name against it.
func (c *caller) verifyCreation(x *exchange, public []byte, out *wire.Cursor) string {
	in := &wire.Cursor{Rest: x.command.Parameters}
	in.Sized() // inSensitive
	template, outsideInfo := in.Sized(), in.Sized()
	area, ok := wire.ParsePublic(public)
	asked, okAsked := wire.ParsePublic(template)
	if !ok || !okAsked || !bytes.Equal(area.Raw[:area.UniqueAt], asked.Raw[:asked.UniqueAt]) {
		return fmt.Sprintf("public area: %x of the template %x", public, template)
	}
	if problem := checkUnique(&area); problem != "" {
		return problem
	}
	data, hash := out.Sized(), out.Sized()
	if want := wire.NameOf(area.NameAlg, data); len(want) < 2 || !bytes.Equal(want[2:], hash) {
		return fmt.Sprintf("creation hash: %x, computed %x", hash, want)
	}
	if problem := c.checkCreationData(x, data, outsideInfo); problem != "" {
		return problem
	}
	if tpm2.TPMCC(x.code) == tpm2.TPMCCCreatePrimary {
		wire.Ticket.Skip(out)
		return verifyName(public, out.Sized())
	}
	return ""
}

// checkUnique checks the size of the unique field, and that an ECC point is on
// its curve.
func checkUnique(p *wire.Public) string {
	switch p.Kind {
	case tpm2.TPMAlgRSA:
		if len(p.Unique[0]) != p.Bits/8 || p.Unique[0][0]&0x80 == 0 {
			return fmt.Sprintf("modulus: %x has no %d bits", p.Unique[0], p.Bits)
		}
	case tpm2.TPMAlgECC:
		curve := signature.Curve(p.Curve)
		if curve == nil {
			return ""
		}
		if _, err := ecdsa.ParseUncompressedPublicKey(curve, p.Point()); err != nil {
			return "point: " + err.Error()
		}
	case wire.AlgMLKEM, wire.AlgMLDSA, wire.AlgHashMLDSA:
		if want := wire.LatticeSize(p.Kind, p.Set); len(p.Unique[0]) != want {
			return fmt.Sprintf("public key: %d octets of parameter set %d, which has %d", len(p.Unique[0]), p.Set, want)
		}
	default:
		if hash, ok := wire.Hashes[p.NameAlg]; ok && len(p.Unique[0]) != hash.Size() {
			return fmt.Sprintf("unique: %x is no digest", p.Unique[0])
		}
	}
	return ""
}

// checkCreationData checks a TPMS_CREATION_DATA.
func (c *caller) checkCreationData(x *exchange, data, outsideInfo []byte) string {
	d := &wire.Cursor{Rest: data}
	for range min(d.U32(), 16) { // pcrSelect
		d.U16()
		d.Take(int(d.U8()))
	}
	d.Sized() // pcrDigest
	d.U8()    // locality
	parent := x.command.Handles[0]
	nameAlg, name, qualified, outside := d.Alg(), d.Sized(), d.Sized(), d.Sized()
	if !d.Done() {
		return fmt.Sprintf("creation data: %x", data)
	}
	wantAlg, wantName, wantQualified := tpm2.TPMAlgNull, wire.U32(parent), wire.U32(parent)
	if e := c.entities[parent]; e != nil {
		wantAlg, wantName, wantQualified = e.public.NameAlg, e.name, e.qualified
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
func (c *caller) verifySignature(handle uint32, digest []byte, s wire.Signature) string {
	e := c.entities[handle]
	if e == nil || !verifiable(&e.public, digest, s) {
		return ""
	}
	switch s.Scheme {
	case tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS, tpm2.TPMAlgECDSA:
	default:
		return ""
	}
	ok := signature.OfDigest(&e.public, nil, digest, s)
	if !ok {
		return fmt.Sprintf("signature: %x does not verify with %x", bytes.Join(s.Parts, nil), e.public.Raw)
	}
	return ""
}

// verifiable reports whether the standard library can verify the signature.
func verifiable(p *wire.Public, digest []byte, s wire.Signature) bool {
	hash, ok := wire.Hashes[s.Hash]
	if !ok || len(digest) != hash.Size() {
		return false
	}
	if p.Kind == tpm2.TPMAlgRSA {
		return p.Bits >= 2048 && len(p.Unique[0]) > 0 && bytes.Equal(p.Exponent(), []byte{0, 0, 0, 0})
	}
	return p.Kind == tpm2.TPMAlgECC && signature.Curve(p.Curve) != nil && p.Point() != nil
}

// verifyAttest checks an attestation and its signature.
func (c *caller) verifyAttest(x *exchange, signer uint32, attest []byte, s wire.Signature) string {
	a, ok := wire.ParseAttest(attest)
	if !ok || a.Magic != wire.TPMGenerated {
		return fmt.Sprintf("attestation: %x", attest)
	}
	if e := c.entities[signer]; e != nil {
		want := e.qualified
		if s.Scheme == tpm2.TPMAlgECDAA {
			want = nil // who signs so is anonymous
		}
		if !bytes.Equal(a.Signer, want) {
			return fmt.Sprintf("qualified signer: %x, is %x", a.Signer, want)
		}
	}
	want := qualifyingData(x)
	if s.Scheme == tpm2.TPMAlgECDAA {
		want = nil // it is in what is signed, but for the verifier alone
	}
	if !bytes.Equal(a.ExtraData, want) {
		return fmt.Sprintf("extra data: %x, was %x", a.ExtraData, want)
	}
	if problem := c.verifyAttested(x, a, s.Scheme == tpm2.TPMAlgECDAA); problem != "" {
		return problem
	}
	if e := c.entities[signer]; e != nil && wire.SignsMessages(s.Scheme) {
		if !signature.OfMessage(&e.public, nil, attest, s) {
			return fmt.Sprintf("signature: %x does not verify with %x", s.Parts[0], e.public.Raw)
		}
		return ""
	}
	hash, known := wire.Hashes[s.Hash]
	if !known {
		return ""
	}
	return c.verifySignature(signer, digestOf(hash, attest), s)
}

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
func (c *caller) verifyAttested(x *exchange, a wire.Attestation, anonymous bool) string {
	attested := &wire.Cursor{Rest: a.Attested}
	p := x.command
	switch a.Kind {
	case tpm2.TPMSTAttestCertify:
		e := c.entities[p.Handles[0]]
		name, qualified := attested.Sized(), attested.Sized()
		if e == nil || e.public.Kind == 0 {
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
		in := &wire.Cursor{Rest: p.Parameters}
		in.Sized() // qualifyingData
		name, hash, want := attested.Sized(), attested.Sized(), in.Sized()
		if e != nil && e.public.Kind != 0 && !bytes.Equal(name, e.name) || !bytes.Equal(hash, want) {
			return fmt.Sprintf("creation: %x %x", name, hash)
		}
	case tpm2.TPMSTAttestSessionAudit:
		attested.U8() // exclusiveSession
		digest := attested.Sized()
		if x.audit != nil && !bytes.Equal(digest, x.audit) {
			return fmt.Sprintf("session audit digest: %x, computed %x", digest, x.audit)
		}
	case tpm2.TPMSTAttestNV:
		e := c.entities[p.Handles[2]]
		if name := attested.Sized(); e != nil && !bytes.Equal(name, e.name) {
			return fmt.Sprintf("certified index: %x, is %x", name, e.name)
		}
	case tpm2.TPMSTAttestTime:
		if len(a.Attested) != wire.TimeSize+8 || binary.BigEndian.Uint64(a.Attested[8:]) != binary.BigEndian.Uint64(a.Clock) {
			return fmt.Sprintf("time: %x with clock %x", a.Attested, a.Clock)
		}
	}
	return ""
}

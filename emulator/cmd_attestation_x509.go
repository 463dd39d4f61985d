package emulator

import (
	"encoding/asn1"
	"math/big"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, section "TPM2_CertifyX509", and the parts of an X.509 certificate (RFC
// 5280) that it reads and makes.

// serialSize is the size in bytes of the largest serial number (RFC 5280, section
// 4.1.2.2).
const serialSize = 20

// partialCertificate is a TBSCertificate without what the TPM adds to it. Its
// parts are encodings with tag and length, and alias the command.
type partialCertificate struct {
	signature  []byte // of the AlgorithmIdentifier; nil if the TPM makes it
	names      []byte // issuer, validity and subject, one after the other
	extensions []byte // the contents of the [3]
	tagged     []byte // the [3] itself
}

// certifyX509 is TPM2_CertifyX509. The certificate needs a signer, and the serial
// number its nameAlg.
func (t *TPM) certifyX509(c *call) wire.RC {
	reserved := c.data()
	asked := c.next().SigScheme(true)
	partial := c.buffer()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if len(reserved) != 0 {
		return c.badParam(1, wire.RCSize)
	}
	o, key := c.entities[0].object, c.entities[1].object
	if key == nil || !key.signing() || key.public.NameAlg == wire.AlgNull {
		return c.badHandle(2, wire.RCKey)
	}
	if key.signsMessages() {
		return c.badHandle(2, wire.RCScheme)
	}
	scheme, ok := t.signScheme(key, asked)
	if !ok {
		return c.badParam(2, wire.RCScheme)
	}
	publicKey, ok := o.publicKeyInfo()
	if !ok {
		return c.badHandle(1, wire.RCAsymmetric)
	}
	p, rc := decodePartial(partial)
	if rc != wire.RCSuccess {
		return c.badParam(3, rc)
	}
	var made []byte // the AlgorithmIdentifier, if it is not in p
	if p.signature == nil {
		if made, ok = signatureAlgorithm(&key.public, scheme); !ok {
			return c.badHandle(2, wire.RCScheme)
		}
		p.signature = made
	}
	switch rc := p.permitted(o.public.Attributes); rc {
	case wire.RCSuccess:
	case wire.RCAttributes:
		return c.badHandle(1, rc)
	default:
		return c.badParam(3, rc)
	}
	return t.signCertificate(c, o, key, scheme, &p, made, publicKey)
}

// signCertificate completes the certificate of o and signs it. The response has
// what the TPM has added.
func (t *TPM) signCertificate(c *call, o, key *object, scheme wire.Scheme, p *partialCertificate, made, publicKey []byte) wire.RC {
	body := slices.Concat(p.signature, p.names, publicKey, p.tagged)
	serial := crypt.Digest(key.public.NameAlg, nil, slices.Concat(body, key.Name, o.Name))
	head := slices.Concat(
		derExplicit(0, derOf(2)), // version 3
		derOf(new(big.Int).SetBytes(serial[:min(len(serial), serialSize)])),
	)
	added := derSequence(head, made, publicKey)
	if len(added) > int(t.config.Limits.InputBuffer) {
		return c.badHandle(1, wire.RCKeySize) // for a TPM2B_MAX_BUFFER
	}
	digest := crypt.Digest(scheme.Hash, nil, derSequence(head, body))
	s, rc := t.signDigest(c, key, scheme, digest)
	if rc != wire.RCSuccess {
		return rc
	}
	c.out.Sized(added)
	c.out.Sized(digest)
	c.out.Signature(&s)
	return wire.RCSuccess
}

// decodePartial decodes a partialCertificate: TPM_RC_SIZE unless it is one
// SEQUENCE and nothing more, TPM_RC_VALUE for anything but three or four of them
// in it, and the extensions. The code is bare.
func decodePartial(b []byte) (p partialCertificate, rc wire.RC) {
	if len(b) == 0 {
		return p, wire.RCValue
	}
	outer, rest, ok := derNext(b)
	if !ok || len(rest) != 0 || !isSequence(&outer) {
		return p, wire.RCSize
	}
	var sequences [][]byte
	for rest = outer.Bytes; len(rest) > 0; {
		var e asn1.RawValue
		if e, rest, ok = derNext(rest); !ok {
			return p, wire.RCValue
		}
		switch {
		case isSequence(&e) && len(sequences) < 4:
			sequences = append(sequences, e.FullBytes)
		case e.Class == asn1.ClassContextSpecific && e.Tag == 3 && e.IsCompound && p.tagged == nil:
			p.tagged, p.extensions = e.FullBytes, e.Bytes
		default: // unique identifiers among them
			return p, wire.RCValue
		}
	}
	n := len(sequences)
	if n < 3 || p.tagged == nil {
		return p, wire.RCValue
	}
	if n == 4 {
		p.signature = sequences[0]
	}
	p.names = slices.Concat(sequences[n-3:]...)
	return p, wire.RCSuccess
}

// What TPM2_CertifyX509 looks for among the extensions: the TPMA_OBJECT of the TCG
// (TCG OID registry, "tcg-tpma-object"), and keyUsage.
var (
	oidAttributes = asn1.ObjectIdentifier{2, 23, 133, 10, 1, 1, 1}
	oidKeyUsage   = asn1.ObjectIdentifier{2, 5, 29, 15}
)

// Bits of keyUsage, a TPMA_X509_KEY_USAGE (Part 2, section of that name). Those
// that are not named are reserved.
const (
	usageDigitalSignature uint32 = 1 << (31 - iota)
	usageNonRepudiation
	usageKeyEncipherment
	usageDataEncipherment
	usageKeyAgreement
	usageKeyCertSign
	usageCRLSign
	usageEncipherOnly
	usageDecipherOnly

	usageAll = 0xFFFFFFFF &^ (usageDecipherOnly - 1)
)

// usageNeeds are the attributes that a key must have for a use.
var usageNeeds = [...]struct {
	usage uint32
	needs wire.ObjectAttributes
}{
	{usageDigitalSignature | usageKeyCertSign | usageCRLSign, wire.ObjectSignEncrypt},
	{usageKeyEncipherment | usageDataEncipherment | usageKeyAgreement | usageEncipherOnly | usageDecipherOnly, wire.ObjectDecrypt},
	{usageNonRepudiation, wire.ObjectFixedTPM},
	{usageKeyEncipherment, wire.ObjectRestricted},
}

// permitted reports whether the extensions tell of a key with the attributes what is
// true: TPM_RC_ATTRIBUTES for other attributes than it has, TPM_RC_RESERVED_BITS
// for uses that do not exist, TPM_RC_VALUE for those that the key is not for, for
// none at all, and for what cannot be decoded. The code is bare.
func (p *partialCertificate) permitted(attributes wire.ObjectAttributes) wire.RC {
	claimed, _, found, ok := p.extensionBits(oidAttributes)
	switch {
	case !ok:
		return wire.RCValue
	case found && claimed != uint32(attributes):
		return wire.RCAttributes
	}
	usage, count, found, ok := p.extensionBits(oidKeyUsage)
	switch {
	case !ok || !found:
		return wire.RCValue
	case count > 0 && usage>>(32-count)&1 == 0:
		return wire.RCValue // DER leaves out zeros after the last named bit (ITU-T X.690, section 11.2.2)
	case usage&^usageAll != 0:
		return wire.RCReservedBits
	}
	for _, row := range usageNeeds {
		if usage&row.usage != 0 && attributes&row.needs == 0 {
			return wire.RCValue
		}
	}
	return wire.RCSuccess
}

// extensionBits gives the value of an extension that is a BIT STRING of at most 32
// bits, the first one uppermost, and how many there are. It is not ok if the
// extension is there twice or is something else, or if the list is none.
func (p *partialCertificate) extensionBits(oid asn1.ObjectIdentifier) (bits uint32, count int, found, ok bool) {
	list, rest, ok := derNext(p.extensions)
	if !ok || len(rest) != 0 || !isSequence(&list) {
		return 0, 0, false, false
	}
	want := derOf(oid)
	for rest = list.Bytes; len(rest) > 0; {
		var e asn1.RawValue
		if e, rest, ok = derNext(rest); !ok || !isSequence(&e) {
			return 0, 0, found, false
		}
		id, value, ok := derNext(e.Bytes)
		if !ok || !slices.Equal(id.FullBytes, want) {
			continue
		}
		if found {
			return 0, 0, true, false
		}
		found = true
		if bits, count, ok = extensionValue(value); !ok {
			return 0, 0, true, false
		}
	}
	return bits, count, found, true
}

// extensionValue decodes what follows the identifier of such an extension.
func extensionValue(b []byte) (bits uint32, count int, ok bool) {
	var e struct { // the rest of an Extension (RFC 5280, section 4.1)
		Critical bool `asn1:"optional"`
		Value    []byte
	}
	var s asn1.BitString
	rest, err := asn1.Unmarshal(derSequence(b), &e)
	if err == nil && len(rest) == 0 {
		rest, err = asn1.Unmarshal(e.Value, &s)
	}
	if err != nil || len(rest) != 0 || s.BitLength > 32 {
		return 0, 0, false
	}
	for i, octet := range s.Bytes {
		bits |= uint32(octet) << (24 - 8*i)
	}
	return bits, s.BitLength, true
}

// derNext takes the encoding of one value off the front.
func derNext(b []byte) (v asn1.RawValue, rest []byte, ok bool) {
	rest, err := asn1.Unmarshal(b, &v)
	return v, rest, err == nil
}

func isSequence(v *asn1.RawValue) bool {
	return v.Class == asn1.ClassUniversal && v.Tag == asn1.TagSequence && v.IsCompound
}

// derOf encodes a value of which package asn1 is known to have an encoding.
func derOf(v any) []byte {
	b, err := asn1.Marshal(v)
	if err != nil {
		panic("internal error: encode DER: " + err.Error())
	}
	return b
}

// derSequence encodes a SEQUENCE of encodings.
func derSequence(parts ...[]byte) []byte {
	return derOf(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: slices.Concat(parts...)})
}

// derExplicit encodes a value with an explicit tag.
func derExplicit(tag int, b []byte) []byte {
	return derOf(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: b})
}

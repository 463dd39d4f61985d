package differential

import (
	"bytes"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// fieldKind is the type of a parameter of a response, and how two of it are
// compared.
type fieldKind uint8

const (
	// number1 to number8 are integers, equal.
	number1 fieldKind = iota
	number2
	number4
	number8
	// determined is a TPM2B that is equal if all that went in is.
	determined
	// drawn is a TPM2B with random bytes: of equal size.
	drawn
	// opaque is a TPM2B that only its maker understands, or of a size that
	// follows from random bytes.
	opaque
	// ticket is a TPMT_TK: tag, hierarchy and size are equal.
	ticketField
	// attest is a TPM2B_ATTEST, see compareAttest.
	attestField
	// signature is a TPMT_SIGNATURE: scheme and hash are equal, and the rest if
	// nothing random is in it. signatureOf is one over an attestation, which
	// has time in it.
	signatureField
	signatureOf
	// contextField is a TPMS_CONTEXT: all but the blob is equal.
	contextField
	// timeField is a TPMS_TIME_INFO.
	timeField
	// rest is everything to the end, equal if all that went in is.
	rest
)

// fields is the layout of the parameters of a response.
type fields []fieldKind

// layouts are the responses whose parameters are more than bytes to be equal
// (TPM 2.0 Library Part 3).
var layouts = map[tpm2.TPMCC]fields{
	tpm2.TPMCCCreatePrimary:         {determined, determined, determined, ticketField, determined},
	tpm2.TPMCCCreate:                {opaque, opaque, determined, determined, ticketField},
	tpm2.TPMCCCreateLoaded:          {opaque, determined, determined},
	tpm2.TPMCCLoad:                  {determined},
	tpm2.TPMCCLoadExternal:          {determined},
	tpm2.TPMCCReadPublic:            {determined, determined, drawn}, // the caller knows the qualified name
	tpm2.TPMCCObjectChangeAuth:      {opaque},
	tpm2.TPMCCImport:                {opaque},
	tpm2.TPMCCDuplicate:             {drawn, opaque, opaque},
	tpm2.TPMCCRewrap:                {opaque, opaque},
	tpm2.TPMCCMakeCredential:        {drawn, opaque},
	tpm2.TPMCCActivateCredential:    {determined},
	tpm2.TPMCCRSAEncrypt:            {drawn},
	tpm2.TPMCCRSADecrypt:            {determined},
	tpm2.TPMCCECDHKeyGen:            {opaque, opaque},
	tpm2.TPMCCECDHZGen:              {determined},
	tpm2.TPMCCZGen2Phase:            {opaque, opaque},
	tpm2.TPMCCECEphemeral:           {opaque, number2},
	tpm2.TPMCCCommit:                {opaque, opaque, opaque, number2},
	tpm2.TPMCCEncryptDecrypt:        {determined, determined},
	tpm2.TPMCCEncryptDecrypt2:       {determined, determined},
	tpm2.TPMCCHash:                  {determined, ticketField},
	tpm2.TPMCCSequenceComplete:      {determined, ticketField},
	tpm2.TPMCCSign:                  {signatureField},
	tpm2.TPMCCVerifySignature:       {ticketField},
	tpm2.TPMCCCertify:               {attestField, signatureOf},
	tpm2.TPMCCCertifyCreation:       {attestField, signatureOf},
	tpm2.TPMCCQuote:                 {attestField, signatureOf},
	tpm2.TPMCCGetTime:               {attestField, signatureOf},
	tpm2.TPMCCGetSessionAuditDigest: {attestField, signatureOf},
	tpm2.TPMCCGetCommandAuditDigest: {attestField, signatureOf},
	tpm2.TPMCCNVCertify:             {attestField, signatureOf},
	tpm2.TPMCCCertifyX509:           {opaque, drawn, signatureOf},
	tpm2.TPMCCGetRandom:             {drawn},
	tpm2.TPMCCStartAuthSession:      {drawn},
	tpm2.TPMCCPolicySigned:          {drawn, ticketField},
	tpm2.TPMCCPolicySecret:          {drawn, ticketField},
	tpm2.TPMCCContextSave:           {contextField},
	tpm2.TPMCCReadClock:             {timeField},
	tpm2.TPMCCNVReadPublic:          {determined, determined},
}

// layoutOf gives the layout of the response to a command.
func layoutOf(code uint32) fields {
	if f, ok := layouts[tpm2.TPMCC(code)]; ok {
		return f
	}
	return fields{rest}
}

// split cuts parameters into fields; ok is false if they are laid out in
// another way.
func (f fields) split(parameters []byte) ([][]byte, bool) {
	c := &cursor{rest: parameters}
	parts := make([][]byte, 0, len(f))
	for _, kind := range f {
		from := c.rest
		kind.skip(c)
		if c.bad {
			return nil, false
		}
		parts = append(parts, from[:len(from)-len(c.rest)])
	}
	return parts, c.done()
}

// skip reads one field.
func (k fieldKind) skip(c *cursor) {
	switch k {
	case number1:
		c.u8()
	case number2:
		c.u16()
	case number4:
		c.u32()
	case number8:
		c.u64()
	case determined, drawn, opaque, attestField:
		c.sized()
	case ticketField:
		c.u16()
		c.u32()
		c.sized()
	case signatureField, signatureOf:
		c.signature()
	case contextField:
		c.take(contextHead)
		c.sized()
	case timeField:
		c.take(timeSize)
	case rest:
		c.rest = c.rest[len(c.rest):]
	}
}

const (
	// contextHead is the size of sequence, savedHandle and hierarchy.
	contextHead = 8 + 4 + 4
	// timeSize is the size of a TPMS_TIME_INFO.
	timeSize = 8 + clockSize
	// clockSize is the size of a TPMS_CLOCK_INFO.
	clockSize = 8 + 4 + 4 + 1
)

// difference compares two fields of a kind. same says that all that went into
// them is equal. Nothing is "".
func (k fieldKind) difference(ours, theirs []byte, same bool) string {
	equal := bytes.Equal(ours, theirs)
	switch k {
	case number1, number2, number4, number8:
		if !equal {
			return exact(ours, theirs)
		}
	case determined, rest:
		if same && !equal {
			return exact(ours, theirs)
		}
	case drawn:
		if len(ours) != len(theirs) {
			return fmt.Sprintf("size: ours %d bytes, theirs %d", len(ours), len(theirs))
		}
	case ticketField:
		if len(ours) != len(theirs) || !bytes.Equal(ours[:8], theirs[:8]) {
			return fmt.Sprintf("ticket: ours %s, theirs %s", excerpt(ours), excerpt(theirs))
		}
	case signatureField, signatureOf:
		return compareSignatures(ours, theirs, same && k == signatureField)
	case attestField:
		return compareAttest(ours[2:], theirs[2:], same)
	case contextField:
		return exact(ours[:contextHead], theirs[:contextHead])
	case timeField:
		return compareClocks(ours, theirs)
	}
	return ""
}

// compareSignatures compares scheme and hash, and all of a signature that
// follows from the key and what is signed.
func compareSignatures(ours, theirs []byte, same bool) string {
	a, b := (&cursor{rest: ours}).signature(), (&cursor{rest: theirs}).signature()
	if a.scheme != b.scheme || a.hash != b.hash {
		return fmt.Sprintf("signature: ours %#x %#x, theirs %#x %#x", uint16(a.scheme), uint16(a.hash), uint16(b.scheme), uint16(b.hash))
	}
	if same && (a.scheme == tpm2.TPMAlgRSASSA || a.scheme == tpm2.TPMAlgHMAC) {
		return exact(ours, theirs)
	}
	return ""
}

// attestation is a TPMS_ATTEST.
type attestation struct {
	magic     uint32
	kind      tpm2.TPMST
	signer    []byte // qualifiedSigner
	extraData []byte
	clock     []byte // clockInfo
	firmware  uint64
	attested  []byte
}

// parseAttest reads a TPMS_ATTEST; the structure in it is left as it is.
func parseAttest(b []byte) (attestation, bool) {
	c := &cursor{rest: b}
	a := attestation{
		magic: c.u32(), kind: tpm2.TPMST(c.u16()), signer: c.sized(), extraData: c.sized(),
		clock: c.take(clockSize), firmware: c.u64(), attested: c.rest,
	}
	return a, !c.bad
}

// compareAttest compares two TPMS_ATTEST but for time, the counts that are
// obfuscated, and the firmware version. Names and qualified names are checked
// by the caller.
func compareAttest(ours, theirs []byte, same bool) string {
	a, okA := parseAttest(ours)
	b, okB := parseAttest(theirs)
	switch {
	case !okA || !okB:
		return fmt.Sprintf("attestation: ours %s, theirs %s", excerpt(ours), excerpt(theirs))
	case a.magic != b.magic || a.kind != b.kind:
		return fmt.Sprintf("attestation: ours %#x %#x, theirs %#x %#x", a.magic, uint16(a.kind), b.magic, uint16(b.kind))
	case !same:
		return ""
	case !bytes.Equal(a.extraData, b.extraData):
		return fmt.Sprintf("extra data: ours %x, theirs %x", a.extraData, b.extraData)
	case a.kind == tpm2.TPMSTAttestSessionAudit:
		return exact(a.attested[:1], b.attested[:1]) // the digest is over random answers, too
	case a.kind == tpm2.TPMSTAttestTime || a.kind == tpm2.TPMSTAttestCertify:
		return "" // the caller has compared it
	case !bytes.Equal(a.attested, b.attested):
		return "attested: " + exact(a.attested, b.attested)
	}
	return ""
}

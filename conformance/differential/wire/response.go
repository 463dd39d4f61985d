package wire

import "github.com/google/go-tpm/tpm2"

// Kind is the type of a parameter of a response, and how two of it are
// compared.
type Kind uint8

const (
	// Number1 to number8 are integers, equal.
	Number1 Kind = iota
	Number2
	Number4
	Number8
	// Determined is a TPM2B that is equal if all that went in is.
	Determined
	// Drawn is a TPM2B with random bytes: of equal size.
	Drawn
	// opaque is a TPM2B that only its maker understands, or of a size that
	// follows from random bytes.
	opaque
	// ticket is a TPMT_TK: tag, hierarchy and size are equal.
	Ticket
	// attest is a TPM2B_ATTEST, see compareAttest.
	Attest
	// signature is a TPMT_SIGNATURE: scheme and hash are equal, and the rest if
	// nothing random is in it. signatureOf is one over an attestation, which
	// has time in it.
	Signed
	SignedAttest
	// Context is a TPMS_CONTEXT: all but the blob is equal.
	Context
	// Time is a TPMS_TIME_INFO.
	Time
	// Rest is everything to the end, equal if all that went in is.
	Rest
)

// fields is the layout of the parameters of a response.
type fields []Kind

// layouts are the responses whose parameters are more than bytes to be equal
// (TPM 2.0 Library Part 3).
var layouts = map[tpm2.TPMCC]fields{
	tpm2.TPMCCCreatePrimary:         {Determined, Determined, Determined, Ticket, Determined},
	tpm2.TPMCCCreate:                {opaque, opaque, Determined, Determined, Ticket},
	tpm2.TPMCCCreateLoaded:          {opaque, Determined, Determined},
	tpm2.TPMCCLoad:                  {Determined},
	tpm2.TPMCCLoadExternal:          {Determined},
	tpm2.TPMCCReadPublic:            {Determined, Determined, Drawn}, // the caller knows the qualified name
	tpm2.TPMCCObjectChangeAuth:      {opaque},
	tpm2.TPMCCImport:                {opaque},
	tpm2.TPMCCDuplicate:             {Drawn, opaque, opaque},
	tpm2.TPMCCRewrap:                {opaque, opaque},
	tpm2.TPMCCMakeCredential:        {Drawn, opaque},
	tpm2.TPMCCActivateCredential:    {Determined},
	tpm2.TPMCCRSAEncrypt:            {Drawn},
	tpm2.TPMCCRSADecrypt:            {Determined},
	tpm2.TPMCCECDHKeyGen:            {opaque, opaque},
	tpm2.TPMCCECDHZGen:              {Determined},
	tpm2.TPMCCZGen2Phase:            {opaque, opaque},
	tpm2.TPMCCECEphemeral:           {opaque, Number2},
	tpm2.TPMCCCommit:                {opaque, opaque, opaque, Number2},
	tpm2.TPMCCEncryptDecrypt:        {Determined, Determined},
	tpm2.TPMCCEncryptDecrypt2:       {Determined, Determined},
	tpm2.TPMCCHash:                  {Determined, Ticket},
	tpm2.TPMCCSequenceComplete:      {Determined, Ticket},
	tpm2.TPMCCSign:                  {Signed},
	tpm2.TPMCCVerifySignature:       {Ticket},
	tpm2.TPMCCCertify:               {Attest, SignedAttest},
	tpm2.TPMCCCertifyCreation:       {Attest, SignedAttest},
	tpm2.TPMCCQuote:                 {Attest, SignedAttest},
	tpm2.TPMCCGetTime:               {Attest, SignedAttest},
	tpm2.TPMCCGetSessionAuditDigest: {Attest, SignedAttest},
	tpm2.TPMCCGetCommandAuditDigest: {Attest, SignedAttest},
	tpm2.TPMCCNVCertify:             {Attest, SignedAttest},
	tpm2.TPMCCCertifyX509:           {opaque, Drawn, SignedAttest},
	tpm2.TPMCCGetRandom:             {Drawn},
	tpm2.TPMCCStartAuthSession:      {Drawn},
	tpm2.TPMCCPolicySigned:          {Drawn, Ticket},
	tpm2.TPMCCPolicySecret:          {Drawn, Ticket},
	tpm2.TPMCCContextSave:           {Context},
	tpm2.TPMCCReadClock:             {Time},
	tpm2.TPMCCNVReadPublic:          {Determined, Determined},
}

// LayoutOf gives the layout of the response to a command.
func LayoutOf(code uint32) fields {
	if f, ok := layouts[tpm2.TPMCC(code)]; ok {
		return f
	}
	return fields{Rest}
}

// Split cuts parameters into fields; ok is false if they are laid out in
// another way.
func (f fields) Split(parameters []byte) ([][]byte, bool) {
	c := &Cursor{Rest: parameters}
	parts := make([][]byte, 0, len(f))
	for _, kind := range f {
		from := c.Rest
		kind.Skip(c)
		if c.Bad {
			return nil, false
		}
		parts = append(parts, from[:len(from)-len(c.Rest)])
	}
	return parts, c.Done()
}

// Skip reads one field.
func (k Kind) Skip(c *Cursor) {
	switch k {
	case Number1:
		c.U8()
	case Number2:
		c.U16()
	case Number4:
		c.U32()
	case Number8:
		c.U64()
	case Determined, Drawn, opaque, Attest:
		c.Sized()
	case Ticket:
		c.U16()
		c.U32()
		c.Sized()
	case Signed, SignedAttest:
		c.Signature()
	case Context:
		c.Take(ContextHead)
		c.Sized()
	case Time:
		c.Take(TimeSize)
	case Rest:
		c.Rest = c.Rest[len(c.Rest):]
	}
}

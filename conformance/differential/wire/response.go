package wire

import "github.com/google/go-tpm/tpm2"

// Kind is the type of a parameter of a response. It decides how package comparison
// compares two of them.
type Kind uint8

// The kinds of parameters.
const (
	// Number1 is a byte, which has to be equal.
	Number1 Kind = iota
	// Number2 is an integer of 2 bytes, which has to be equal.
	Number2
	// Number4 is one of 4 bytes.
	Number4
	// Number8 is one of 8 bytes.
	Number8
	// Determined is a TPM2B that is equal if the inputs are equal.
	Determined
	// Drawn is a TPM2B with random bytes: the sizes are equal.
	Drawn
	// Opaque is a TPM2B that only the TPM that made it can read, or whose size
	// depends on random bytes.
	Opaque
	// Ticket is a TPMT_TK: tag, hierarchy and size are equal.
	Ticket
	// Attest is a TPM2B_ATTEST.
	Attest
	// Signed is a TPMT_SIGNATURE: scheme and hash are equal, and the rest if the
	// scheme is not randomized.
	Signed
	// SignedAttest is a signature over an attestation, which has time in it.
	SignedAttest
	// Context is a TPMS_CONTEXT: everything but the blob is equal.
	Context
	// Time is a TPMS_TIME_INFO.
	Time
	// Rest is everything to the end, equal if the inputs are equal.
	Rest
)

// Layout is the layout of the parameters of a response.
type Layout []Kind

// layouts are the responses whose parameters are more than bytes to be equal
// (TPM 2.0 Library Part 3).
var layouts = map[tpm2.TPMCC]Layout{
	tpm2.TPMCCCreatePrimary:         {Determined, Determined, Determined, Ticket, Determined},
	tpm2.TPMCCCreate:                {Opaque, Opaque, Determined, Determined, Ticket},
	tpm2.TPMCCCreateLoaded:          {Opaque, Determined, Determined},
	tpm2.TPMCCLoad:                  {Determined},
	tpm2.TPMCCLoadExternal:          {Determined},
	tpm2.TPMCCReadPublic:            {Determined, Determined, Drawn}, // the caller knows the qualified name
	tpm2.TPMCCObjectChangeAuth:      {Opaque},
	tpm2.TPMCCImport:                {Opaque},
	tpm2.TPMCCDuplicate:             {Drawn, Opaque, Opaque},
	tpm2.TPMCCRewrap:                {Opaque, Opaque},
	tpm2.TPMCCMakeCredential:        {Drawn, Opaque},
	tpm2.TPMCCActivateCredential:    {Determined},
	tpm2.TPMCCRSAEncrypt:            {Drawn},
	tpm2.TPMCCRSADecrypt:            {Determined},
	tpm2.TPMCCECDHKeyGen:            {Opaque, Opaque},
	tpm2.TPMCCECDHZGen:              {Determined},
	tpm2.TPMCCZGen2Phase:            {Opaque, Opaque},
	tpm2.TPMCCECEphemeral:           {Opaque, Number2},
	tpm2.TPMCCCommit:                {Opaque, Opaque, Opaque, Number2},
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
	tpm2.TPMCCCertifyX509:           {Opaque, Drawn, SignedAttest},
	tpm2.TPMCCGetRandom:             {Drawn},
	tpm2.TPMCCStartAuthSession:      {Drawn},
	tpm2.TPMCCPolicySigned:          {Drawn, Ticket},
	tpm2.TPMCCPolicySecret:          {Drawn, Ticket},
	tpm2.TPMCCContextSave:           {Context},
	tpm2.TPMCCReadClock:             {Time},
	tpm2.TPMCCNVReadPublic:          {Determined, Determined},
	CCEncapsulate:                   {Drawn, Drawn},
	CCDecapsulate:                   {Determined},
	CCSignSequenceComplete:          {Signed},
	CCSignDigest:                    {Signed},
	CCVerifySequenceComplete:        {Ticket},
	CCVerifyDigestSignature:         {Ticket},
}

// LayoutOf returns the layout of the response to a command, [Rest] for a command
// that has none of its own.
func LayoutOf(code uint32) Layout {
	if f, ok := layouts[tpm2.TPMCC(code)]; ok {
		return f
	}
	return Layout{Rest}
}

// Split cuts parameters into fields; ok is false if they are laid out in
// another way.
func (f Layout) Split(parameters []byte) ([][]byte, bool) {
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
	case Determined, Drawn, Opaque, Attest:
		c.Sized()
	case Ticket:
		tag := c.U16()
		c.U32()
		if tpm2.TPMST(tag) == STDigestVerified {
			c.Alg() // the hash of the digest
		}
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

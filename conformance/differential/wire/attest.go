package wire

import "github.com/google/go-tpm/tpm2"

// Attestation is a TPMS_ATTEST.
type Attestation struct {
	Magic     uint32
	Kind      tpm2.TPMST
	Signer    []byte // qualifiedSigner
	ExtraData []byte
	Clock     []byte // clockInfo
	firmware  uint64
	Attested  []byte
}

// ParseAttest reads a TPMS_ATTEST. Attested holds the attested structure, not parsed.
func ParseAttest(b []byte) (Attestation, bool) {
	c := &Cursor{Rest: b}
	a := Attestation{
		Magic: c.U32(), Kind: tpm2.TPMST(c.U16()), Signer: c.Sized(), ExtraData: c.Sized(),
		Clock: c.Take(clockSize), firmware: c.U64(), Attested: c.Rest,
	}
	return a, !c.Bad
}

// TPMGenerated is TPM_GENERATED_VALUE.
const TPMGenerated = 0xff544347

const (
	// ContextHead is the size of sequence, savedHandle and hierarchy.
	ContextHead = 8 + 4 + 4
	// TimeSize is the size of a TPMS_TIME_INFO.
	TimeSize = 8 + clockSize
	// clockSize is the size of a TPMS_CLOCK_INFO.
	clockSize = 8 + 4 + 4 + 1
)

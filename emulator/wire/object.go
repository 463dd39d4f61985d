package wire

// Bounds of the parts of objects, in bytes.
const (
	MaxRSAKey      = 512 // modulus of 4,096 bits: MAX_RSA_KEY_BYTES
	MaxRSAPrime    = MaxRSAKey / 2
	MaxECCKey      = 80  // coordinate of BN_P638: MAX_ECC_KEY_BYTES
	MaxSymKey      = 32  // AES-256: MAX_SYM_KEY_BYTES
	MaxSymData     = 128 // sealed data: MAX_SYM_DATA
	MaxDeriveField = 32  // label or context of a derived object: LABEL_MAX_BUFFER
	MaxName        = 2 + MaxDigest
)

// ECPoint is a TPMS_ECC_POINT (Part 2, section "TPMS_ECC_POINT"): coordinates
// as big-endian numbers. Decoded ones alias the input.
type ECPoint struct{ X, Y []byte }

// Public is a TPMT_PUBLIC (Part 2, section "TPMT_PUBLIC"). Its type is that of
// Parms. Of the fields after Parms those are in use that the type has. Decoded
// byte strings alias the input.
type Public struct {
	NameAlg    AlgID
	Attributes ObjectAttributes
	AuthPolicy []byte
	Parms      PublicParms
	Unique     []byte  // RSA: modulus; KEYEDHASH and SYMCIPHER: digest
	Point      ECPoint // ECC
}

// Derive is a TPMS_DERIVE, which a template for an object of a derivation
// parent has in place of its unique field, whatever its type (Part 2, section
// "TPMS_DERIVE").
type Derive struct{ Label, Context []byte }

// Sensitive is a TPMT_SENSITIVE (Part 2, section "TPMT_SENSITIVE"). Decoded byte
// strings alias the input.
type Sensitive struct {
	Type AlgID
	Auth []byte
	Seed []byte // seedValue: of a storage key the seed of its children's protection, of others what obfuscates unique
	Data []byte // RSA: one prime; ECC: scalar; KEYEDHASH: data or key; SYMCIPHER: key
}

// SensitiveCreate is a TPMS_SENSITIVE_CREATE (Part 2, section
// "TPMS_SENSITIVE_CREATE").
type SensitiveCreate struct {
	Auth []byte
	Data []byte
}

// CreationData is a TPMS_CREATION_DATA (Part 2, section "TPMS_CREATION_DATA").
type CreationData struct {
	PCRs                PCRSelections
	PCRDigest           []byte
	Locality            LocalityAttributes
	ParentNameAlg       AlgID
	ParentName          []byte
	ParentQualifiedName []byte
	OutsideInfo         []byte
}

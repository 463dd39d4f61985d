package wire

// CCAttributes is a TPMA_CC (Part 2, section "TPMA_CC").
type CCAttributes uint32

// The bits and fields of TPMA_CC. Bits 0 to 15 are the command index.
const (
	CCAttrNV        CCAttributes = 1 << 22
	CCAttrExtensive CCAttributes = 1 << 23
	CCAttrFlushed   CCAttributes = 1 << 24
	CCAttrRHandle   CCAttributes = 1 << 28
	CCAttrVendor    CCAttributes = 1 << 29

	CCAttrHandlesShift = 25 // the number of handles in the handle area
)

// SessionAttributes is a TPMA_SESSION (Part 2, section "TPMA_SESSION").
type SessionAttributes uint8

// The bits of TPMA_SESSION.
const (
	SessionContinue       SessionAttributes = 1 << 0
	SessionAuditExclusive SessionAttributes = 1 << 1
	SessionAuditReset     SessionAttributes = 1 << 2
	SessionReserved       SessionAttributes = 3 << 3
	SessionDecrypt        SessionAttributes = 1 << 5
	SessionEncrypt        SessionAttributes = 1 << 6
	SessionAudit          SessionAttributes = 1 << 7
)

// PermanentAttributes is a TPMA_PERMANENT (Part 2, section "TPMA_PERMANENT").
type PermanentAttributes uint32

// The bits of TPMA_PERMANENT.
const (
	PermanentOwnerAuthSet       PermanentAttributes = 1 << 0
	PermanentEndorsementAuthSet PermanentAttributes = 1 << 1
	PermanentLockoutAuthSet     PermanentAttributes = 1 << 2
	PermanentDisableClear       PermanentAttributes = 1 << 8
	PermanentInLockout          PermanentAttributes = 1 << 9
	PermanentTPMGeneratedEPS    PermanentAttributes = 1 << 10
)

// StartupClearAttributes is a TPMA_STARTUP_CLEAR (Part 2, section
// "TPMA_STARTUP_CLEAR").
type StartupClearAttributes uint32

// The bits of TPMA_STARTUP_CLEAR.
const (
	StartupClearPhEnable   StartupClearAttributes = 1 << 0
	StartupClearShEnable   StartupClearAttributes = 1 << 1
	StartupClearEhEnable   StartupClearAttributes = 1 << 2
	StartupClearPhEnableNV StartupClearAttributes = 1 << 3
	StartupClearReadOnly   StartupClearAttributes = 1 << 4
	StartupClearOrderly    StartupClearAttributes = 1 << 31
)

// MemoryAttributes is a TPMA_MEMORY (Part 2, section "TPMA_MEMORY").
type MemoryAttributes uint32

// The bits of TPMA_MEMORY.
const (
	MemorySharedRAM         MemoryAttributes = 1 << 0
	MemorySharedNV          MemoryAttributes = 1 << 1
	MemoryObjectCopiedToRAM MemoryAttributes = 1 << 2
)

// LocalityAttributes is a TPMA_LOCALITY (Part 2, section "TPMA_LOCALITY"): one
// bit for each of the localities 0 to 4, or the number of an extended one.
type LocalityAttributes uint8

// LocalityExtended is the smallest number of an extended locality.
const LocalityExtended = 32

// LocalityBit is the mask of one of the localities 0 to 4, and 0 for any other.
func LocalityBit(locality uint8) LocalityAttributes {
	if locality > 4 {
		return 0
	}
	return 1 << locality
}

// Allows reports whether the attributes, which are not zero, have a locality.
func (a LocalityAttributes) Allows(locality uint8) bool {
	if locality < LocalityExtended {
		return a < LocalityExtended && a&LocalityBit(locality) != 0
	}
	return a == LocalityAttributes(locality)
}

// ObjectAttributes is a TPMA_OBJECT (Part 2, section "TPMA_OBJECT").
type ObjectAttributes uint32

// The bits of TPMA_OBJECT.
const (
	ObjectFixedTPM             ObjectAttributes = 1 << 1
	ObjectStClear              ObjectAttributes = 1 << 2
	ObjectFixedParent          ObjectAttributes = 1 << 4
	ObjectSensitiveDataOrigin  ObjectAttributes = 1 << 5
	ObjectUserWithAuth         ObjectAttributes = 1 << 6
	ObjectAdminWithPolicy      ObjectAttributes = 1 << 7
	ObjectFirmwareLimited      ObjectAttributes = 1 << 8
	ObjectSVNLimited           ObjectAttributes = 1 << 9
	ObjectNoDA                 ObjectAttributes = 1 << 10
	ObjectEncryptedDuplication ObjectAttributes = 1 << 11
	ObjectRestricted           ObjectAttributes = 1 << 16
	ObjectDecrypt              ObjectAttributes = 1 << 17
	ObjectSignEncrypt          ObjectAttributes = 1 << 18
	ObjectX509Sign             ObjectAttributes = 1 << 19

	// ObjectReserved are the bits that must be zero.
	ObjectReserved ObjectAttributes = 0xFFF0F009
)

// NVAttributes is a TPMA_NV (Part 2, section "TPMA_NV (NV Index Attributes)").
type NVAttributes uint32

// The bits of TPMA_NV. Bits 4 to 7 are a TPM_NT.
const (
	NVPPWrite        NVAttributes = 1 << 0
	NVOwnerWrite     NVAttributes = 1 << 1
	NVAuthWrite      NVAttributes = 1 << 2
	NVPolicyWrite    NVAttributes = 1 << 3
	NVPolicyDelete   NVAttributes = 1 << 10
	NVWriteLocked    NVAttributes = 1 << 11
	NVWriteAll       NVAttributes = 1 << 12
	NVWriteDefine    NVAttributes = 1 << 13
	NVWriteStClear   NVAttributes = 1 << 14
	NVGlobalLock     NVAttributes = 1 << 15
	NVPPRead         NVAttributes = 1 << 16
	NVOwnerRead      NVAttributes = 1 << 17
	NVAuthRead       NVAttributes = 1 << 18
	NVPolicyRead     NVAttributes = 1 << 19
	NVNoDA           NVAttributes = 1 << 25
	NVOrderly        NVAttributes = 1 << 26
	NVClearStClear   NVAttributes = 1 << 27
	NVReadLocked     NVAttributes = 1 << 28
	NVWritten        NVAttributes = 1 << 29
	NVPlatformCreate NVAttributes = 1 << 30
	NVReadStClear    NVAttributes = 1 << 31

	nvTypeShift = 4
)

// NT is a TPM_NT, the type of an NV index (Part 2, section "TPM_NT").
type NT uint8

// The types of NV indices.
const (
	NTOrdinary NT = 0x0
	NTCounter  NT = 0x1
	NTBits     NT = 0x2
	NTExtend   NT = 0x4
	NTPinFail  NT = 0x8
	NTPinPass  NT = 0x9
)

// Type is the TPM_NT in the attributes.
func (a NVAttributes) Type() NT { return NT(a>>nvTypeShift) & 0xF }

// Attributes is the type where TPMA_NV has it.
func (t NT) Attributes() NVAttributes { return NVAttributes(t) << nvTypeShift }

// ModesAttributes is a TPMA_MODES (Part 2, section "TPMA_MODES").
type ModesAttributes uint32

// The bits of TPMA_MODES.
const (
	ModesFIPS140_2 ModesAttributes = 1 << 0
	ModesFIPS140_3 ModesAttributes = 1 << 1
)

// MLParameterSetAttributes is a TPMA_ML_PARAMETER_SET (Part 2 of version 185,
// section "TPMA_ML_PARAMETER_SET").
type MLParameterSetAttributes uint32

// The bits of TPMA_ML_PARAMETER_SET.
const (
	MLParameterSetMLKEM512   MLParameterSetAttributes = 1 << 0
	MLParameterSetMLKEM768   MLParameterSetAttributes = 1 << 1
	MLParameterSetMLKEM1024  MLParameterSetAttributes = 1 << 2
	MLParameterSetMLDSA44    MLParameterSetAttributes = 1 << 3
	MLParameterSetMLDSA65    MLParameterSetAttributes = 1 << 4
	MLParameterSetMLDSA87    MLParameterSetAttributes = 1 << 5
	MLParameterSetExternalMu MLParameterSetAttributes = 1 << 6
)

package wire

// Attributes of objects (TPM 2.0 Library Part 2, section "TPMA_OBJECT").
const (
	ObjectFixedTPM        = 1 << 1
	ObjectStClear         = 1 << 2
	ObjectFixedParent     = 1 << 4
	ObjectOrigin          = 1 << 5 // sensitiveDataOrigin
	ObjectUserWithAuth    = 1 << 6
	ObjectAdminWithPolicy = 1 << 7
	ObjectNoDA            = 1 << 10
	ObjectEncrypted       = 1 << 11 // encryptedDuplication
	ObjectRestricted      = 1 << 16
	ObjectDecrypt         = 1 << 17
	ObjectSign            = 1 << 18
	ObjectX509            = 1 << 19
)

// Attributes of NV indices (TPM 2.0 Library Part 2, section "TPMA_NV").
const (
	NVPPWrite        = 1 << 0
	NVOwnerWrite     = 1 << 1
	NVAuthWrite      = 1 << 2
	NVPolicyWrite    = 1 << 3
	NVTypeShift      = 4 // TPM_NT, four bits
	NVPolicyDelete   = 1 << 10
	NVWriteLocked    = 1 << 11
	NVWriteAll       = 1 << 12
	NVWriteDefine    = 1 << 13
	NVWriteStClear   = 1 << 14
	NVGlobalLock     = 1 << 15
	NVPPRead         = 1 << 16
	NVOwnerRead      = 1 << 17
	NVAuthRead       = 1 << 18
	NVPolicyRead     = 1 << 19
	NVNoDA           = 1 << 25
	NVOrderly        = 1 << 26
	NVClearStClear   = 1 << 27
	NVReadLocked     = 1 << 28
	NVWritten        = 1 << 29
	NVPlatformCreate = 1 << 30
	NVReadStClear    = 1 << 31
)

// Attributes of sessions (TPM 2.0 Library Part 2, section "TPMA_SESSION").
// continueSession is conformance.ContinueSession.
const (
	AttributeAuditExclusive = 1 << 1
	AttributeAuditReset     = 1 << 2
	AttributeDecrypt        = 1 << 5
	AttributeEncrypt        = 1 << 6
	AttributeAudit          = 1 << 7
)

// Session types (TPM 2.0 Library Part 2, section "TPM_SE").
const (
	SessionHMAC   = 0
	SessionPolicy = 1
	SessionTrial  = 3
)

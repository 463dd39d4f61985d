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

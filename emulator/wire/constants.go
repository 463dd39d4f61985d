package wire

// GeneratedValue is TPM_GENERATED_VALUE ("\xFFTCG"), with which every structure
// made by the TPM starts (Part 2, section "TPM_GENERATED").
const GeneratedValue uint32 = 0xFF544347

// ST is a TPM_ST (Part 2, section "TPM_ST (Structure Tags)").
type ST uint16

// The structure tags in use.
const (
	STTPM12Command       ST = 0x00C1 // of a TPM 1.2 command without authorization
	STTPM12AuthCommand2  ST = 0x00C3 // … with two; 0x00C2 is with one
	STRspCommand         ST = 0x00C4 // response to a command with a bad tag
	STNull               ST = 0x8000
	STNoSessions         ST = 0x8001
	STSessions           ST = 0x8002
	STAttestNV           ST = 0x8014
	STAttestCommandAudit ST = 0x8015
	STAttestSessionAudit ST = 0x8016
	STAttestCertify      ST = 0x8017
	STAttestQuote        ST = 0x8018
	STAttestTime         ST = 0x8019
	STAttestCreation     ST = 0x801A
	STAttestNVDigest     ST = 0x801C
	STCreation           ST = 0x8021
	STVerified           ST = 0x8022
	STAuthSecret         ST = 0x8023
	STHashCheck          ST = 0x8024
	STAuthSigned         ST = 0x8025
	STMessageVerified    ST = 0x8026
	STDigestVerified     ST = 0x8027
	STFUManifest         ST = 0x8029
)

// SU is a TPM_SU (Part 2, section "TPM_SU (Startup Type)").
type SU uint16

// The startup and shutdown types.
const (
	SUClear SU = 0x0000
	SUState SU = 0x0001
)

// ClockAdjust is a TPM_CLOCK_ADJUST (Part 2, section "TPM_CLOCK_ADJUST").
type ClockAdjust int8

// The steps of the clock rate.
const (
	ClockCoarseSlower ClockAdjust = -3
	ClockMediumSlower ClockAdjust = -2
	ClockFineSlower   ClockAdjust = -1
	ClockNoChange     ClockAdjust = 0
	ClockFineFaster   ClockAdjust = 1
	ClockMediumFaster ClockAdjust = 2
	ClockCoarseFaster ClockAdjust = 3
)

// Cap is a TPM_CAP (Part 2, section "TPM_CAP (Capabilities)").
type Cap uint32

// The capabilities.
const (
	CapAlgs           Cap = 0x0
	CapHandles        Cap = 0x1
	CapCommands       Cap = 0x2
	CapPPCommands     Cap = 0x3
	CapAuditCommands  Cap = 0x4
	CapPCRs           Cap = 0x5
	CapTPMProperties  Cap = 0x6
	CapPCRProperties  Cap = 0x7
	CapECCCurves      Cap = 0x8
	CapAuthPolicies   Cap = 0x9
	CapACT            Cap = 0xA
	CapPubKeys        Cap = 0xB
	CapSPDMSessions   Cap = 0xC
	CapVendorProperty Cap = 0x100
)

// PT is a TPM_PT (Part 2, section "TPM_PT (Property Tag)").
type PT uint32

// The property groups and their size.
const (
	PTGroup PT = 0x100
	PTFixed PT = 0x100
	PTVar   PT = 0x200
)

// The fixed properties.
const (
	PTFamilyIndicator PT = PTFixed + iota
	PTLevel
	PTRevision
	PTDayOfYear
	PTYear
	PTManufacturer
	PTVendorString1
	PTVendorString2
	PTVendorString3
	PTVendorString4
	PTVendorTPMType
	PTFirmwareVersion1
	PTFirmwareVersion2
	PTInputBuffer
	PTHRTransientMin
	PTHRPersistentMin
	PTHRLoadedMin
	PTActiveSessionsMax
	PTPCRCount
	PTPCRSelectMin
	PTContextGapMax
	_
	PTNVCountersMax
	PTNVIndexMax
	PTMemory
	PTClockUpdate
	PTContextHash
	PTContextSym
	PTContextSymSize
	PTOrderlyCount
	PTMaxCommandSize
	PTMaxResponseSize
	PTMaxDigest
	PTMaxObjectContext
	PTMaxSessionContext
	PTPSFamilyIndicator
	PTPSLevel
	PTPSRevision
	PTPSDayOfYear
	PTPSYear
	PTSplitMax
	PTTotalCommands
	PTLibraryCommands
	PTVendorCommands
	PTNVBufferMax
	PTModes
	PTMaxCapBuffer
	PTFirmwareSVN
	PTFirmwareMaxSVN
	PTMLParameterSets
)

// The variable properties.
const (
	PTPermanent PT = PTVar + iota
	PTStartupClear
	PTHRNVIndex
	PTHRLoaded
	PTHRLoadedAvail
	PTHRActive
	PTHRActiveAvail
	PTHRTransientAvail
	PTHRPersistent
	PTHRPersistentAvail
	PTNVCounters
	PTNVCountersAvail
	PTAlgorithmSet
	PTLoadedCurves
	PTLockoutCounter
	PTMaxAuthFail
	PTLockoutInterval
	PTLockoutRecovery
	PTNVWriteRecovery
	PTAuditCounter0
	PTAuditCounter1
)

// PTPCR is a TPM_PT_PCR (Part 2, section "TPM_PT_PCR (PCR Property Tag)").
type PTPCR uint32

// The PCR properties.
const (
	PTPCRSave        PTPCR = 0x00
	PTPCRExtendL0    PTPCR = 0x01
	PTPCRResetL0     PTPCR = 0x02
	PTPCRExtendL1    PTPCR = 0x03
	PTPCRResetL1     PTPCR = 0x04
	PTPCRExtendL2    PTPCR = 0x05
	PTPCRResetL2     PTPCR = 0x06
	PTPCRExtendL3    PTPCR = 0x07
	PTPCRResetL3     PTPCR = 0x08
	PTPCRExtendL4    PTPCR = 0x09
	PTPCRResetL4     PTPCR = 0x0A
	PTPCRNoIncrement PTPCR = 0x11
	PTPCRDRTMReset   PTPCR = 0x12
	PTPCRPolicy      PTPCR = 0x13
	PTPCRAuth        PTPCR = 0x14
)

// EO is a TPM_EO, an arithmetic comparison (Part 2, section "TPM_EO").
type EO uint16

// The comparisons.
const (
	EOEq         EO = 0x0
	EONeq        EO = 0x1
	EOSignedGT   EO = 0x2
	EOUnsignedGT EO = 0x3
	EOSignedLT   EO = 0x4
	EOUnsignedLT EO = 0x5
	EOSignedGE   EO = 0x6
	EOUnsignedGE EO = 0x7
	EOSignedLE   EO = 0x8
	EOUnsignedLE EO = 0x9
	EOBitSet     EO = 0xA
	EOBitClear   EO = 0xB
)

// SE is a TPM_SE, the type of a session (Part 2, section "TPM_SE").
type SE uint8

// The session types.
const (
	SEHMAC   SE = 0x00
	SEPolicy SE = 0x01
	SETrial  SE = 0x03
)

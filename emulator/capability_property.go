package emulator

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// property gives the value of a TPM_PT (Part 2, section "TPM_PT (Property
// Tag)"), and false for one that does not exist.
func (t *TPM) property(pt wire.PT) (uint32, bool) {
	i := pt - wire.PTFixed
	if pt >= wire.PTVar {
		i = pt - wire.PTVar
		if uint64(i) < uint64(len(variableProperties)) && variableProperties[i] != nil {
			return variableProperties[i](t), true
		}
		return 0, false
	}
	if pt > wire.PTMaxCapBuffer && !t.config.hasVersion185() {
		return 0, false
	}
	if uint64(i) < uint64(len(fixedProperties)) && fixedProperties[i] != nil {
		return fixedProperties[i](t), true
	}
	return 0, false
}

// propertyValue computes one property.
type propertyValue func(t *TPM) uint32

// constant is a property that is the same in all TPMs.
func constant(v uint32) propertyValue { return func(*TPM) uint32 { return v } }

// chars is four characters of a string, from offset on, as a property.
func chars(s string, offset int) uint32 {
	var b [4]byte
	if offset < len(s) {
		copy(b[:], s[offset:])
	}
	return binary.BigEndian.Uint32(b[:])
}

// fixedProperties is the table of the PT_FIXED group.
var fixedProperties = [...]propertyValue{
	wire.PTFamilyIndicator - wire.PTFixed:   constant(specFamily),
	wire.PTLevel - wire.PTFixed:             constant(0),
	wire.PTRevision - wire.PTFixed:          func(t *TPM) uint32 { return t.config.Identity.Revision },
	wire.PTDayOfYear - wire.PTFixed:         func(t *TPM) uint32 { return t.config.Identity.DayOfYear },
	wire.PTYear - wire.PTFixed:              func(t *TPM) uint32 { return t.config.Identity.Year },
	wire.PTManufacturer - wire.PTFixed:      func(t *TPM) uint32 { return chars(t.config.Identity.Manufacturer, 0) },
	wire.PTVendorString1 - wire.PTFixed:     func(t *TPM) uint32 { return chars(t.config.Identity.Vendor, 0) },
	wire.PTVendorString2 - wire.PTFixed:     func(t *TPM) uint32 { return chars(t.config.Identity.Vendor, 4) },
	wire.PTVendorString3 - wire.PTFixed:     func(t *TPM) uint32 { return chars(t.config.Identity.Vendor, 8) },
	wire.PTVendorString4 - wire.PTFixed:     func(t *TPM) uint32 { return chars(t.config.Identity.Vendor, 12) },
	wire.PTVendorTPMType - wire.PTFixed:     func(t *TPM) uint32 { return t.config.Identity.TPMType },
	wire.PTFirmwareVersion1 - wire.PTFixed:  func(t *TPM) uint32 { return uint32(t.config.Identity.Firmware >> 32) },
	wire.PTFirmwareVersion2 - wire.PTFixed:  func(t *TPM) uint32 { return uint32(t.config.Identity.Firmware) },
	wire.PTInputBuffer - wire.PTFixed:       func(t *TPM) uint32 { return t.config.Limits.InputBuffer },
	wire.PTHRTransientMin - wire.PTFixed:    func(t *TPM) uint32 { return t.config.Limits.Transient },
	wire.PTHRPersistentMin - wire.PTFixed:   func(t *TPM) uint32 { return t.config.Limits.Persistent },
	wire.PTHRLoadedMin - wire.PTFixed:       func(t *TPM) uint32 { return t.config.Limits.LoadedSessions },
	wire.PTActiveSessionsMax - wire.PTFixed: func(t *TPM) uint32 { return t.config.Limits.ActiveSessions },
	wire.PTPCRCount - wire.PTFixed:          constant(wire.PCRCount),
	wire.PTPCRSelectMin - wire.PTFixed:      constant(wire.PCRSelectMin),
	wire.PTContextGapMax - wire.PTFixed:     constant(contextGap),
	wire.PTNVCountersMax - wire.PTFixed:     constant(0), // no limit but space
	wire.PTNVIndexMax - wire.PTFixed:        func(t *TPM) uint32 { return t.config.Limits.NVIndexSize },
	wire.PTMemory - wire.PTFixed:            constant(uint32(wire.MemorySharedNV | wire.MemoryObjectCopiedToRAM)),
	wire.PTClockUpdate - wire.PTFixed:       constant(clockUpdate),
	wire.PTContextHash - wire.PTFixed:       func(t *TPM) uint32 { return uint32(t.contextHash) },
	wire.PTContextSym - wire.PTFixed:        constant(uint32(wire.AlgAES)),
	wire.PTContextSymSize - wire.PTFixed:    func(t *TPM) uint32 { return uint32(t.contextBits) },
	wire.PTOrderlyCount - wire.PTFixed:      constant(orderlyCount),
	wire.PTMaxCommandSize - wire.PTFixed:    func(t *TPM) uint32 { return t.size },
	wire.PTMaxResponseSize - wire.PTFixed:   func(t *TPM) uint32 { return t.size },
	wire.PTMaxDigest - wire.PTFixed:         func(t *TPM) uint32 { return uint32(t.algs.Selectors().LargestDigest()) },
	wire.PTMaxObjectContext - wire.PTFixed:  func(t *TPM) uint32 { return t.config.Limits.ObjectContext },
	wire.PTMaxSessionContext - wire.PTFixed: func(t *TPM) uint32 { return t.config.Limits.SessionContext },
	wire.PTPSFamilyIndicator - wire.PTFixed: func(t *TPM) uint32 { return t.config.Identity.PSFamily },
	wire.PTPSLevel - wire.PTFixed:           func(t *TPM) uint32 { return t.config.Identity.PSLevel },
	wire.PTPSRevision - wire.PTFixed:        func(t *TPM) uint32 { return t.config.Identity.PSRevision },
	wire.PTPSDayOfYear - wire.PTFixed:       func(t *TPM) uint32 { return t.config.Identity.PSDayOfYear },
	wire.PTPSYear - wire.PTFixed:            func(t *TPM) uint32 { return t.config.Identity.PSYear },
	wire.PTSplitMax - wire.PTFixed:          constant(state.MaxCommits),
	wire.PTTotalCommands - wire.PTFixed:     func(t *TPM) uint32 { return t.commands.count },
	wire.PTLibraryCommands - wire.PTFixed:   func(t *TPM) uint32 { return t.commands.count },
	wire.PTVendorCommands - wire.PTFixed:    constant(0),
	wire.PTNVBufferMax - wire.PTFixed:       func(t *TPM) uint32 { return t.config.Limits.NVBuffer },
	wire.PTModes - wire.PTFixed:             constant(0),
	wire.PTMaxCapBuffer - wire.PTFixed:      constant(maxCapBuffer),

	// Since version 185, where 1.83 and 1.84 have the first two. There are no hierarchies
	// that are limited to a security version of the firmware.
	wire.PTFirmwareSVN - wire.PTFixed:     constant(0),
	wire.PTFirmwareMaxSVN - wire.PTFixed:  constant(0),
	wire.PTMLParameterSets - wire.PTFixed: (*TPM).parameterSetsProperty,
}

// variableProperties is the table of the PT_VAR group.
var variableProperties = [...]propertyValue{
	wire.PTPermanent - wire.PTVar:         (*TPM).permanentProperty,
	wire.PTStartupClear - wire.PTVar:      (*TPM).startupClearProperty,
	wire.PTHRNVIndex - wire.PTVar:         func(t *TPM) uint32 { return uint32(len(t.s.NV.Indices)) },
	wire.PTHRLoaded - wire.PTVar:          func(t *TPM) uint32 { loaded, _ := t.countSessions(); return uint32(loaded) },
	wire.PTHRLoadedAvail - wire.PTVar:     (*TPM).loadedAvailProperty,
	wire.PTHRActive - wire.PTVar:          func(t *TPM) uint32 { _, active := t.countSessions(); return uint32(active) },
	wire.PTHRActiveAvail - wire.PTVar:     (*TPM).activeAvailProperty,
	wire.PTHRTransientAvail - wire.PTVar:  (*TPM).transientAvailProperty,
	wire.PTHRPersistent - wire.PTVar:      func(t *TPM) uint32 { return uint32(len(t.s.Objects.List)) },
	wire.PTHRPersistentAvail - wire.PTVar: (*TPM).persistentAvailProperty,
	wire.PTNVCounters - wire.PTVar:        (*TPM).nvCounters,
	wire.PTNVCountersAvail - wire.PTVar:   (*TPM).nvCountersAvailable,
	wire.PTAlgorithmSet - wire.PTVar:      func(t *TPM) uint32 { return t.s.Persistent.AlgorithmSet },
	wire.PTLoadedCurves - wire.PTVar:      func(t *TPM) uint32 { return uint32(len(t.algs.Curves())) },
	wire.PTLockoutCounter - wire.PTVar:    func(t *TPM) uint32 { return t.s.Persistent.FailedTries },
	wire.PTMaxAuthFail - wire.PTVar:       func(t *TPM) uint32 { return t.s.Persistent.MaxTries },
	wire.PTLockoutInterval - wire.PTVar:   func(t *TPM) uint32 { return t.s.Persistent.RecoveryTime },
	wire.PTLockoutRecovery - wire.PTVar:   func(t *TPM) uint32 { return t.s.Persistent.LockoutRecovery },
	wire.PTNVWriteRecovery - wire.PTVar:   constant(0),
	wire.PTAuditCounter0 - wire.PTVar:     func(t *TPM) uint32 { return uint32(t.s.Persistent.AuditCounter >> 32) },
	wire.PTAuditCounter1 - wire.PTVar:     func(t *TPM) uint32 { return uint32(t.s.Persistent.AuditCounter) },
}

// parameterSetsProperty is the TPMA_ML_PARAMETER_SET.
func (t *TPM) parameterSetsProperty() uint32 {
	s := t.algs.Selectors()
	attributes := bit(s.ExternalMu(), wire.MLParameterSetExternalMu)
	for set := uint16(1); set <= 3; set++ { // in the order of the bits
		attributes |= bit(s.HasParameterSet(wire.AlgMLKEM, set), wire.MLParameterSetMLKEM512<<(set-1))
		attributes |= bit(s.HasParameterSet(wire.AlgMLDSA, set) || s.HasParameterSet(wire.AlgHashMLDSA, set), wire.MLParameterSetMLDSA44<<(set-1))
	}
	return uint32(attributes)
}

// permanentProperty is the TPMA_PERMANENT. The endorsement seed is always made
// by the TPM itself.
func (t *TPM) permanentProperty() uint32 {
	p := &t.s.Persistent
	return uint32(wire.PermanentTPMGeneratedEPS |
		bit(p.OwnerAuth.Size != 0, wire.PermanentOwnerAuthSet) |
		bit(p.EndorsementAuth.Size != 0, wire.PermanentEndorsementAuthSet) |
		bit(p.LockoutAuth.Size != 0, wire.PermanentLockoutAuthSet) |
		bit(p.DisableClear, wire.PermanentDisableClear) |
		bit(p.FailedTries >= p.MaxTries, wire.PermanentInLockout))
}

// bit is an attribute if it is set, else 0.
func bit[A ~uint32](set bool, attribute A) A {
	if set {
		return attribute
	}
	return 0
}

// startupClearProperty is the TPMA_STARTUP_CLEAR.
func (t *TPM) startupClearProperty() uint32 {
	s, v := &t.s.Clear, &t.s.Volatile
	return uint32(bit(v.PhEnable, wire.StartupClearPhEnable) |
		bit(s.ShEnable, wire.StartupClearShEnable) |
		bit(s.EhEnable, wire.StartupClearEhEnable) |
		bit(s.PhEnableNV, wire.StartupClearPhEnableNV) |
		bit(s.ReadOnly, wire.StartupClearReadOnly) |
		bit(v.PreviousShutdown != state.ShutdownNone, wire.StartupClearOrderly))
}

// transientAvailProperty counts the free object slots.
func (t *TPM) transientAvailProperty() uint32 { return uint32(t.freeSlots()) }

// loadedAvailProperty counts the free slots for sessions.
func (t *TPM) loadedAvailProperty() uint32 {
	loaded, _ := t.countSessions()
	return t.config.Limits.LoadedSessions - uint32(loaded)
}

// activeAvailProperty counts the sessions that can be started before one has to
// be flushed.
func (t *TPM) activeAvailProperty() uint32 {
	_, active := t.countSessions()
	return t.config.Limits.ActiveSessions - uint32(active)
}

// persistentAvailProperty counts the objects that can still be made persistent.
func (t *TPM) persistentAvailProperty() uint32 { return uint32(max(0, t.persistentFree())) }

// pcrProperty is one row of the table of PCR properties.
type pcrProperty struct {
	tag wire.PTPCR
	has func(*pcrAttributes) bool // whether a PCR has it
}

func extendBy(l wire.LocalityAttributes) func(*pcrAttributes) bool {
	return func(a *pcrAttributes) bool { return a.extend&l != 0 }
}

func resetBy(l wire.LocalityAttributes) func(*pcrAttributes) bool {
	return func(a *pcrAttributes) bool { return a.reset&l != 0 }
}

// pcrProperties is the table of TPM_PT_PCR (Part 2, section "TPM_PT_PCR (PCR
// Property Tag)") in ascending order.
var pcrProperties = [...]pcrProperty{
	{wire.PTPCRSave, func(a *pcrAttributes) bool { return a.saved }},
	{wire.PTPCRExtendL0, extendBy(loc0)},
	{wire.PTPCRResetL0, resetBy(loc0)},
	{wire.PTPCRExtendL1, extendBy(loc1)},
	{wire.PTPCRResetL1, resetBy(loc1)},
	{wire.PTPCRExtendL2, extendBy(loc2)},
	{wire.PTPCRResetL2, resetBy(loc2)},
	{wire.PTPCRExtendL3, extendBy(loc3)},
	{wire.PTPCRResetL3, resetBy(loc3)},
	{wire.PTPCRExtendL4, extendBy(loc4)},
	{wire.PTPCRResetL4, resetBy(loc4)},
	{wire.PTPCRNoIncrement, func(a *pcrAttributes) bool { return a.noIncrement }},
	{wire.PTPCRDRTMReset, (*pcrAttributes).dynamic},
	{wire.PTPCRPolicy, func(a *pcrAttributes) bool { return a.policyGroup != 0 }},
	{wire.PTPCRAuth, func(a *pcrAttributes) bool { return a.authGroup != 0 }},
}

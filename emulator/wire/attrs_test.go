package wire_test

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// go-tpm knows the places of the bits from Part 2 in its own way.
func TestAttributeBits(t *testing.T) {
	t.Parallel()
	object := map[wire.ObjectAttributes]tpm2.TPMAObject{
		wire.ObjectFixedTPM: {FixedTPM: true}, wire.ObjectStClear: {STClear: true},
		wire.ObjectFixedParent: {FixedParent: true}, wire.ObjectSensitiveDataOrigin: {SensitiveDataOrigin: true},
		wire.ObjectUserWithAuth: {UserWithAuth: true}, wire.ObjectAdminWithPolicy: {AdminWithPolicy: true},
		wire.ObjectNoDA: {NoDA: true}, wire.ObjectEncryptedDuplication: {EncryptedDuplication: true},
		wire.ObjectRestricted: {Restricted: true}, wire.ObjectDecrypt: {Decrypt: true},
		wire.ObjectSignEncrypt: {SignEncrypt: true}, wire.ObjectX509Sign: {X509Sign: true},
	}
	for ours, theirs := range object {
		assert.Equal(t, binary.BigEndian.Uint32(tpm2.Marshal(theirs)), uint32(ours))
	}
	nv := map[wire.NVAttributes]tpm2.TPMANV{
		wire.NVPPWrite: {PPWrite: true}, wire.NVOwnerWrite: {OwnerWrite: true}, wire.NVAuthWrite: {AuthWrite: true},
		wire.NVPolicyWrite: {PolicyWrite: true}, wire.NVPolicyDelete: {PolicyDelete: true},
		wire.NVWriteLocked: {WriteLocked: true}, wire.NVWriteAll: {WriteAll: true}, wire.NVWriteDefine: {WriteDefine: true},
		wire.NVWriteStClear: {WriteSTClear: true}, wire.NVGlobalLock: {GlobalLock: true}, wire.NVPPRead: {PPRead: true},
		wire.NVOwnerRead: {OwnerRead: true}, wire.NVAuthRead: {AuthRead: true}, wire.NVPolicyRead: {PolicyRead: true},
		wire.NVNoDA: {NoDA: true}, wire.NVOrderly: {Orderly: true}, wire.NVClearStClear: {ClearSTClear: true},
		wire.NVReadLocked: {ReadLocked: true}, wire.NVWritten: {Written: true},
		wire.NVPlatformCreate: {PlatformCreate: true}, wire.NVReadStClear: {ReadSTClear: true},
		wire.NTCounter.Attributes(): {NT: tpm2.TPMNTCounter}, wire.NTPinPass.Attributes(): {NT: tpm2.TPMNTPinPass},
	}
	for ours, theirs := range nv {
		assert.Equal(t, binary.BigEndian.Uint32(tpm2.Marshal(theirs)), uint32(ours))
	}
	assert.Equal(t, wire.NTPinFail, (wire.NTPinFail.Attributes() | wire.NVWritten | wire.NVPolicyWrite).Type())
}

func TestConstantsAsGoTPMHasThem(t *testing.T) {
	t.Parallel()
	for ours, theirs := range map[uint32]uint32{
		uint32(wire.PTPCRCount):      uint32(tpm2.TPMPTPCRCount),
		uint32(wire.PTSplitMax):      uint32(tpm2.TPMPTSplitMax),
		uint32(wire.PTModes):         uint32(tpm2.TPMPTModes),
		uint32(wire.PTMaxCapBuffer):  uint32(tpm2.TPMPTMaxCapBuffer),
		uint32(wire.PTHRNVIndex):     uint32(tpm2.TPMPTHRNVIndex),
		uint32(wire.PTAuditCounter1): uint32(tpm2.TPMPTAuditCounter1),
		uint32(wire.RHEndorsement):   uint32(tpm2.TPMRHEndorsement),
		uint32(wire.RHPlatformNV):    uint32(tpm2.TPMRHPlatformNV),
		uint32(wire.RSPW):            uint32(tpm2.TPMRSPW),
		uint32(wire.STHashCheck):     uint32(tpm2.TPMSTHashCheck),
		uint32(wire.GeneratedValue):  uint32(tpm2.TPMGeneratedValue),
		uint32(wire.CCCreateLoaded):  uint32(tpm2.TPMCCCreateLoaded),
		uint32(wire.CCHMACStart):     uint32(tpm2.TPMCCHMACStart),
	} {
		assert.Equal(t, theirs, ours)
	}
}

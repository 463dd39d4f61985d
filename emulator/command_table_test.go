package emulator_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// measured are the TPMA_CC words that swtpm 0.7.1 and the reference simulator
// report alike.
var measured = map[wire.CC]uint32{
	wire.CCNVUndefineSpaceSpecial: 0x440011f, wire.CCEvictControl: 0x4400120,
	wire.CCHierarchyControl: 0x2c00121, wire.CCNVUndefineSpace: 0x4400122, wire.CCChangeEPS: 0x2c00124,
	wire.CCChangePPS: 0x2c00125, wire.CCClear: 0x2c00126, wire.CCClearControl: 0x2400127,
	wire.CCClockSet: 0x2400128, wire.CCHierarchyChangeAuth: 0x2400129, wire.CCNVDefineSpace: 0x240012a,
	wire.CCPCRAllocate: 0x240012b, wire.CCPCRSetAuthPolicy: 0x240012c, wire.CCPPCommands: 0x240012d,
	wire.CCSetPrimaryPolicy: 0x240012e, wire.CCClockRateAdjust: 0x2000130, wire.CCCreatePrimary: 0x12000131,
	wire.CCNVGlobalWriteLock: 0x2400132, wire.CCGetCommandAuditDigest: 0x4400133, wire.CCNVIncrement: 0x4400134,
	wire.CCNVSetBits: 0x4400135, wire.CCNVExtend: 0x4400136, wire.CCNVWrite: 0x4400137,
	wire.CCNVWriteLock: 0x4400138, wire.CCDictionaryAttackLockReset: 0x2400139,
	wire.CCDictionaryAttackParameters: 0x240013a, wire.CCNVChangeAuth: 0x240013b, wire.CCPCREvent: 0x240013c,
	wire.CCPCRReset: 0x240013d, wire.CCSequenceComplete: 0x300013e, wire.CCSetAlgorithmSet: 0x240013f,
	wire.CCSetCommandCodeAuditStatus: 0x2400140, wire.CCIncrementalSelfTest: 0x400142,
	wire.CCSelfTest: 0x400143, wire.CCStartup: 0x400144, wire.CCShutdown: 0x400145, wire.CCStirRandom: 0x400146,
	wire.CCActivateCredential: 0x4000147, wire.CCCertify: 0x4000148, wire.CCPolicyNV: 0x6000149,
	wire.CCCertifyCreation: 0x400014a, wire.CCDuplicate: 0x400014b, wire.CCGetTime: 0x400014c,
	wire.CCGetSessionAuditDigest: 0x600014d, wire.CCNVRead: 0x400014e, wire.CCNVReadLock: 0x440014f,
	wire.CCObjectChangeAuth: 0x4000150, wire.CCPolicySecret: 0x4000151, wire.CCRewrap: 0x4000152,
	wire.CCCreate: 0x2000153, wire.CCECDHZGen: 0x2000154, wire.CCHMAC: 0x2000155, wire.CCImport: 0x2000156,
	wire.CCLoad: 0x12000157, wire.CCQuote: 0x2000158, wire.CCRSADecrypt: 0x2000159,
	wire.CCHMACStart: 0x1200015b, wire.CCSequenceUpdate: 0x200015c, wire.CCSign: 0x200015d,
	wire.CCUnseal: 0x200015e, wire.CCPolicySigned: 0x4000160, wire.CCContextLoad: 0x10000161,
	wire.CCContextSave: 0x2000162, wire.CCECDHKeyGen: 0x2000163, wire.CCEncryptDecrypt: 0x2000164,
	wire.CCFlushContext: 0x165, wire.CCLoadExternal: 0x10000167, wire.CCMakeCredential: 0x2000168,
	wire.CCNVReadPublic: 0x2000169, wire.CCPolicyAuthorize: 0x200016a, wire.CCPolicyAuthValue: 0x200016b,
	wire.CCPolicyCommandCode: 0x200016c, wire.CCPolicyCounterTimer: 0x200016d, wire.CCPolicyCpHash: 0x200016e,
	wire.CCPolicyLocality: 0x200016f, wire.CCPolicyNameHash: 0x2000170, wire.CCPolicyOR: 0x2000171,
	wire.CCPolicyTicket: 0x2000172, wire.CCReadPublic: 0x2000173, wire.CCRSAEncrypt: 0x2000174,
	wire.CCStartAuthSession: 0x14000176, wire.CCVerifySignature: 0x2000177, wire.CCECCParameters: 0x178,
	wire.CCGetCapability: 0x17a, wire.CCGetRandom: 0x17b, wire.CCGetTestResult: 0x17c, wire.CCHash: 0x17d,
	wire.CCPCRRead: 0x17e, wire.CCPolicyPCR: 0x200017f, wire.CCPolicyRestart: 0x2000180,
	wire.CCReadClock: 0x181, wire.CCPCRExtend: 0x2400182, wire.CCPCRSetAuthValue: 0x2000183,
	wire.CCNVCertify: 0x6000184, wire.CCEventSequenceComplete: 0x5400185, wire.CCHashSequenceStart: 0x10000186,
	wire.CCPolicyPhysicalPresence: 0x2000187, wire.CCPolicyDuplicationSelect: 0x2000188,
	wire.CCPolicyGetDigest: 0x2000189, wire.CCTestParms: 0x18a, wire.CCCommit: 0x200018b,
	wire.CCPolicyPassword: 0x200018c, wire.CCZGen2Phase: 0x200018d, wire.CCECEphemeral: 0x18e,
	wire.CCPolicyNvWritten: 0x200018f, wire.CCPolicyTemplate: 0x2000190, wire.CCCreateLoaded: 0x12000191,
	wire.CCPolicyAuthorizeNV: 0x6000192, wire.CCEncryptDecrypt2: 0x2000193, wire.CCACGetCapability: 0x2000194,
	wire.CCACSend: 0x6000195, wire.CCPolicyACSendSelect: 0x2000196, wire.CCCertifyX509: 0x4000197,
}

// specified are the TPMA_CC words of newer commands, which neither of them has:
// the annex "Command Codes" of Part 3, rev 1.83 and 1.84, and version 185.
var specified = map[wire.CC]uint32{
	wire.CCECCEncrypt: 0x2000199, wire.CCECCDecrypt: 0x200019a, wire.CCPolicyCapability: 0x200019b,
	wire.CCPolicyParameters: 0x200019c, wire.CCNVDefineSpace2: 0x240019d, wire.CCNVReadPublic2: 0x200019e,
	wire.CCReadOnlyControl: 0x24001a0, wire.CCPolicyTransportSPDM: 0x20001a1,
	// Version 185.
	wire.CCVerifySequenceComplete: 0x50001a3, wire.CCSignSequenceComplete: 0x50001a4,
	wire.CCVerifyDigestSignature: 0x20001a5, wire.CCSignDigest: 0x20001a6, wire.CCEncapsulate: 0x20001a7,
	wire.CCDecapsulate: 0x20001a8, wire.CCVerifySequenceStart: 0x120001a9, wire.CCSignSequenceStart: 0x120001aa,
}

func TestCommandTable(t *testing.T) {
	t.Parallel()
	table := emulator.Commands()
	require.Len(t, table, 134)
	for i := range table {
		c := &table[i]
		if i > 0 {
			assert.Less(t, table[i-1].Code, c.Code)
			assert.NotEqual(t, table[i-1].Name, c.Name)
		}
		assert.NotEmpty(t, c.Name)
		assert.NotEmpty(t, c.Chapter, c.Name)
		assert.Regexp(t, `^(1\.\d\d|185)$`, c.Since, c.Name)
		assert.LessOrEqual(t, len(c.Handles), 3, c.Name)
		auth := true
		for _, h := range c.Handles {
			assert.NotEmpty(t, h.Kind.String(), c.Name)
			assert.True(t, auth || h.Role == emulator.RoleNone, "%s: handles that need authorization come first", c.Name)
			auth = h.Role != emulator.RoleNone
		}
		want, ok := measured[c.Code]
		if !ok {
			want, ok = specified[c.Code]
		}
		if ok {
			assert.Equal(t, want, uint32(c.Attributes()), c.Name)
		} else {
			assert.False(t, c.Implemented(), "%s is implemented: its TPMA_CC belongs into the table of measured ones", c.Name)
		}
	}
}

// What Commands gives is a copy.
func TestCommandTableIsNotShared(t *testing.T) {
	t.Parallel()
	table := emulator.Commands()
	for i := range table {
		table[i].Name = "changed"
		for j := range table[i].Handles {
			table[i].Handles[j].Role = emulator.RoleDup
		}
	}
	for _, c := range emulator.Commands() {
		assert.NotEqual(t, "changed", c.Name)
		if c.Code == wire.CCPCRExtend {
			assert.Equal(t, emulator.RoleUser, c.Handles[0].Role)
		}
	}
}

func TestPacketsCoverTheTable(t *testing.T) {
	t.Parallel()
	have := map[wire.CC]bool{wire.CCStartup: true}
	for _, p := range packets() {
		have[p.code] = true
	}
	for _, c := range emulator.Commands() {
		assert.Equal(t, c.Implemented(), have[c.Code], c.Name)
	}
}

// GetCapability, the table and dispatch agree on what exists.
func TestCommandsAgree(t *testing.T) {
	t.Parallel()
	commandsAgree(t, et.New(t), false)
	commandsAgree(t, v185(t), true)
}

func commandsAgree(t *testing.T, tpm *et.TPM, newer bool) {
	t.Helper()
	r := wire.NewReader(et.Parameters(tpm.Execute(0, getCapability(wire.CapCommands, 0, 1000)), false), nil)
	require.Zero(t, r.U8(), "moreData")
	r.U32()
	var listed []uint32
	for range r.U32() {
		listed = append(listed, r.U32())
	}
	require.Zero(t, r.Len())
	var want []uint32
	for _, c := range emulator.Commands() {
		answer := send(t, tpm, et.Command(c.Code, nil, nil))
		if c.Implemented() && (newer || c.Since != "185") {
			want = append(want, uint32(c.Attributes()))
			assert.NotEqual(t, wire.RCCommandCode, answer, c.Name)
		} else {
			assert.Equal(t, wire.RCCommandCode, answer, c.Name)
		}
	}
	assert.Equal(t, want, listed)
	n := property(t, tpm, wire.PTTotalCommands)
	assert.EqualValues(t, len(want), n)
	assert.Equal(t, n, property(t, tpm, wire.PTLibraryCommands)+property(t, tpm, wire.PTVendorCommands))
}

func TestCodesOutsideTheTable(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for _, code := range []wire.CC{0, 0x11E, 0x123, 0x15A, 0x1A2, 0xFFFF, 0xFFFFFFFF, wire.CCVendor, wire.CCVendor | wire.CCGetRandom, 1<<30 | wire.CCGetRandom, 1<<16 | wire.CCGetRandom} {
		assert.Equal(t, wire.RCCommandCode, send(t, tpm, et.Command(code, nil, nil)), code)
	}
}

// Package wire has the handles of the same commands.
func TestCommandNames(t *testing.T) {
	for _, c := range emulator.Commands() {
		name, handles, ok := c.Code.Command()
		require.True(t, ok)
		assert.Equal(t, c.Name, name)
		assert.Len(t, c.Handles, handles, c.Name)
		for _, spelled := range []string{name, "TPM2_" + name, "tpm_cc_" + strings.ToLower(name)} {
			code, ok := wire.CommandByName(spelled)
			assert.True(t, ok, spelled)
			assert.Equal(t, c.Code, code, spelled)
		}
		assert.Equal(t, "TPM_CC_"+name, c.Code.String())
	}
	_, ok := wire.CommandByName("PCR_Extended")
	assert.False(t, ok)
	_, _, ok = wire.CC(0x11E).Command()
	assert.False(t, ok)
	assert.Equal(t, "TPM_CC(0x0000011E)", wire.CC(0x11E).String())
}

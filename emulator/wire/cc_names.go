package wire

import (
	"cmp"
	"slices"
	"strings"
)

// A commandRow is what a command's bytes need to be read without a TPM.
type commandRow struct {
	code    CC
	name    string // of Part 3, without TPM2_
	handles int    // in the command's handle area
}

// commandRows are the commands of Part 3 (version 185) in ascending order of code.
var commandRows = [...]commandRow{
	{CCNVUndefineSpaceSpecial, "NV_UndefineSpaceSpecial", 2},
	{CCEvictControl, "EvictControl", 2},
	{CCHierarchyControl, "HierarchyControl", 1},
	{CCNVUndefineSpace, "NV_UndefineSpace", 2},
	{CCChangeEPS, "ChangeEPS", 1},
	{CCChangePPS, "ChangePPS", 1},
	{CCClear, "Clear", 1},
	{CCClearControl, "ClearControl", 1},
	{CCClockSet, "ClockSet", 1},
	{CCHierarchyChangeAuth, "HierarchyChangeAuth", 1},
	{CCNVDefineSpace, "NV_DefineSpace", 1},
	{CCPCRAllocate, "PCR_Allocate", 1},
	{CCPCRSetAuthPolicy, "PCR_SetAuthPolicy", 1},
	{CCPPCommands, "PP_Commands", 1},
	{CCSetPrimaryPolicy, "SetPrimaryPolicy", 1},
	{CCFieldUpgradeStart, "FieldUpgradeStart", 2},
	{CCClockRateAdjust, "ClockRateAdjust", 1},
	{CCCreatePrimary, "CreatePrimary", 1},
	{CCNVGlobalWriteLock, "NV_GlobalWriteLock", 1},
	{CCGetCommandAuditDigest, "GetCommandAuditDigest", 2},
	{CCNVIncrement, "NV_Increment", 2},
	{CCNVSetBits, "NV_SetBits", 2},
	{CCNVExtend, "NV_Extend", 2},
	{CCNVWrite, "NV_Write", 2},
	{CCNVWriteLock, "NV_WriteLock", 2},
	{CCDictionaryAttackLockReset, "DictionaryAttackLockReset", 1},
	{CCDictionaryAttackParameters, "DictionaryAttackParameters", 1},
	{CCNVChangeAuth, "NV_ChangeAuth", 1},
	{CCPCREvent, "PCR_Event", 1},
	{CCPCRReset, "PCR_Reset", 1},
	{CCSequenceComplete, "SequenceComplete", 1},
	{CCSetAlgorithmSet, "SetAlgorithmSet", 1},
	{CCSetCommandCodeAuditStatus, "SetCommandCodeAuditStatus", 1},
	{CCFieldUpgradeData, "FieldUpgradeData", 0},
	{CCIncrementalSelfTest, "IncrementalSelfTest", 0},
	{CCSelfTest, "SelfTest", 0},
	{CCStartup, "Startup", 0},
	{CCShutdown, "Shutdown", 0},
	{CCStirRandom, "StirRandom", 0},
	{CCActivateCredential, "ActivateCredential", 2},
	{CCCertify, "Certify", 2},
	{CCPolicyNV, "PolicyNV", 3},
	{CCCertifyCreation, "CertifyCreation", 2},
	{CCDuplicate, "Duplicate", 2},
	{CCGetTime, "GetTime", 2},
	{CCGetSessionAuditDigest, "GetSessionAuditDigest", 3},
	{CCNVRead, "NV_Read", 2},
	{CCNVReadLock, "NV_ReadLock", 2},
	{CCObjectChangeAuth, "ObjectChangeAuth", 2},
	{CCPolicySecret, "PolicySecret", 2},
	{CCRewrap, "Rewrap", 2},
	{CCCreate, "Create", 1},
	{CCECDHZGen, "ECDH_ZGen", 1},
	{CCHMAC, "HMAC", 1},
	{CCImport, "Import", 1},
	{CCLoad, "Load", 1},
	{CCQuote, "Quote", 1},
	{CCRSADecrypt, "RSA_Decrypt", 1},
	{CCHMACStart, "HMAC_Start", 1},
	{CCSequenceUpdate, "SequenceUpdate", 1},
	{CCSign, "Sign", 1},
	{CCUnseal, "Unseal", 1},
	{CCPolicySigned, "PolicySigned", 2},
	{CCContextLoad, "ContextLoad", 0},
	{CCContextSave, "ContextSave", 1},
	{CCECDHKeyGen, "ECDH_KeyGen", 1},
	{CCEncryptDecrypt, "EncryptDecrypt", 1},
	{CCFlushContext, "FlushContext", 0},
	{CCLoadExternal, "LoadExternal", 0},
	{CCMakeCredential, "MakeCredential", 1},
	{CCNVReadPublic, "NV_ReadPublic", 1},
	{CCPolicyAuthorize, "PolicyAuthorize", 1},
	{CCPolicyAuthValue, "PolicyAuthValue", 1},
	{CCPolicyCommandCode, "PolicyCommandCode", 1},
	{CCPolicyCounterTimer, "PolicyCounterTimer", 1},
	{CCPolicyCpHash, "PolicyCpHash", 1},
	{CCPolicyLocality, "PolicyLocality", 1},
	{CCPolicyNameHash, "PolicyNameHash", 1},
	{CCPolicyOR, "PolicyOR", 1},
	{CCPolicyTicket, "PolicyTicket", 1},
	{CCReadPublic, "ReadPublic", 1},
	{CCRSAEncrypt, "RSA_Encrypt", 1},
	{CCStartAuthSession, "StartAuthSession", 2},
	{CCVerifySignature, "VerifySignature", 1},
	{CCECCParameters, "ECC_Parameters", 0},
	{CCFirmwareRead, "FirmwareRead", 0},
	{CCGetCapability, "GetCapability", 0},
	{CCGetRandom, "GetRandom", 0},
	{CCGetTestResult, "GetTestResult", 0},
	{CCHash, "Hash", 0},
	{CCPCRRead, "PCR_Read", 0},
	{CCPolicyPCR, "PolicyPCR", 1},
	{CCPolicyRestart, "PolicyRestart", 1},
	{CCReadClock, "ReadClock", 0},
	{CCPCRExtend, "PCR_Extend", 1},
	{CCPCRSetAuthValue, "PCR_SetAuthValue", 1},
	{CCNVCertify, "NV_Certify", 3},
	{CCEventSequenceComplete, "EventSequenceComplete", 2},
	{CCHashSequenceStart, "HashSequenceStart", 0},
	{CCPolicyPhysicalPresence, "PolicyPhysicalPresence", 1},
	{CCPolicyDuplicationSelect, "PolicyDuplicationSelect", 1},
	{CCPolicyGetDigest, "PolicyGetDigest", 1},
	{CCTestParms, "TestParms", 0},
	{CCCommit, "Commit", 1},
	{CCPolicyPassword, "PolicyPassword", 1},
	{CCZGen2Phase, "ZGen_2Phase", 1},
	{CCECEphemeral, "EC_Ephemeral", 0},
	{CCPolicyNvWritten, "PolicyNvWritten", 1},
	{CCPolicyTemplate, "PolicyTemplate", 1},
	{CCCreateLoaded, "CreateLoaded", 1},
	{CCPolicyAuthorizeNV, "PolicyAuthorizeNV", 3},
	{CCEncryptDecrypt2, "EncryptDecrypt2", 1},
	{CCACGetCapability, "AC_GetCapability", 1},
	{CCACSend, "AC_Send", 3},
	{CCPolicyACSendSelect, "Policy_AC_SendSelect", 1},
	{CCCertifyX509, "CertifyX509", 2},
	{CCACTSetTimeout, "ACT_SetTimeout", 1},
	{CCECCEncrypt, "ECC_Encrypt", 1},
	{CCECCDecrypt, "ECC_Decrypt", 1},
	{CCPolicyCapability, "PolicyCapability", 1},
	{CCPolicyParameters, "PolicyParameters", 1},
	{CCNVDefineSpace2, "NV_DefineSpace2", 1},
	{CCNVReadPublic2, "NV_ReadPublic2", 1},
	{CCSetCapability, "SetCapability", 1},
	{CCReadOnlyControl, "ReadOnlyControl", 1},
	{CCPolicyTransportSPDM, "PolicyTransportSPDM", 1},
	{CCVerifySequenceComplete, "VerifySequenceComplete", 2},
	{CCSignSequenceComplete, "SignSequenceComplete", 2},
	{CCVerifyDigestSignature, "VerifyDigestSignature", 1},
	{CCSignDigest, "SignDigest", 1},
	{CCEncapsulate, "Encapsulate", 1},
	{CCDecapsulate, "Decapsulate", 1},
	{CCVerifySequenceStart, "VerifySequenceStart", 1},
	{CCSignSequenceStart, "SignSequenceStart", 1},
}

// Command returns the name of a command as Part 3 has it, without "TPM2_", and the
// number of handles in its handle area. ok is false for a code that Part 3 (version 185)
// does not have.
func (c CC) Command() (name string, handles int, ok bool) {
	i, ok := slices.BinarySearchFunc(commandRows[:], c, func(row commandRow, c CC) int { return cmp.Compare(row.code, c) })
	if !ok {
		return "", 0, false
	}
	return commandRows[i].name, commandRows[i].handles, true
}

// CommandByName returns the code of the command with a name as Part 3 has it, with or
// without "TPM2_" or "TPM_CC_", in any case.
func CommandByName(name string) (code CC, ok bool) {
	for _, prefix := range []string{"TPM2_", "TPM_CC_"} {
		if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			name = name[len(prefix):]
			break
		}
	}
	for i := range commandRows {
		if strings.EqualFold(commandRows[i].name, name) {
			return commandRows[i].code, true
		}
	}
	return 0, false
}

package emulator

import (
	"cmp"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The chapters of Part 3.
const (
	chapterAsymmetricPrimitives             = "Asymmetric Primitives"
	chapterAttachedComponents               = "Attached Components"
	chapterAttestationCommands              = "Attestation Commands"
	chapterAuthenticatedCountdownTimer      = "Authenticated Countdown Timer"
	chapterCapabilityCommands               = "Capability Commands"
	chapterClocksandTimers                  = "Clocks and Timers"
	chapterCommandAudit                     = "Command Audit"
	chapterContextManagement                = "Context Management"
	chapterDictionaryAttackFunctions        = "Dictionary Attack Functions"
	chapterDuplicationCommands              = "Duplication Commands"
	chapterEnhancedAuthorizationEACommands  = "Enhanced Authorization (EA) Commands"
	chapterEphemeralECKeys                  = "Ephemeral EC Keys"
	chapterFieldUpgrade                     = "Field Upgrade"
	chapterHashHMACEventSequences           = "Hash/HMAC/Event Sequences"
	chapterHierarchyCommands                = "Hierarchy Commands"
	chapterIntegrityCollectionPCR           = "Integrity Collection (PCR)"
	chapterMiscellaneousManagementFunctions = "Miscellaneous Management Functions"
	chapterNonvolatileStorage               = "Non-volatile Storage"
	chapterObjectCommands                   = "Object Commands"
	chapterRandomNumberGenerator            = "Random Number Generator"
	chapterSessionCommands                  = "Session Commands"
	chapterSigningandSignatureVerification  = "Signing and Signature Verification"
	chapterStartup                          = "Start-up"
	chapterSymmetricPrimitives              = "Symmetric Primitives"
	chapterTesting                          = "Testing"
)

// commandTable is the table of all commands of Part 3 (rev 1.84) in ascending
// order of code. Attributes follow the command tables of Part 3 and the column
// of attributes in Part 3, annex "Command Codes"; a row without action is a
// command that the emulator does not have.
var commandTable = []Command{
	{Code: wire.CCNVUndefineSpaceSpecial, Name: "NV_UndefineSpaceSpecial", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVIndex, RoleAdmin}, {HandlePlatform, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).nvUndefineSpaceSpecial},
	{Code: wire.CCEvictControl, Name: "EvictControl", Chapter: chapterContextManagement, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}, {HandleObject, RoleNone}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).evictControl},
	{Code: wire.CCHierarchyControl, Name: "HierarchyControl", Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleBaseHierarchy, RoleUser}}, NV: true, Extensive: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, Duration: DurationLong, run: (*TPM).hierarchyControl},
	{Code: wire.CCNVUndefineSpace, Name: "NV_UndefineSpace", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}, {HandleNVIndex, RoleNone}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).nvUndefineSpace},
	{Code: wire.CCChangeEPS, Name: "ChangeEPS", Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, Extensive: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).changeEPS},
	{Code: wire.CCChangePPS, Name: "ChangePPS", Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, Extensive: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).changePPS},
	{Code: wire.CCClear, Name: "Clear", Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleClear, RoleUser}}, NV: true, Extensive: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).clear},
	{Code: wire.CCClearControl, Name: "ClearControl", Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleClear, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).clearControl},
	{Code: wire.CCClockSet, Name: "ClockSet", Chapter: chapterClocksandTimers, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).clockSet},
	{Code: wire.CCHierarchyChangeAuth, Name: "HierarchyChangeAuth", Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleHierarchyAuth, RoleUser}}, Decrypt: true, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, Duration: DurationLong, run: (*TPM).hierarchyChangeAuth},
	{Code: wire.CCNVDefineSpace, Name: "NV_DefineSpace", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, Decrypt: true, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).nvDefineSpace},
	{Code: wire.CCPCRAllocate, Name: "PCR_Allocate", Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).pcrAllocate},
	{Code: wire.CCPCRSetAuthPolicy, Name: "PCR_SetAuthPolicy", Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, Decrypt: true, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).pcrSetAuthPolicy},
	{Code: wire.CCPPCommands, Name: "PP_Commands", Chapter: chapterMiscellaneousManagementFunctions, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, Presence: PresenceMust, RefusedInReadOnlyMode: true, run: (*TPM).ppCommands},
	{Code: wire.CCSetPrimaryPolicy, Name: "SetPrimaryPolicy", Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleHierarchyPolicy, RoleUser}}, Decrypt: true, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).setPrimaryPolicy},
	{Code: wire.CCFieldUpgradeStart, Name: "FieldUpgradeStart", Chapter: chapterFieldUpgrade, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleAdmin}, {HandleObject, RoleNone}}, Decrypt: true, Presence: PresenceMay, RefusedInReadOnlyMode: true},
	{Code: wire.CCClockRateAdjust, Name: "ClockRateAdjust", Chapter: chapterClocksandTimers, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).clockRateAdjust},
	{Code: wire.CCCreatePrimary, Name: "CreatePrimary", Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleHierarchy, RoleUser}}, ResponseHandle: true, Decrypt: true, Encrypt: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, Duration: DurationLongLong, run: (*TPM).createPrimary},
	{Code: wire.CCNVGlobalWriteLock, Name: "NV_GlobalWriteLock", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).nvGlobalWriteLock},
	{Code: wire.CCGetCommandAuditDigest, Name: "GetCommandAuditDigest", Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleEndorsement, RoleUser}, {HandleObjectNull, RoleUser}}, Decrypt: true, Encrypt: true, NV: true, run: (*TPM).getCommandAuditDigest},
	{Code: wire.CCNVIncrement, Name: "NV_Increment", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, NV: true, RefusedInReadOnlyMode: true, WritesIndex: true, run: (*TPM).nvIncrement},
	{Code: wire.CCNVSetBits, Name: "NV_SetBits", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, NV: true, WritesIndex: true, run: (*TPM).nvSetBits},
	{Code: wire.CCNVExtend, Name: "NV_Extend", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, Decrypt: true, NV: true, WritesIndex: true, run: (*TPM).nvExtend},
	{Code: wire.CCNVWrite, Name: "NV_Write", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, Decrypt: true, NV: true, WritesIndex: true, run: (*TPM).nvWrite},
	{Code: wire.CCNVWriteLock, Name: "NV_WriteLock", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, NV: true, WritesIndex: true, run: (*TPM).nvWriteLock},
	{Code: wire.CCDictionaryAttackLockReset, Name: "DictionaryAttackLockReset", Chapter: chapterDictionaryAttackFunctions, Since: "1.16",
		Handles: []CommandHandle{{HandleLockout, RoleUser}}, NV: true, run: (*TPM).dictionaryAttackLockReset},
	{Code: wire.CCDictionaryAttackParameters, Name: "DictionaryAttackParameters", Chapter: chapterDictionaryAttackFunctions, Since: "1.16",
		Handles: []CommandHandle{{HandleLockout, RoleUser}}, NV: true, RefusedInReadOnlyMode: true, run: (*TPM).dictionaryAttackParameters},
	{Code: wire.CCNVChangeAuth, Name: "NV_ChangeAuth", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVIndex, RoleAdmin}}, Decrypt: true, NV: true, RefusedInReadOnlyMode: true, run: (*TPM).nvChangeAuth},
	{Code: wire.CCPCREvent, Name: "PCR_Event", Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePCRNull, RoleUser}}, Decrypt: true, NV: true, run: (*TPM).pcrEvent},
	{Code: wire.CCPCRReset, Name: "PCR_Reset", Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePCR, RoleUser}}, NV: true, run: (*TPM).pcrReset},
	{Code: wire.CCSequenceComplete, Name: "SequenceComplete", Chapter: chapterHashHMACEventSequences, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, Flushed: true, Duration: DurationMedium, run: (*TPM).sequenceComplete},
	{Code: wire.CCSetAlgorithmSet, Name: "SetAlgorithmSet", Chapter: chapterMiscellaneousManagementFunctions, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, RefusedInReadOnlyMode: true, run: (*TPM).setAlgorithmSet},
	{Code: wire.CCSetCommandCodeAuditStatus, Name: "SetCommandCodeAuditStatus", Chapter: chapterCommandAudit, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).setCommandCodeAuditStatus},
	{Code: wire.CCFieldUpgradeData, Name: "FieldUpgradeData", Chapter: chapterFieldUpgrade, Since: "1.16",
		Decrypt: true, RefusedInReadOnlyMode: true},
	{Code: wire.CCIncrementalSelfTest, Name: "IncrementalSelfTest", Chapter: chapterTesting, Since: "1.16",
		NV: true, run: (*TPM).incrementalSelfTest},
	{Code: wire.CCSelfTest, Name: "SelfTest", Chapter: chapterTesting, Since: "1.16",
		NV: true, Duration: DurationLong, run: (*TPM).selfTest},
	{Code: wire.CCStartup, Name: "Startup", Chapter: chapterStartup, Since: "1.16",
		Sessions: SessionsNone, NV: true, Duration: DurationMedium, run: (*TPM).startup},
	{Code: wire.CCShutdown, Name: "Shutdown", Chapter: chapterStartup, Since: "1.16",
		NV: true, run: (*TPM).shutdown},
	{Code: wire.CCStirRandom, Name: "StirRandom", Chapter: chapterRandomNumberGenerator, Since: "1.16",
		Decrypt: true, NV: true, run: (*TPM).stirRandom},
	{Code: wire.CCActivateCredential, Name: "ActivateCredential", Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleAdmin}, {HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).activateCredential},
	{Code: wire.CCCertify, Name: "Certify", Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleAdmin}, {HandleObjectNull, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).certify},
	{Code: wire.CCPolicyNV, Name: "PolicyNV", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}, {HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyNV},
	{Code: wire.CCCertifyCreation, Name: "CertifyCreation", Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObjectNull, RoleUser}, {HandleObject, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).certifyCreation},
	{Code: wire.CCDuplicate, Name: "Duplicate", Chapter: chapterDuplicationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleDup}, {HandleObjectNull, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).duplicate},
	{Code: wire.CCGetTime, Name: "GetTime", Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleEndorsement, RoleUser}, {HandleObjectNull, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).getTime},
	{Code: wire.CCGetSessionAuditDigest, Name: "GetSessionAuditDigest", Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleEndorsement, RoleUser}, {HandleObjectNull, RoleUser}, {HandleHMACSession, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).getSessionAuditDigest},
	{Code: wire.CCNVRead, Name: "NV_Read", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, Encrypt: true, Duration: DurationLong, run: (*TPM).nvRead},
	{Code: wire.CCNVReadLock, Name: "NV_ReadLock", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, NV: true, run: (*TPM).nvReadLock},
	{Code: wire.CCObjectChangeAuth, Name: "ObjectChangeAuth", Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleAdmin}, {HandleObject, RoleNone}}, Decrypt: true, Encrypt: true, RefusedInReadOnlyMode: true, run: (*TPM).objectChangeAuth},
	{Code: wire.CCPolicySecret, Name: "PolicySecret", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandleEntity, RoleUser}, {HandlePolicySession, RoleNone}}, Decrypt: true, Encrypt: true, Trial: true, run: (*TPM).policySecret},
	{Code: wire.CCRewrap, Name: "Rewrap", Chapter: chapterDuplicationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObjectNull, RoleUser}, {HandleObjectNull, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).rewrap},
	{Code: wire.CCCreate, Name: "Create", Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, RefusedInReadOnlyMode: true, Duration: DurationLongLong, run: (*TPM).create},
	{Code: wire.CCECDHZGen, Name: "ECDH_ZGen", Chapter: chapterAsymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).ecdhZGen},
	{Code: wire.CCHMAC, Name: "HMAC", Chapter: chapterSymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).mac},
	{Code: wire.CCImport, Name: "Import", Chapter: chapterDuplicationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).importObject},
	{Code: wire.CCLoad, Name: "Load", Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, ResponseHandle: true, Decrypt: true, Encrypt: true, run: (*TPM).load},
	{Code: wire.CCQuote, Name: "Quote", Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObjectNull, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).quote},
	{Code: wire.CCRSADecrypt, Name: "RSA_Decrypt", Chapter: chapterAsymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).rsaDecrypt},
	{Code: wire.CCHMACStart, Name: "HMAC_Start", Chapter: chapterHashHMACEventSequences, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, ResponseHandle: true, Decrypt: true, run: (*TPM).macStart},
	{Code: wire.CCSequenceUpdate, Name: "SequenceUpdate", Chapter: chapterHashHMACEventSequences, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Duration: DurationMedium, run: (*TPM).sequenceUpdate},
	{Code: wire.CCSign, Name: "Sign", Chapter: chapterSigningandSignatureVerification, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, run: (*TPM).sign},
	{Code: wire.CCUnseal, Name: "Unseal", Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Encrypt: true, run: (*TPM).unseal},
	{Code: wire.CCPolicySigned, Name: "PolicySigned", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}, {HandlePolicySession, RoleNone}}, Decrypt: true, Encrypt: true, Trial: true, run: (*TPM).policySigned},
	{Code: wire.CCContextLoad, Name: "ContextLoad", Chapter: chapterContextManagement, Since: "1.16",
		ResponseHandle: true, Sessions: SessionsNone, run: (*TPM).contextLoad},
	{Code: wire.CCContextSave, Name: "ContextSave", Chapter: chapterContextManagement, Since: "1.16",
		Handles: []CommandHandle{{HandleContext, RoleNone}}, Sessions: SessionsNone, run: (*TPM).contextSave},
	{Code: wire.CCECDHKeyGen, Name: "ECDH_KeyGen", Chapter: chapterAsymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Encrypt: true, run: (*TPM).ecdhKeyGen},
	{Code: wire.CCEncryptDecrypt, Name: "EncryptDecrypt", Chapter: chapterSymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Encrypt: true, run: (*TPM).encryptDecrypt},
	{Code: wire.CCFlushContext, Name: "FlushContext", Chapter: chapterContextManagement, Since: "1.16",
		Sessions: SessionsNone, run: (*TPM).flushContext},
	{Code: wire.CCLoadExternal, Name: "LoadExternal", Chapter: chapterObjectCommands, Since: "1.16",
		ResponseHandle: true, Decrypt: true, Encrypt: true, run: (*TPM).loadExternal},
	{Code: wire.CCMakeCredential, Name: "MakeCredential", Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).makeCredential},
	{Code: wire.CCNVReadPublic, Name: "NV_ReadPublic", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVIndex, RoleNone}}, Encrypt: true, run: (*TPM).nvReadPublic},
	{Code: wire.CCPolicyAuthorize, Name: "PolicyAuthorize", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyAuthorize},
	{Code: wire.CCPolicyAuthValue, Name: "PolicyAuthValue", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyAuthValue},
	{Code: wire.CCPolicyCommandCode, Name: "PolicyCommandCode", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyCommandCode},
	{Code: wire.CCPolicyCounterTimer, Name: "PolicyCounterTimer", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyCounterTimer},
	{Code: wire.CCPolicyCpHash, Name: "PolicyCpHash", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyCpHash},
	{Code: wire.CCPolicyLocality, Name: "PolicyLocality", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyLocality},
	{Code: wire.CCPolicyNameHash, Name: "PolicyNameHash", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyNameHash},
	{Code: wire.CCPolicyOR, Name: "PolicyOR", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyOR},
	{Code: wire.CCPolicyTicket, Name: "PolicyTicket", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyTicket},
	{Code: wire.CCReadPublic, Name: "ReadPublic", Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Encrypt: true, run: (*TPM).readPublic},
	{Code: wire.CCRSAEncrypt, Name: "RSA_Encrypt", Chapter: chapterAsymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).rsaEncrypt},
	{Code: wire.CCStartAuthSession, Name: "StartAuthSession", Chapter: chapterSessionCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObjectNull, RoleNone}, {HandleEntityNull, RoleNone}}, ResponseHandle: true, Decrypt: true, Encrypt: true, run: (*TPM).startAuthSession},
	{Code: wire.CCVerifySignature, Name: "VerifySignature", Chapter: chapterSigningandSignatureVerification, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Decrypt: true, Duration: DurationLongLong, run: (*TPM).verifySignature},
	{Code: wire.CCECCParameters, Name: "ECC_Parameters", Chapter: chapterAsymmetricPrimitives, Since: "1.16", run: (*TPM).eccParameters},
	{Code: wire.CCFirmwareRead, Name: "FirmwareRead", Chapter: chapterFieldUpgrade, Since: "1.16",
		Encrypt: true},
	{Code: wire.CCGetCapability, Name: "GetCapability", Chapter: chapterCapabilityCommands, Since: "1.16",
		Duration: DurationMedium, run: (*TPM).getCapability},
	{Code: wire.CCGetRandom, Name: "GetRandom", Chapter: chapterRandomNumberGenerator, Since: "1.16",
		Encrypt: true, Duration: DurationLong, run: (*TPM).getRandom},
	{Code: wire.CCGetTestResult, Name: "GetTestResult", Chapter: chapterTesting, Since: "1.16",
		Encrypt: true, run: (*TPM).getTestResult},
	{Code: wire.CCHash, Name: "Hash", Chapter: chapterSymmetricPrimitives, Since: "1.16",
		Decrypt: true, Encrypt: true, run: (*TPM).hash},
	{Code: wire.CCPCRRead, Name: "PCR_Read", Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		run: (*TPM).pcrRead},
	{Code: wire.CCPolicyPCR, Name: "PolicyPCR", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyPCR},
	{Code: wire.CCPolicyRestart, Name: "PolicyRestart", Chapter: chapterSessionCommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyRestart},
	{Code: wire.CCReadClock, Name: "ReadClock", Chapter: chapterClocksandTimers, Since: "1.16",
		run: (*TPM).readClock},
	{Code: wire.CCPCRExtend, Name: "PCR_Extend", Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePCRNull, RoleUser}}, NV: true, Duration: DurationMedium, run: (*TPM).pcrExtend},
	{Code: wire.CCPCRSetAuthValue, Name: "PCR_SetAuthValue", Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePCR, RoleUser}}, Decrypt: true, RefusedInReadOnlyMode: true, run: (*TPM).pcrSetAuthValue},
	{Code: wire.CCNVCertify, Name: "NV_Certify", Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleObjectNull, RoleUser}, {HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).nvCertify},
	{Code: wire.CCEventSequenceComplete, Name: "EventSequenceComplete", Chapter: chapterHashHMACEventSequences, Since: "1.16",
		Handles: []CommandHandle{{HandlePCRNull, RoleUser}, {HandleObject, RoleUser}}, Decrypt: true, NV: true, Flushed: true, Duration: DurationMedium, run: (*TPM).eventSequenceComplete},
	{Code: wire.CCHashSequenceStart, Name: "HashSequenceStart", Chapter: chapterHashHMACEventSequences, Since: "1.16",
		ResponseHandle: true, Decrypt: true, Duration: DurationMedium, run: (*TPM).hashSequenceStart},
	{Code: wire.CCPolicyPhysicalPresence, Name: "PolicyPhysicalPresence", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyPhysicalPresence},
	{Code: wire.CCPolicyDuplicationSelect, Name: "PolicyDuplicationSelect", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyDuplicationSelect},
	{Code: wire.CCPolicyGetDigest, Name: "PolicyGetDigest", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Encrypt: true, Trial: true, run: (*TPM).policyGetDigest},
	{Code: wire.CCTestParms, Name: "TestParms", Chapter: chapterCapabilityCommands, Since: "1.16",
		run: (*TPM).testParms},
	{Code: wire.CCCommit, Name: "Commit", Chapter: chapterEphemeralECKeys, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).ecCommit},
	{Code: wire.CCPolicyPassword, Name: "PolicyPassword", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyPassword},
	{Code: wire.CCZGen2Phase, Name: "ZGen_2Phase", Chapter: chapterAsymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).zgen2Phase},
	{Code: wire.CCECEphemeral, Name: "EC_Ephemeral", Chapter: chapterEphemeralECKeys, Since: "1.16",
		Encrypt: true, run: (*TPM).ecEphemeral},
	{Code: wire.CCPolicyNvWritten, Name: "PolicyNvWritten", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyNvWritten},
	{Code: wire.CCPolicyTemplate, Name: "PolicyTemplate", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.38",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyTemplate},
	{Code: wire.CCCreateLoaded, Name: "CreateLoaded", Chapter: chapterObjectCommands, Since: "1.38",
		Handles: []CommandHandle{{HandleParent, RoleUser}}, ResponseHandle: true, Decrypt: true, Encrypt: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, Duration: DurationLongLong, run: (*TPM).createLoaded},
	{Code: wire.CCPolicyAuthorizeNV, Name: "PolicyAuthorizeNV", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.38",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}, {HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyAuthorizeNV},
	{Code: wire.CCEncryptDecrypt2, Name: "EncryptDecrypt2", Chapter: chapterSymmetricPrimitives, Since: "1.38",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).encryptDecrypt2},
	{Code: wire.CCACGetCapability, Name: "AC_GetCapability", Chapter: chapterAttachedComponents, Since: "1.59",
		Handles: []CommandHandle{{HandleAC, RoleNone}}},
	{Code: wire.CCACSend, Name: "AC_Send", Chapter: chapterAttachedComponents, Since: "1.59",
		Handles: []CommandHandle{{HandleObject, RoleDup}, {HandleNVAuth, RoleUser}, {HandleAC, RoleNone}}, Decrypt: true, WritesIndex: true},
	{Code: wire.CCPolicyACSendSelect, Name: "Policy_AC_SendSelect", Chapter: chapterAttachedComponents, Since: "1.59",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true},
	{Code: wire.CCCertifyX509, Name: "CertifyX509", Chapter: chapterAttestationCommands, Since: "1.59",
		Handles: []CommandHandle{{HandleObject, RoleAdmin}, {HandleObjectNull, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).certifyX509},
	{Code: wire.CCACTSetTimeout, Name: "ACT_SetTimeout", Chapter: chapterAuthenticatedCountdownTimer, Since: "1.59",
		Handles: []CommandHandle{{HandleACT, RoleUser}}},
	{Code: wire.CCECCEncrypt, Name: "ECC_Encrypt", Chapter: chapterAsymmetricPrimitives, Since: "1.83",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).eccEncrypt},
	{Code: wire.CCECCDecrypt, Name: "ECC_Decrypt", Chapter: chapterAsymmetricPrimitives, Since: "1.83",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).eccDecrypt},
	{Code: wire.CCPolicyCapability, Name: "PolicyCapability", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.83",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyCapability},
	{Code: wire.CCPolicyParameters, Name: "PolicyParameters", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.83",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyParameters},
	{Code: wire.CCNVDefineSpace2, Name: "NV_DefineSpace2", Chapter: chapterNonvolatileStorage, Since: "1.83",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, Decrypt: true, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).nvDefineSpace2},
	{Code: wire.CCNVReadPublic2, Name: "NV_ReadPublic2", Chapter: chapterNonvolatileStorage, Since: "1.83",
		Handles: []CommandHandle{{HandleNVIndex, RoleNone}}, Encrypt: true, run: (*TPM).nvReadPublic2},
	{Code: wire.CCSetCapability, Name: "SetCapability", Chapter: chapterCapabilityCommands, Since: "1.83",
		Handles: []CommandHandle{{HandleHierarchy, RoleUser}}, Decrypt: true, RefusedInReadOnlyMode: true},
	{Code: wire.CCReadOnlyControl, Name: "ReadOnlyControl", Chapter: chapterHierarchyCommands, Since: "1.84",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, Presence: PresenceMay, run: (*TPM).readOnlyControl},
	{Code: wire.CCPolicyTransportSPDM, Name: "PolicyTransportSPDM", Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.84",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyTransportSPDM},
}

// Commands is the command table: all commands of Part 3 up to rev 1.84 in
// ascending order of code, implemented or not.
func Commands() []Command {
	list := slices.Clone(commandTable)
	for i := range list {
		list[i].Handles = slices.Clone(list[i].Handles)
	}
	return list
}

// newCommandSet holds the implemented commands among the given ones, all if the
// list is nil.
func newCommandSet(codes []wire.CC) *commandSet {
	var s commandSet
	for i := range commandTable {
		if c := &commandTable[i]; c.run != nil && (codes == nil || slices.Contains(codes, c.Code)) {
			s.byCode[c.Code-wire.CCNVUndefineSpaceSpecial] = c
			s.count++
		}
	}
	return &s
}

// commandOf is the row of the table with a code, nil for none.
func commandOf(code wire.CC) *Command {
	i, ok := slices.BinarySearchFunc(commandTable, code, func(c Command, code wire.CC) int { return cmp.Compare(c.Code, code) })
	if !ok {
		return nil
	}
	return &commandTable[i]
}

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
var commandTable = named([]Command{
	{Code: wire.CCNVUndefineSpaceSpecial, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVIndex, RoleAdmin}, {HandlePlatform, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).nvUndefineSpaceSpecial},
	{Code: wire.CCEvictControl, Chapter: chapterContextManagement, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}, {HandleObject, RoleNone}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).evictControl},
	{Code: wire.CCHierarchyControl, Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleBaseHierarchy, RoleUser}}, NV: true, Extensive: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, Duration: DurationLong, run: (*TPM).hierarchyControl},
	{Code: wire.CCNVUndefineSpace, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}, {HandleNVIndex, RoleNone}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).nvUndefineSpace},
	{Code: wire.CCChangeEPS, Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, Extensive: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).changeEPS},
	{Code: wire.CCChangePPS, Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, Extensive: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).changePPS},
	{Code: wire.CCClear, Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleClear, RoleUser}}, NV: true, Extensive: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).clear},
	{Code: wire.CCClearControl, Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleClear, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).clearControl},
	{Code: wire.CCClockSet, Chapter: chapterClocksandTimers, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).clockSet},
	{Code: wire.CCHierarchyChangeAuth, Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleHierarchyAuth, RoleUser}}, Decrypt: true, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, Duration: DurationLong, run: (*TPM).hierarchyChangeAuth},
	{Code: wire.CCNVDefineSpace, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, Decrypt: true, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).nvDefineSpace},
	{Code: wire.CCPCRAllocate, Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).pcrAllocate},
	{Code: wire.CCPCRSetAuthPolicy, Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, Decrypt: true, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).pcrSetAuthPolicy},
	{Code: wire.CCPPCommands, Chapter: chapterMiscellaneousManagementFunctions, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, Presence: PresenceMust, RefusedInReadOnlyMode: true, run: (*TPM).ppCommands},
	{Code: wire.CCSetPrimaryPolicy, Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleHierarchyPolicy, RoleUser}}, Decrypt: true, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).setPrimaryPolicy},
	{Code: wire.CCFieldUpgradeStart, Chapter: chapterFieldUpgrade, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleAdmin}, {HandleObject, RoleNone}}, Decrypt: true, Presence: PresenceMay, RefusedInReadOnlyMode: true},
	{Code: wire.CCClockRateAdjust, Chapter: chapterClocksandTimers, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).clockRateAdjust},
	{Code: wire.CCCreatePrimary, Chapter: chapterHierarchyCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleHierarchy, RoleUser}}, ResponseHandle: true, Decrypt: true, Encrypt: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, Duration: DurationLongLong, run: (*TPM).createPrimary},
	{Code: wire.CCNVGlobalWriteLock, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).nvGlobalWriteLock},
	{Code: wire.CCGetCommandAuditDigest, Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleEndorsement, RoleUser}, {HandleObjectNull, RoleUser}}, Decrypt: true, Encrypt: true, NV: true, run: (*TPM).getCommandAuditDigest},
	{Code: wire.CCNVIncrement, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, NV: true, RefusedInReadOnlyMode: true, WritesIndex: true, run: (*TPM).nvIncrement},
	{Code: wire.CCNVSetBits, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, NV: true, WritesIndex: true, run: (*TPM).nvSetBits},
	{Code: wire.CCNVExtend, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, Decrypt: true, NV: true, WritesIndex: true, run: (*TPM).nvExtend},
	{Code: wire.CCNVWrite, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, Decrypt: true, NV: true, WritesIndex: true, run: (*TPM).nvWrite},
	{Code: wire.CCNVWriteLock, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, NV: true, WritesIndex: true, run: (*TPM).nvWriteLock},
	{Code: wire.CCDictionaryAttackLockReset, Chapter: chapterDictionaryAttackFunctions, Since: "1.16",
		Handles: []CommandHandle{{HandleLockout, RoleUser}}, NV: true, run: (*TPM).dictionaryAttackLockReset},
	{Code: wire.CCDictionaryAttackParameters, Chapter: chapterDictionaryAttackFunctions, Since: "1.16",
		Handles: []CommandHandle{{HandleLockout, RoleUser}}, NV: true, RefusedInReadOnlyMode: true, run: (*TPM).dictionaryAttackParameters},
	{Code: wire.CCNVChangeAuth, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVIndex, RoleAdmin}}, Decrypt: true, NV: true, RefusedInReadOnlyMode: true, run: (*TPM).nvChangeAuth},
	{Code: wire.CCPCREvent, Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePCRNull, RoleUser}}, Decrypt: true, NV: true, run: (*TPM).pcrEvent},
	{Code: wire.CCPCRReset, Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePCR, RoleUser}}, NV: true, run: (*TPM).pcrReset},
	{Code: wire.CCSequenceComplete, Chapter: chapterHashHMACEventSequences, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, Flushed: true, Duration: DurationMedium, run: (*TPM).sequenceComplete},
	{Code: wire.CCSetAlgorithmSet, Chapter: chapterMiscellaneousManagementFunctions, Since: "1.16",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, RefusedInReadOnlyMode: true, run: (*TPM).setAlgorithmSet},
	{Code: wire.CCSetCommandCodeAuditStatus, Chapter: chapterCommandAudit, Since: "1.16",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).setCommandCodeAuditStatus},
	{Code: wire.CCFieldUpgradeData, Chapter: chapterFieldUpgrade, Since: "1.16",
		Decrypt: true, RefusedInReadOnlyMode: true},
	{Code: wire.CCIncrementalSelfTest, Chapter: chapterTesting, Since: "1.16",
		NV: true, run: (*TPM).incrementalSelfTest},
	{Code: wire.CCSelfTest, Chapter: chapterTesting, Since: "1.16",
		NV: true, Duration: DurationLong, run: (*TPM).selfTest},
	{Code: wire.CCStartup, Chapter: chapterStartup, Since: "1.16",
		Sessions: SessionsNone, NV: true, Duration: DurationMedium, run: (*TPM).startup},
	{Code: wire.CCShutdown, Chapter: chapterStartup, Since: "1.16",
		NV: true, run: (*TPM).shutdown},
	{Code: wire.CCStirRandom, Chapter: chapterRandomNumberGenerator, Since: "1.16",
		Decrypt: true, NV: true, run: (*TPM).stirRandom},
	{Code: wire.CCActivateCredential, Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleAdmin}, {HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).activateCredential},
	{Code: wire.CCCertify, Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleAdmin}, {HandleObjectNull, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).certify},
	{Code: wire.CCPolicyNV, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}, {HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyNV},
	{Code: wire.CCCertifyCreation, Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObjectNull, RoleUser}, {HandleObject, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).certifyCreation},
	{Code: wire.CCDuplicate, Chapter: chapterDuplicationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleDup}, {HandleObjectNull, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).duplicate},
	{Code: wire.CCGetTime, Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleEndorsement, RoleUser}, {HandleObjectNull, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).getTime},
	{Code: wire.CCGetSessionAuditDigest, Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleEndorsement, RoleUser}, {HandleObjectNull, RoleUser}, {HandleHMACSession, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).getSessionAuditDigest},
	{Code: wire.CCNVRead, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, Encrypt: true, Duration: DurationLong, run: (*TPM).nvRead},
	{Code: wire.CCNVReadLock, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, NV: true, run: (*TPM).nvReadLock},
	{Code: wire.CCObjectChangeAuth, Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleAdmin}, {HandleObject, RoleNone}}, Decrypt: true, Encrypt: true, RefusedInReadOnlyMode: true, run: (*TPM).objectChangeAuth},
	{Code: wire.CCPolicySecret, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandleEntity, RoleUser}, {HandlePolicySession, RoleNone}}, Decrypt: true, Encrypt: true, Trial: true, run: (*TPM).policySecret},
	{Code: wire.CCRewrap, Chapter: chapterDuplicationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObjectNull, RoleUser}, {HandleObjectNull, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).rewrap},
	{Code: wire.CCCreate, Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, RefusedInReadOnlyMode: true, Duration: DurationLongLong, run: (*TPM).create},
	{Code: wire.CCECDHZGen, Chapter: chapterAsymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).ecdhZGen},
	{Code: wire.CCHMAC, Chapter: chapterSymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).mac},
	{Code: wire.CCImport, Chapter: chapterDuplicationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).importObject},
	{Code: wire.CCLoad, Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, ResponseHandle: true, Decrypt: true, Encrypt: true, run: (*TPM).load},
	{Code: wire.CCQuote, Chapter: chapterAttestationCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObjectNull, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).quote},
	{Code: wire.CCRSADecrypt, Chapter: chapterAsymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).rsaDecrypt},
	{Code: wire.CCHMACStart, Chapter: chapterHashHMACEventSequences, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, ResponseHandle: true, Decrypt: true, run: (*TPM).macStart},
	{Code: wire.CCSequenceUpdate, Chapter: chapterHashHMACEventSequences, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Duration: DurationMedium, run: (*TPM).sequenceUpdate},
	{Code: wire.CCSign, Chapter: chapterSigningandSignatureVerification, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, run: (*TPM).sign},
	{Code: wire.CCUnseal, Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Encrypt: true, run: (*TPM).unseal},
	{Code: wire.CCPolicySigned, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}, {HandlePolicySession, RoleNone}}, Decrypt: true, Encrypt: true, Trial: true, run: (*TPM).policySigned},
	{Code: wire.CCContextLoad, Chapter: chapterContextManagement, Since: "1.16",
		ResponseHandle: true, Sessions: SessionsNone, run: (*TPM).contextLoad},
	{Code: wire.CCContextSave, Chapter: chapterContextManagement, Since: "1.16",
		Handles: []CommandHandle{{HandleContext, RoleNone}}, Sessions: SessionsNone, run: (*TPM).contextSave},
	{Code: wire.CCECDHKeyGen, Chapter: chapterAsymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Encrypt: true, run: (*TPM).ecdhKeyGen},
	{Code: wire.CCEncryptDecrypt, Chapter: chapterSymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Encrypt: true, run: (*TPM).encryptDecrypt},
	{Code: wire.CCFlushContext, Chapter: chapterContextManagement, Since: "1.16",
		Sessions: SessionsNone, run: (*TPM).flushContext},
	{Code: wire.CCLoadExternal, Chapter: chapterObjectCommands, Since: "1.16",
		ResponseHandle: true, Decrypt: true, Encrypt: true, run: (*TPM).loadExternal},
	{Code: wire.CCMakeCredential, Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).makeCredential},
	{Code: wire.CCNVReadPublic, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleNVIndex, RoleNone}}, Encrypt: true, run: (*TPM).nvReadPublic},
	{Code: wire.CCPolicyAuthorize, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyAuthorize},
	{Code: wire.CCPolicyAuthValue, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyAuthValue},
	{Code: wire.CCPolicyCommandCode, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyCommandCode},
	{Code: wire.CCPolicyCounterTimer, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyCounterTimer},
	{Code: wire.CCPolicyCpHash, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyCpHash},
	{Code: wire.CCPolicyLocality, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyLocality},
	{Code: wire.CCPolicyNameHash, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyNameHash},
	{Code: wire.CCPolicyOR, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyOR},
	{Code: wire.CCPolicyTicket, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyTicket},
	{Code: wire.CCReadPublic, Chapter: chapterObjectCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Encrypt: true, run: (*TPM).readPublic},
	{Code: wire.CCRSAEncrypt, Chapter: chapterAsymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).rsaEncrypt},
	{Code: wire.CCStartAuthSession, Chapter: chapterSessionCommands, Since: "1.16",
		Handles: []CommandHandle{{HandleObjectNull, RoleNone}, {HandleEntityNull, RoleNone}}, ResponseHandle: true, Decrypt: true, Encrypt: true, run: (*TPM).startAuthSession},
	{Code: wire.CCVerifySignature, Chapter: chapterSigningandSignatureVerification, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Decrypt: true, Duration: DurationLongLong, run: (*TPM).verifySignature},
	{Code: wire.CCECCParameters, Chapter: chapterAsymmetricPrimitives, Since: "1.16", run: (*TPM).eccParameters},
	{Code: wire.CCFirmwareRead, Chapter: chapterFieldUpgrade, Since: "1.16",
		Encrypt: true},
	{Code: wire.CCGetCapability, Chapter: chapterCapabilityCommands, Since: "1.16",
		Duration: DurationMedium, run: (*TPM).getCapability},
	{Code: wire.CCGetRandom, Chapter: chapterRandomNumberGenerator, Since: "1.16",
		Encrypt: true, Duration: DurationLong, run: (*TPM).getRandom},
	{Code: wire.CCGetTestResult, Chapter: chapterTesting, Since: "1.16",
		Encrypt: true, run: (*TPM).getTestResult},
	{Code: wire.CCHash, Chapter: chapterSymmetricPrimitives, Since: "1.16",
		Decrypt: true, Encrypt: true, run: (*TPM).hash},
	{Code: wire.CCPCRRead, Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		run: (*TPM).pcrRead},
	{Code: wire.CCPolicyPCR, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyPCR},
	{Code: wire.CCPolicyRestart, Chapter: chapterSessionCommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyRestart},
	{Code: wire.CCReadClock, Chapter: chapterClocksandTimers, Since: "1.16",
		run: (*TPM).readClock},
	{Code: wire.CCPCRExtend, Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePCRNull, RoleUser}}, NV: true, Duration: DurationMedium, run: (*TPM).pcrExtend},
	{Code: wire.CCPCRSetAuthValue, Chapter: chapterIntegrityCollectionPCR, Since: "1.16",
		Handles: []CommandHandle{{HandlePCR, RoleUser}}, Decrypt: true, RefusedInReadOnlyMode: true, run: (*TPM).pcrSetAuthValue},
	{Code: wire.CCNVCertify, Chapter: chapterNonvolatileStorage, Since: "1.16",
		Handles: []CommandHandle{{HandleObjectNull, RoleUser}, {HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).nvCertify},
	{Code: wire.CCEventSequenceComplete, Chapter: chapterHashHMACEventSequences, Since: "1.16",
		Handles: []CommandHandle{{HandlePCRNull, RoleUser}, {HandleObject, RoleUser}}, Decrypt: true, NV: true, Flushed: true, Duration: DurationMedium, run: (*TPM).eventSequenceComplete},
	{Code: wire.CCHashSequenceStart, Chapter: chapterHashHMACEventSequences, Since: "1.16",
		ResponseHandle: true, Decrypt: true, Duration: DurationMedium, run: (*TPM).hashSequenceStart},
	{Code: wire.CCPolicyPhysicalPresence, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyPhysicalPresence},
	{Code: wire.CCPolicyDuplicationSelect, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyDuplicationSelect},
	{Code: wire.CCPolicyGetDigest, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Encrypt: true, Trial: true, run: (*TPM).policyGetDigest},
	{Code: wire.CCTestParms, Chapter: chapterCapabilityCommands, Since: "1.16",
		run: (*TPM).testParms},
	{Code: wire.CCCommit, Chapter: chapterEphemeralECKeys, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).ecCommit},
	{Code: wire.CCPolicyPassword, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyPassword},
	{Code: wire.CCZGen2Phase, Chapter: chapterAsymmetricPrimitives, Since: "1.16",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).zgen2Phase},
	{Code: wire.CCECEphemeral, Chapter: chapterEphemeralECKeys, Since: "1.16",
		Encrypt: true, run: (*TPM).ecEphemeral},
	{Code: wire.CCPolicyNvWritten, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.16",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyNvWritten},
	{Code: wire.CCPolicyTemplate, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.38",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyTemplate},
	{Code: wire.CCCreateLoaded, Chapter: chapterObjectCommands, Since: "1.38",
		Handles: []CommandHandle{{HandleParent, RoleUser}}, ResponseHandle: true, Decrypt: true, Encrypt: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, Duration: DurationLongLong, run: (*TPM).createLoaded},
	{Code: wire.CCPolicyAuthorizeNV, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.38",
		Handles: []CommandHandle{{HandleNVAuth, RoleUser}, {HandleNVIndex, RoleNone}, {HandlePolicySession, RoleNone}}, Trial: true, run: (*TPM).policyAuthorizeNV},
	{Code: wire.CCEncryptDecrypt2, Chapter: chapterSymmetricPrimitives, Since: "1.38",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).encryptDecrypt2},
	{Code: wire.CCACGetCapability, Chapter: chapterAttachedComponents, Since: "1.59",
		Handles: []CommandHandle{{HandleAC, RoleNone}}},
	{Code: wire.CCACSend, Chapter: chapterAttachedComponents, Since: "1.59",
		Handles: []CommandHandle{{HandleObject, RoleDup}, {HandleNVAuth, RoleUser}, {HandleAC, RoleNone}}, Decrypt: true, WritesIndex: true},
	{Code: wire.CCPolicyACSendSelect, Chapter: chapterAttachedComponents, Since: "1.59",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true},
	{Code: wire.CCCertifyX509, Chapter: chapterAttestationCommands, Since: "1.59",
		Handles: []CommandHandle{{HandleObject, RoleAdmin}, {HandleObjectNull, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).certifyX509},
	{Code: wire.CCACTSetTimeout, Chapter: chapterAuthenticatedCountdownTimer, Since: "1.59",
		Handles: []CommandHandle{{HandleACT, RoleUser}}},
	{Code: wire.CCECCEncrypt, Chapter: chapterAsymmetricPrimitives, Since: "1.83",
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Decrypt: true, Encrypt: true, run: (*TPM).eccEncrypt},
	{Code: wire.CCECCDecrypt, Chapter: chapterAsymmetricPrimitives, Since: "1.83",
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).eccDecrypt},
	{Code: wire.CCPolicyCapability, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.83",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyCapability},
	{Code: wire.CCPolicyParameters, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.83",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyParameters},
	{Code: wire.CCNVDefineSpace2, Chapter: chapterNonvolatileStorage, Since: "1.83",
		Handles: []CommandHandle{{HandleProvision, RoleUser}}, Decrypt: true, NV: true, Presence: PresenceMay, RefusedInReadOnlyMode: true, run: (*TPM).nvDefineSpace2},
	{Code: wire.CCNVReadPublic2, Chapter: chapterNonvolatileStorage, Since: "1.83",
		Handles: []CommandHandle{{HandleNVIndex, RoleNone}}, Encrypt: true, run: (*TPM).nvReadPublic2},
	{Code: wire.CCSetCapability, Chapter: chapterCapabilityCommands, Since: "1.83",
		Handles: []CommandHandle{{HandleHierarchy, RoleUser}}, Decrypt: true, RefusedInReadOnlyMode: true},
	{Code: wire.CCReadOnlyControl, Chapter: chapterHierarchyCommands, Since: "1.84",
		Handles: []CommandHandle{{HandlePlatform, RoleUser}}, NV: true, Presence: PresenceMay, run: (*TPM).readOnlyControl},
	{Code: wire.CCPolicyTransportSPDM, Chapter: chapterEnhancedAuthorizationEACommands, Since: "1.84",
		Handles: []CommandHandle{{HandlePolicySession, RoleNone}}, Decrypt: true, Trial: true, run: (*TPM).policyTransportSPDM},
	{Code: wire.CCVerifySequenceComplete, Chapter: chapterSigningandSignatureVerification, Since: since185,
		Handles: []CommandHandle{{HandleObject, RoleUser}, {HandleObject, RoleNone}}, Flushed: true, run: (*TPM).verifySequenceComplete},
	{Code: wire.CCSignSequenceComplete, Chapter: chapterSigningandSignatureVerification, Since: since185,
		Handles: []CommandHandle{{HandleObject, RoleUser}, {HandleObject, RoleUser}}, Decrypt: true, Flushed: true, run: (*TPM).signSequenceComplete},
	{Code: wire.CCVerifyDigestSignature, Chapter: chapterSigningandSignatureVerification, Since: since185,
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Decrypt: true, run: (*TPM).verifyDigestSignature},
	{Code: wire.CCSignDigest, Chapter: chapterSigningandSignatureVerification, Since: since185,
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, run: (*TPM).signDigestCommand},
	{Code: wire.CCEncapsulate, Chapter: chapterAsymmetricPrimitives, Since: since185,
		Handles: []CommandHandle{{HandleObject, RoleNone}}, Encrypt: true, run: (*TPM).encapsulate},
	{Code: wire.CCDecapsulate, Chapter: chapterAsymmetricPrimitives, Since: since185,
		Handles: []CommandHandle{{HandleObject, RoleUser}}, Decrypt: true, Encrypt: true, run: (*TPM).decapsulate},
	{Code: wire.CCVerifySequenceStart, Chapter: chapterHashHMACEventSequences, Since: since185,
		Handles: []CommandHandle{{HandleObject, RoleNone}}, ResponseHandle: true, Decrypt: true, run: (*TPM).verifySequenceStart},
	{Code: wire.CCSignSequenceStart, Chapter: chapterHashHMACEventSequences, Since: since185,
		Handles: []CommandHandle{{HandleObject, RoleNone}}, ResponseHandle: true, Decrypt: true, run: (*TPM).signSequenceStart},
})

// named gives each row the name that package wire has.
func named(rows []Command) []Command {
	for i := range rows {
		rows[i].Name, _, _ = rows[i].Code.Command()
	}
	return rows
}

// Commands is the command table: all commands of Part 3 up to version 185 in
// ascending order of code, implemented or not.
func Commands() []Command {
	list := slices.Clone(commandTable)
	for i := range list {
		list[i].Handles = slices.Clone(list[i].Handles)
	}
	return list
}

// newCommandSet holds the implemented commands among the given ones.
func newCommandSet(codes []wire.CC) *commandSet {
	var s commandSet
	for i := range commandTable {
		if c := &commandTable[i]; c.run != nil && slices.Contains(codes, c.Code) {
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

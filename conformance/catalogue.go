package conformance

import (
	"fmt"
	"slices"
)

// HandleKind is the kind of handle that a command expects.
type HandleKind uint8

// The kinds of handles in handle areas, coarser than the interface types of
// TPM 2.0 Library Part 2: enough to choose a handle that may be right.
const (
	// Hierarchy is a permanent handle: owner, endorsement, platform, lockout.
	Hierarchy HandleKind = iota
	// PCR is a PCR number.
	PCR
	// Object is a transient or persistent object, a sequence object included.
	Object
	// NVIndex is an NV index.
	NVIndex
	// NVAuth is an NV index or the hierarchy that may stand in for it.
	NVAuth
	// PolicySession is a policy, trial or HMAC session.
	PolicySession
	// Entity is anything that has an authValue.
	Entity
	// Context is anything that has a context to be saved.
	Context
)

// Command describes the command area of one command of TPM 2.0 Library Part 3.
type Command struct {
	Code uint32
	// Name is the name in the specification without "TPM2_".
	Name string
	// Handles are the kinds of the handle area, in order. The first Auths of
	// them need an authorization each.
	Handles []HandleKind
	Auths   int
	// ResponseHandle reports whether the response has a handle.
	ResponseHandle bool
	// Sessionless reports whether the command refuses all sessions.
	Sessionless bool
	// Role is the authorization that the first handle needs; that of the second
	// is always User.
	Role Role
	// Decrypt reports whether the first parameter is a TPM2B, which a session can
	// encrypt, and Encrypt whether the first parameter of the response is one.
	Decrypt, Encrypt bool
}

// Role is the kind of an authorization (TPM 2.0 Library Part 1, section
// "Authorization Roles").
type Role uint8

// The roles.
const (
	User Role = iota
	Admin
	Dup
)

// Commands returns all commands up to library version 185 in ascending order of
// their codes. A TPM reports with TPM2_GetCapability which of them it has.
func Commands() []Command { return slices.Clone(commands[:]) }

// Lookup returns the command with a code.
func Lookup(code uint32) (Command, bool) {
	i, ok := slices.BinarySearchFunc(commands[:], code, func(c Command, code uint32) int {
		return int(int64(c.Code) - int64(code))
	})
	if !ok {
		return Command{}, false
	}
	return commands[i], true
}

// CommandName returns the name of a command, or its code in hexadecimal.
func CommandName(code uint32) string {
	if c, ok := Lookup(code); ok {
		return c.Name
	}
	return fmt.Sprintf("%#x", code)
}

var commands = [...]Command{
	{Code: 0x11f, Name: "NV_UndefineSpaceSpecial", Handles: []HandleKind{NVIndex, Hierarchy}, Auths: 2, Role: Admin},
	{Code: 0x120, Name: "EvictControl", Handles: []HandleKind{Hierarchy, Object}, Auths: 1},
	{Code: 0x121, Name: "HierarchyControl", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x122, Name: "NV_UndefineSpace", Handles: []HandleKind{Hierarchy, NVIndex}, Auths: 1},
	{Code: 0x124, Name: "ChangeEPS", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x125, Name: "ChangePPS", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x126, Name: "Clear", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x127, Name: "ClearControl", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x128, Name: "ClockSet", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x129, Name: "HierarchyChangeAuth", Handles: []HandleKind{Hierarchy}, Auths: 1, Decrypt: true},
	{Code: 0x12a, Name: "NV_DefineSpace", Handles: []HandleKind{Hierarchy}, Auths: 1, Decrypt: true},
	{Code: 0x12b, Name: "PCR_Allocate", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x12c, Name: "PCR_SetAuthPolicy", Handles: []HandleKind{Hierarchy}, Auths: 1, Decrypt: true},
	{Code: 0x12d, Name: "PP_Commands", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x12e, Name: "SetPrimaryPolicy", Handles: []HandleKind{Hierarchy}, Auths: 1, Decrypt: true},
	{Code: 0x12f, Name: "FieldUpgradeStart", Handles: []HandleKind{Hierarchy, Object}, Auths: 1, Role: Admin, Decrypt: true},
	{Code: 0x130, Name: "ClockRateAdjust", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x131, Name: "CreatePrimary", Handles: []HandleKind{Hierarchy}, Auths: 1, ResponseHandle: true, Decrypt: true, Encrypt: true},
	{Code: 0x132, Name: "NV_GlobalWriteLock", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x133, Name: "GetCommandAuditDigest", Handles: []HandleKind{Hierarchy, Object}, Auths: 2, Decrypt: true, Encrypt: true},
	{Code: 0x134, Name: "NV_Increment", Handles: []HandleKind{NVAuth, NVIndex}, Auths: 1},
	{Code: 0x135, Name: "NV_SetBits", Handles: []HandleKind{NVAuth, NVIndex}, Auths: 1},
	{Code: 0x136, Name: "NV_Extend", Handles: []HandleKind{NVAuth, NVIndex}, Auths: 1, Decrypt: true},
	{Code: 0x137, Name: "NV_Write", Handles: []HandleKind{NVAuth, NVIndex}, Auths: 1, Decrypt: true},
	{Code: 0x138, Name: "NV_WriteLock", Handles: []HandleKind{NVAuth, NVIndex}, Auths: 1},
	{Code: 0x139, Name: "DictionaryAttackLockReset", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x13a, Name: "DictionaryAttackParameters", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x13b, Name: "NV_ChangeAuth", Handles: []HandleKind{NVIndex}, Auths: 1, Role: Admin, Decrypt: true},
	{Code: 0x13c, Name: "PCR_Event", Handles: []HandleKind{PCR}, Auths: 1, Decrypt: true},
	{Code: 0x13d, Name: "PCR_Reset", Handles: []HandleKind{PCR}, Auths: 1},
	{Code: 0x13e, Name: "SequenceComplete", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x13f, Name: "SetAlgorithmSet", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x140, Name: "SetCommandCodeAuditStatus", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x141, Name: "FieldUpgradeData", Decrypt: true},
	{Code: 0x142, Name: "IncrementalSelfTest"},
	{Code: 0x143, Name: "SelfTest"},
	{Code: 0x144, Name: "Startup", Sessionless: true},
	{Code: 0x145, Name: "Shutdown"},
	{Code: 0x146, Name: "StirRandom", Decrypt: true},
	{Code: 0x147, Name: "ActivateCredential", Handles: []HandleKind{Object, Object}, Auths: 2, Role: Admin, Decrypt: true, Encrypt: true},
	{Code: 0x148, Name: "Certify", Handles: []HandleKind{Object, Object}, Auths: 2, Role: Admin, Decrypt: true, Encrypt: true},
	{Code: 0x149, Name: "PolicyNV", Handles: []HandleKind{NVAuth, NVIndex, PolicySession}, Auths: 1, Decrypt: true},
	{Code: 0x14a, Name: "CertifyCreation", Handles: []HandleKind{Object, Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x14b, Name: "Duplicate", Handles: []HandleKind{Object, Object}, Auths: 1, Role: Dup, Decrypt: true, Encrypt: true},
	{Code: 0x14c, Name: "GetTime", Handles: []HandleKind{Hierarchy, Object}, Auths: 2, Decrypt: true, Encrypt: true},
	{Code: 0x14d, Name: "GetSessionAuditDigest", Handles: []HandleKind{Hierarchy, Object, PolicySession}, Auths: 2, Decrypt: true, Encrypt: true},
	{Code: 0x14e, Name: "NV_Read", Handles: []HandleKind{NVAuth, NVIndex}, Auths: 1, Encrypt: true},
	{Code: 0x14f, Name: "NV_ReadLock", Handles: []HandleKind{NVAuth, NVIndex}, Auths: 1},
	{Code: 0x150, Name: "ObjectChangeAuth", Handles: []HandleKind{Object, Object}, Auths: 1, Role: Admin, Decrypt: true, Encrypt: true},
	{Code: 0x151, Name: "PolicySecret", Handles: []HandleKind{Entity, PolicySession}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x152, Name: "Rewrap", Handles: []HandleKind{Object, Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x153, Name: "Create", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x154, Name: "ECDH_ZGen", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x155, Name: "HMAC", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x156, Name: "Import", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x157, Name: "Load", Handles: []HandleKind{Object}, Auths: 1, ResponseHandle: true, Decrypt: true, Encrypt: true},
	{Code: 0x158, Name: "Quote", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x159, Name: "RSA_Decrypt", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x15b, Name: "HMAC_Start", Handles: []HandleKind{Object}, Auths: 1, ResponseHandle: true, Decrypt: true},
	{Code: 0x15c, Name: "SequenceUpdate", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true},
	{Code: 0x15d, Name: "Sign", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true},
	{Code: 0x15e, Name: "Unseal", Handles: []HandleKind{Object}, Auths: 1, Encrypt: true},
	{Code: 0x160, Name: "PolicySigned", Handles: []HandleKind{Object, PolicySession}, Decrypt: true, Encrypt: true},
	{Code: 0x161, Name: "ContextLoad", ResponseHandle: true, Sessionless: true},
	{Code: 0x162, Name: "ContextSave", Handles: []HandleKind{Context}, Sessionless: true},
	{Code: 0x163, Name: "ECDH_KeyGen", Handles: []HandleKind{Object}, Encrypt: true},
	{Code: 0x164, Name: "EncryptDecrypt", Handles: []HandleKind{Object}, Auths: 1, Encrypt: true},
	{Code: 0x165, Name: "FlushContext", Sessionless: true},
	{Code: 0x167, Name: "LoadExternal", ResponseHandle: true, Decrypt: true, Encrypt: true},
	{Code: 0x168, Name: "MakeCredential", Handles: []HandleKind{Object}, Decrypt: true, Encrypt: true},
	{Code: 0x169, Name: "NV_ReadPublic", Handles: []HandleKind{NVIndex}, Encrypt: true},
	{Code: 0x16a, Name: "PolicyAuthorize", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x16b, Name: "PolicyAuthValue", Handles: []HandleKind{PolicySession}},
	{Code: 0x16c, Name: "PolicyCommandCode", Handles: []HandleKind{PolicySession}},
	{Code: 0x16d, Name: "PolicyCounterTimer", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x16e, Name: "PolicyCpHash", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x16f, Name: "PolicyLocality", Handles: []HandleKind{PolicySession}},
	{Code: 0x170, Name: "PolicyNameHash", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x171, Name: "PolicyOR", Handles: []HandleKind{PolicySession}},
	{Code: 0x172, Name: "PolicyTicket", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x173, Name: "ReadPublic", Handles: []HandleKind{Object}, Encrypt: true},
	{Code: 0x174, Name: "RSA_Encrypt", Handles: []HandleKind{Object}, Decrypt: true, Encrypt: true},
	{Code: 0x176, Name: "StartAuthSession", Handles: []HandleKind{Object, Entity}, ResponseHandle: true, Decrypt: true, Encrypt: true},
	{Code: 0x177, Name: "VerifySignature", Handles: []HandleKind{Object}, Decrypt: true},
	{Code: 0x178, Name: "ECC_Parameters"},
	{Code: 0x179, Name: "FirmwareRead", Encrypt: true},
	{Code: 0x17a, Name: "GetCapability"},
	{Code: 0x17b, Name: "GetRandom", Encrypt: true},
	{Code: 0x17c, Name: "GetTestResult", Encrypt: true},
	{Code: 0x17d, Name: "Hash", Decrypt: true, Encrypt: true},
	{Code: 0x17e, Name: "PCR_Read"},
	{Code: 0x17f, Name: "PolicyPCR", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x180, Name: "PolicyRestart", Handles: []HandleKind{PolicySession}},
	{Code: 0x181, Name: "ReadClock"},
	{Code: 0x182, Name: "PCR_Extend", Handles: []HandleKind{PCR}, Auths: 1},
	{Code: 0x183, Name: "PCR_SetAuthValue", Handles: []HandleKind{PCR}, Auths: 1, Decrypt: true},
	{Code: 0x184, Name: "NV_Certify", Handles: []HandleKind{Object, NVAuth, NVIndex}, Auths: 2, Decrypt: true, Encrypt: true},
	{Code: 0x185, Name: "EventSequenceComplete", Handles: []HandleKind{PCR, Object}, Auths: 2, Decrypt: true},
	{Code: 0x186, Name: "HashSequenceStart", ResponseHandle: true, Decrypt: true},
	{Code: 0x187, Name: "PolicyPhysicalPresence", Handles: []HandleKind{PolicySession}},
	{Code: 0x188, Name: "PolicyDuplicationSelect", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x189, Name: "PolicyGetDigest", Handles: []HandleKind{PolicySession}, Encrypt: true},
	{Code: 0x18a, Name: "TestParms"},
	{Code: 0x18b, Name: "Commit", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x18c, Name: "PolicyPassword", Handles: []HandleKind{PolicySession}},
	{Code: 0x18d, Name: "ZGen_2Phase", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x18e, Name: "EC_Ephemeral", Encrypt: true},
	{Code: 0x18f, Name: "PolicyNvWritten", Handles: []HandleKind{PolicySession}},
	{Code: 0x190, Name: "PolicyTemplate", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x191, Name: "CreateLoaded", Handles: []HandleKind{Object}, Auths: 1, ResponseHandle: true, Decrypt: true, Encrypt: true},
	{Code: 0x192, Name: "PolicyAuthorizeNV", Handles: []HandleKind{NVAuth, NVIndex, PolicySession}, Auths: 1},
	{Code: 0x193, Name: "EncryptDecrypt2", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x194, Name: "AC_GetCapability", Handles: []HandleKind{Context}},
	{Code: 0x195, Name: "AC_Send", Handles: []HandleKind{Object, NVAuth, Context}, Auths: 2, Role: Dup, Decrypt: true},
	{Code: 0x196, Name: "Policy_AC_SendSelect", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x197, Name: "CertifyX509", Handles: []HandleKind{Object, Object}, Auths: 2, Role: Admin, Decrypt: true, Encrypt: true},
	{Code: 0x198, Name: "ACT_SetTimeout", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x199, Name: "ECC_Encrypt", Handles: []HandleKind{Object}, Decrypt: true, Encrypt: true},
	{Code: 0x19a, Name: "ECC_Decrypt", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x19b, Name: "PolicyCapability", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x19c, Name: "PolicyParameters", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x19d, Name: "NV_DefineSpace2", Handles: []HandleKind{Hierarchy}, Auths: 1, Decrypt: true},
	{Code: 0x19e, Name: "NV_ReadPublic2", Handles: []HandleKind{NVIndex}, Encrypt: true},
	{Code: 0x19f, Name: "SetCapability", Handles: []HandleKind{Hierarchy}, Auths: 1, Decrypt: true},
	{Code: 0x1a0, Name: "ReadOnlyControl", Handles: []HandleKind{Hierarchy}, Auths: 1},
	{Code: 0x1a1, Name: "PolicyTransportSPDM", Handles: []HandleKind{PolicySession}, Decrypt: true},
	{Code: 0x1a3, Name: "VerifySequenceComplete", Handles: []HandleKind{Object, Object}, Auths: 1},
	{Code: 0x1a4, Name: "SignSequenceComplete", Handles: []HandleKind{Object, Object}, Auths: 2, Decrypt: true},
	{Code: 0x1a5, Name: "VerifyDigestSignature", Handles: []HandleKind{Object}, Decrypt: true},
	{Code: 0x1a6, Name: "SignDigest", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true},
	{Code: 0x1a7, Name: "Encapsulate", Handles: []HandleKind{Object}, Encrypt: true},
	{Code: 0x1a8, Name: "Decapsulate", Handles: []HandleKind{Object}, Auths: 1, Decrypt: true, Encrypt: true},
	{Code: 0x1a9, Name: "VerifySequenceStart", Handles: []HandleKind{Object}, ResponseHandle: true, Decrypt: true},
	{Code: 0x1aa, Name: "SignSequenceStart", Handles: []HandleKind{Object}, ResponseHandle: true, Decrypt: true},
}

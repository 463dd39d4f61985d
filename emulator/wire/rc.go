package wire

import (
	"fmt"
	"strings"
)

// RC is a TPM_RC (Part 2, section "TPM_RC (Response Codes)").
//
// A format-one code (bit 7 set) can carry the number of the handle, session or
// parameter it is about; Parameter, Handle and Session add it, Part tells it.
// RC is an error whose text names code and number.
type RC uint32

// Success, and the codes a TPM 1.2 shares.
const (
	RCSuccess RC = 0x000
	RCBadTag  RC = 0x01E // compatible with TPM 1.2: the tag is not known
)

const (
	rcFormatZero RC = 0x100
	rcFormatOne  RC = 0x080
	rcWarning    RC = 0x900
	rcParameter  RC = 0x040
	rcSession    RC = 0x800
	rcNumber     RC = 0xF00
)

// Format-zero errors: no number.
const (
	RCInitialize      = rcFormatZero + 0x000
	RCFailure         = rcFormatZero + 0x001
	RCSequence        = rcFormatZero + 0x003
	RCPrivate         = rcFormatZero + 0x00B
	RCHMAC            = rcFormatZero + 0x019
	RCDisabled        = rcFormatZero + 0x020
	RCExclusive       = rcFormatZero + 0x021
	RCAuthType        = rcFormatZero + 0x024
	RCAuthMissing     = rcFormatZero + 0x025
	RCPolicy          = rcFormatZero + 0x026
	RCPCR             = rcFormatZero + 0x027
	RCPCRChanged      = rcFormatZero + 0x028
	RCUpgrade         = rcFormatZero + 0x02D
	RCTooManyContexts = rcFormatZero + 0x02E
	RCAuthUnavailable = rcFormatZero + 0x02F
	RCReboot          = rcFormatZero + 0x030
	RCUnbalanced      = rcFormatZero + 0x031
	RCCommandSize     = rcFormatZero + 0x042
	RCCommandCode     = rcFormatZero + 0x043
	RCAuthSize        = rcFormatZero + 0x044
	RCAuthContext     = rcFormatZero + 0x045
	RCNVRange         = rcFormatZero + 0x046
	RCNVSize          = rcFormatZero + 0x047
	RCNVLocked        = rcFormatZero + 0x048
	RCNVAuthorization = rcFormatZero + 0x049
	RCNVUninitialized = rcFormatZero + 0x04A
	RCNVSpace         = rcFormatZero + 0x04B
	RCNVDefined       = rcFormatZero + 0x04C
	RCBadContext      = rcFormatZero + 0x050
	RCCPHash          = rcFormatZero + 0x051
	RCParent          = rcFormatZero + 0x052
	RCNeedsTest       = rcFormatZero + 0x053
	RCNoResult        = rcFormatZero + 0x054
	RCSensitive       = rcFormatZero + 0x055
	RCReadOnly        = rcFormatZero + 0x056
)

// Format-one errors: may carry a handle, session or parameter number.
const (
	RCAsymmetric   = rcFormatOne + 0x001
	RCAttributes   = rcFormatOne + 0x002
	RCHash         = rcFormatOne + 0x003
	RCValue        = rcFormatOne + 0x004
	RCHierarchy    = rcFormatOne + 0x005
	RCKeySize      = rcFormatOne + 0x007
	RCMGF          = rcFormatOne + 0x008
	RCMode         = rcFormatOne + 0x009
	RCType         = rcFormatOne + 0x00A
	RCHandle       = rcFormatOne + 0x00B
	RCKDF          = rcFormatOne + 0x00C
	RCRange        = rcFormatOne + 0x00D
	RCAuthFail     = rcFormatOne + 0x00E
	RCNonce        = rcFormatOne + 0x00F
	RCPP           = rcFormatOne + 0x010
	RCScheme       = rcFormatOne + 0x012
	RCSize         = rcFormatOne + 0x015
	RCSymmetric    = rcFormatOne + 0x016
	RCTag          = rcFormatOne + 0x017
	RCSelector     = rcFormatOne + 0x018
	RCInsufficient = rcFormatOne + 0x01A
	RCSignature    = rcFormatOne + 0x01B
	RCKey          = rcFormatOne + 0x01C
	RCPolicyFail   = rcFormatOne + 0x01D
	RCIntegrity    = rcFormatOne + 0x01F
	RCTicket       = rcFormatOne + 0x020
	RCReservedBits = rcFormatOne + 0x021
	RCBadAuth      = rcFormatOne + 0x022
	RCExpired      = rcFormatOne + 0x023
	RCPolicyCC     = rcFormatOne + 0x024
	RCBinding      = rcFormatOne + 0x025
	RCCurve        = rcFormatOne + 0x026
	RCECCPoint     = rcFormatOne + 0x027
	RCFWLimited    = rcFormatOne + 0x028
	RCSVNLimited   = rcFormatOne + 0x029
	RCParms        = rcFormatOne + 0x02A // version 185, like the three after it

	RCExtMu            = rcFormatOne + 0x02B
	RCOneShotSignature = rcFormatOne + 0x02C
	RCSignContextKey   = rcFormatOne + 0x02D

	RCChannel    = rcFormatOne + 0x030
	RCChannelKey = rcFormatOne + 0x031
)

// Format-zero warnings: the command may succeed later, or after a remedy.
const (
	RCContextGap     = rcWarning + 0x001
	RCObjectMemory   = rcWarning + 0x002
	RCSessionMemory  = rcWarning + 0x003
	RCMemory         = rcWarning + 0x004
	RCSessionHandles = rcWarning + 0x005
	RCObjectHandles  = rcWarning + 0x006
	RCLocality       = rcWarning + 0x007
	RCYielded        = rcWarning + 0x008
	RCCanceled       = rcWarning + 0x009
	RCTesting        = rcWarning + 0x00A
	RCReferenceH0    = rcWarning + 0x010 // up to RCReferenceH0+6: the handle is not loaded
	RCReferenceS0    = rcWarning + 0x018 // up to RCReferenceS0+6: the session is not loaded
	RCNVRate         = rcWarning + 0x020
	RCLockout        = rcWarning + 0x021
	RCRetry          = rcWarning + 0x022
	RCNVUnavailable  = rcWarning + 0x023
	RCNotUsed        = rcWarning + 0x07F
)

// numberless says that a number can still be added: a format-one code with
// none of the number bits set.
func (rc RC) numberless() bool { return rc&rcFormatOne != 0 && rc&(rcNumber|rcParameter) == 0 }

// Parameter adds the number of a parameter, 1 to 15, to a format-one code that
// has no number yet. Other codes stay as they are.
func (rc RC) Parameter(n int) RC {
	if !rc.numberless() {
		return rc
	}
	return rc | rcParameter | RC(n)<<8&rcNumber
}

// Handle adds the number of a handle, 1 to 7, as Parameter does.
func (rc RC) Handle(n int) RC {
	if !rc.numberless() {
		return rc
	}
	return rc | RC(n&7)<<8
}

// Session adds the number of a session, 1 to 7, as Parameter does.
func (rc RC) Session(n int) RC {
	if !rc.numberless() {
		return rc
	}
	return rc | rcSession | RC(n&7)<<8
}

// Part is what a numbered response code is about.
type Part uint8

// What a response code can be about.
const (
	PartNone Part = iota
	PartParameter
	PartHandle
	PartSession
)

// String names the part as in an error text.
func (p Part) String() string {
	return [...]string{"none", "parameter", "handle", "session"}[p&3]
}

// Part tells what the code is about and its number, PartNone and 0 for a code
// without number.
func (rc RC) Part() (Part, int) {
	if rc&rcFormatOne == 0 {
		return PartNone, 0
	}
	n := int(rc&rcNumber) >> 8
	switch {
	case rc&rcParameter != 0:
		return PartParameter, n
	case n == 0:
		return PartNone, 0
	case n >= 8:
		return PartSession, n - 8
	}
	return PartHandle, n
}

// Base is the code without its number: what errors are compared with.
func (rc RC) Base() RC {
	if rc&rcFormatOne == 0 {
		return rc
	}
	return rc &^ (rcNumber | rcParameter)
}

// Warning reports whether the code is a warning (TPM_RC_WARN).
func (rc RC) Warning() bool { return rc&rcFormatOne == 0 && rc&rcWarning == rcWarning }

// String gives the name of Part 2, with the number where there is one:
// "TPM_RC_VALUE, parameter 2".
func (rc RC) String() string {
	base := rc.Base()
	name, ok := rcNames[base]
	switch {
	case ok:
	case base >= RCReferenceH0 && base <= RCReferenceH0+6:
		name = fmt.Sprintf("TPM_RC_REFERENCE_H%d", base-RCReferenceH0)
	case base >= RCReferenceS0 && base <= RCReferenceS0+6:
		name = fmt.Sprintf("TPM_RC_REFERENCE_S%d", base-RCReferenceS0)
	default:
		name = "TPM_RC"
	}
	if part, n := rc.Part(); part != PartNone {
		return fmt.Sprintf("%s, %s %d", name, part, n)
	}
	return name
}

// Error is String with the code itself: "TPM_RC_VALUE, parameter 2 (0x2C4)".
func (rc RC) Error() string { return fmt.Sprintf("%s (0x%03X)", rc.String(), uint32(rc)) }

// Is makes errors.Is(err, RCValue) true for a TPM_RC_VALUE with any number.
func (rc RC) Is(target error) bool {
	t, ok := target.(RC)
	return ok && (rc == t || t == t.Base() && rc.Base() == t)
}

// RCByName returns the response code with a name of Part 2, with or without "TPM_RC_",
// in any case. Codes that carry a number have it as 0.
func RCByName(name string) (RC, bool) {
	const prefix = "TPM_RC_"
	if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
		name = name[len(prefix):]
	}
	rc, ok := rcByName[strings.ToUpper(name)]
	return rc, ok
}

// rcByName is rcNames by the names, without "TPM_RC_".
var rcByName = func() map[string]RC {
	byName := make(map[string]RC, len(rcNames))
	for rc, name := range rcNames {
		byName[strings.TrimPrefix(name, "TPM_RC_")] = rc
	}
	return byName
}()

var rcNames = map[RC]string{
	RCSuccess: "TPM_RC_SUCCESS", RCBadTag: "TPM_RC_BAD_TAG",
	RCInitialize: "TPM_RC_INITIALIZE", RCFailure: "TPM_RC_FAILURE", RCSequence: "TPM_RC_SEQUENCE",
	RCPrivate: "TPM_RC_PRIVATE", RCHMAC: "TPM_RC_HMAC", RCDisabled: "TPM_RC_DISABLED",
	RCExclusive: "TPM_RC_EXCLUSIVE", RCAuthType: "TPM_RC_AUTH_TYPE", RCAuthMissing: "TPM_RC_AUTH_MISSING",
	RCPolicy: "TPM_RC_POLICY", RCPCR: "TPM_RC_PCR", RCPCRChanged: "TPM_RC_PCR_CHANGED",
	RCUpgrade: "TPM_RC_UPGRADE", RCTooManyContexts: "TPM_RC_TOO_MANY_CONTEXTS",
	RCAuthUnavailable: "TPM_RC_AUTH_UNAVAILABLE", RCReboot: "TPM_RC_REBOOT", RCUnbalanced: "TPM_RC_UNBALANCED",
	RCCommandSize: "TPM_RC_COMMAND_SIZE", RCCommandCode: "TPM_RC_COMMAND_CODE", RCAuthSize: "TPM_RC_AUTHSIZE",
	RCAuthContext: "TPM_RC_AUTH_CONTEXT", RCNVRange: "TPM_RC_NV_RANGE", RCNVSize: "TPM_RC_NV_SIZE",
	RCNVLocked: "TPM_RC_NV_LOCKED", RCNVAuthorization: "TPM_RC_NV_AUTHORIZATION",
	RCNVUninitialized: "TPM_RC_NV_UNINITIALIZED", RCNVSpace: "TPM_RC_NV_SPACE", RCNVDefined: "TPM_RC_NV_DEFINED",
	RCBadContext: "TPM_RC_BAD_CONTEXT", RCCPHash: "TPM_RC_CPHASH", RCParent: "TPM_RC_PARENT",
	RCNeedsTest: "TPM_RC_NEEDS_TEST", RCNoResult: "TPM_RC_NO_RESULT", RCSensitive: "TPM_RC_SENSITIVE",
	RCReadOnly: "TPM_RC_READ_ONLY", RCAsymmetric: "TPM_RC_ASYMMETRIC", RCAttributes: "TPM_RC_ATTRIBUTES",
	RCHash: "TPM_RC_HASH", RCValue: "TPM_RC_VALUE", RCHierarchy: "TPM_RC_HIERARCHY", RCKeySize: "TPM_RC_KEY_SIZE",
	RCMGF: "TPM_RC_MGF", RCMode: "TPM_RC_MODE", RCType: "TPM_RC_TYPE", RCHandle: "TPM_RC_HANDLE",
	RCKDF: "TPM_RC_KDF", RCRange: "TPM_RC_RANGE", RCAuthFail: "TPM_RC_AUTH_FAIL", RCNonce: "TPM_RC_NONCE",
	RCPP: "TPM_RC_PP", RCScheme: "TPM_RC_SCHEME", RCSize: "TPM_RC_SIZE", RCSymmetric: "TPM_RC_SYMMETRIC",
	RCTag: "TPM_RC_TAG", RCSelector: "TPM_RC_SELECTOR", RCInsufficient: "TPM_RC_INSUFFICIENT",
	RCSignature: "TPM_RC_SIGNATURE", RCKey: "TPM_RC_KEY", RCPolicyFail: "TPM_RC_POLICY_FAIL",
	RCIntegrity: "TPM_RC_INTEGRITY", RCTicket: "TPM_RC_TICKET", RCReservedBits: "TPM_RC_RESERVED_BITS",
	RCBadAuth: "TPM_RC_BAD_AUTH", RCExpired: "TPM_RC_EXPIRED", RCPolicyCC: "TPM_RC_POLICY_CC",
	RCBinding: "TPM_RC_BINDING", RCCurve: "TPM_RC_CURVE", RCECCPoint: "TPM_RC_ECC_POINT",
	RCFWLimited: "TPM_RC_FW_LIMITED", RCSVNLimited: "TPM_RC_SVN_LIMITED", RCParms: "TPM_RC_PARMS", RCExtMu: "TPM_RC_EXT_MU",
	RCOneShotSignature: "TPM_RC_ONE_SHOT_SIGNATURE", RCSignContextKey: "TPM_RC_SIGN_CONTEXT_KEY", RCChannel: "TPM_RC_CHANNEL",
	RCChannelKey: "TPM_RC_CHANNEL_KEY", RCContextGap: "TPM_RC_CONTEXT_GAP", RCObjectMemory: "TPM_RC_OBJECT_MEMORY",
	RCSessionMemory: "TPM_RC_SESSION_MEMORY", RCMemory: "TPM_RC_MEMORY", RCSessionHandles: "TPM_RC_SESSION_HANDLES",
	RCObjectHandles: "TPM_RC_OBJECT_HANDLES", RCLocality: "TPM_RC_LOCALITY", RCYielded: "TPM_RC_YIELDED",
	RCCanceled: "TPM_RC_CANCELED", RCTesting: "TPM_RC_TESTING", RCNVRate: "TPM_RC_NV_RATE",
	RCLockout: "TPM_RC_LOCKOUT", RCRetry: "TPM_RC_RETRY", RCNVUnavailable: "TPM_RC_NV_UNAVAILABLE",
	RCNotUsed: "TPM_RC_NOT_USED",
}

package mssim

import "fmt"

// Code is the first word of a request (TpmTcpProtocol.h of the reference code's
// simulator).
type Code uint32

// Requests on the platform port.
const (
	CmdPowerOn                 Code = 1
	CmdPowerOff                Code = 2
	CmdPresenceOn              Code = 3
	CmdPresenceOff             Code = 4
	CmdCancelOn                Code = 9
	CmdCancelOff               Code = 10
	CmdNVOn                    Code = 11
	CmdNVOff                   Code = 12
	CmdKeyCacheOn              Code = 13
	CmdKeyCacheOff             Code = 14
	CmdReset                   Code = 17
	CmdRestart                 Code = 18
	CmdGetCommandResponseSizes Code = 25
	CmdACTGetSignaled          Code = 26
	CmdTestFailureMode         Code = 30
	CmdSetFWHash               Code = 35
	CmdSetFWSVN                Code = 36
)

// Requests on the command port.
const (
	CmdHashStart            Code = 5
	CmdHashData             Code = 6
	CmdHashEnd              Code = 7
	CmdSendCommand          Code = 8
	CmdRemoteHandshake      Code = 15
	CmdSetAlternativeResult Code = 16
)

// Requests on both ports.
const (
	CmdSessionEnd Code = 20
	CmdStop       Code = 21
)

// String returns the name of the request, without the prefix TPM_ or
// TPM_SIGNAL_ or TPM_REMOTE_ of the header file.
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return fmt.Sprintf("code 0x%X", uint32(c))
}

var codeNames = map[Code]string{
	CmdPowerOn: "POWER_ON", CmdPowerOff: "POWER_OFF",
	CmdPresenceOn: "PHYS_PRES_ON", CmdPresenceOff: "PHYS_PRES_OFF",
	CmdHashStart: "HASH_START", CmdHashData: "HASH_DATA", CmdHashEnd: "HASH_END",
	CmdSendCommand: "SEND_COMMAND",
	CmdCancelOn:    "CANCEL_ON", CmdCancelOff: "CANCEL_OFF",
	CmdNVOn: "NV_ON", CmdNVOff: "NV_OFF",
	CmdKeyCacheOn: "KEY_CACHE_ON", CmdKeyCacheOff: "KEY_CACHE_OFF",
	CmdRemoteHandshake: "REMOTE_HANDSHAKE", CmdSetAlternativeResult: "SET_ALTERNATIVE_RESULT",
	CmdReset: "RESET", CmdRestart: "RESTART",
	CmdSessionEnd: "SESSION_END", CmdStop: "STOP",
	CmdGetCommandResponseSizes: "GET_COMMAND_RESPONSE_SIZES", CmdACTGetSignaled: "ACT_GET_SIGNALED",
	CmdTestFailureMode: "TEST_FAILURE_MODE", CmdSetFWHash: "SET_FW_HASH", CmdSetFWSVN: "SET_FW_SVN",
}

// Endpoint are the flags in the response to REMOTE_HANDSHAKE.
type Endpoint uint32

// The flags that a Server sets.
const (
	PlatformAvailable Endpoint = 0x001 // there is a platform port
	InRawMode         Endpoint = 0x004 // TPM commands go in and out unchanged
	SupportsPP        Endpoint = 0x008 // PHYS_PRES_ON and PHYS_PRES_OFF have an effect
	NoPowerControl    Endpoint = 0x010 // POWER_ON, POWER_OFF and RESET have none
	NoNVControl       Endpoint = 0x040 // nor have NV_ON and NV_OFF
	NoForceFailure    Endpoint = 0x080 // nor has TEST_FAILURE_MODE
	NoHashControl     Endpoint = 0x100 // nor have HASH_START, HASH_DATA and HASH_END
)

const (
	codeSize = 4 // bytes of a code

	// serverVersion is the version of the protocol.
	serverVersion = 1

	// maxLength is the largest length that the reference server takes, in bytes
	// (TcpServer.c: MAX_BUFFER).
	maxLength = 1 << 20

	// maxLocality is the last one below the extended ones, which begin at
	// firstExtended (TPM 2.0 Library Part 2, section "TPMA_LOCALITY").
	maxLocality   = 4
	firstExtended = 32
)

// Acknowledgments.
const (
	ackOK      = 0
	ackRefused = 1
)

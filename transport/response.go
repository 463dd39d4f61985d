package transport

import "encoding/binary"

// HeaderSize is the size in bytes of a command header and of a response
// header: tag (2), size (4), command or response code (4), big-endian.
// TPM 2.0 Library Part 1, section "Command/Response Structure" (rev 1.59).
const HeaderSize = 10

// DefaultMaxCommand is the size in bytes of the command and response buffers
// of a TPM whose Device says nothing else: what libtpms and the kernel
// (drivers/char/tpm/tpm.h: TPM_BUFSIZE) use.
const DefaultMaxCommand = 4096

// Tags of a TPM 2.0 command or response. TPM 2.0 Library Part 2, section
// "TPM_ST (Structure Tags)" (rev 1.59).
const (
	TagNoSessions uint16 = 0x8001
	TagSessions   uint16 = 0x8002
)

// Response codes that a transport answers in a TPM's stead. TPM 2.0 Library
// Part 2, section "TPM_RC (Response Codes)" (rev 1.59).
const (
	RCSuccess      uint32 = 0x000
	RCInsufficient uint32 = 0x09A // TPM_RC_INSUFFICIENT: the command ends too early
	RCFailure      uint32 = 0x101 // TPM_RC_FAILURE: there is no TPM to answer
	RCCommandSize  uint32 = 0x142 // TPM_RC_COMMAND_SIZE: the size field cannot be right
	RCLocality     uint32 = 0x907 // TPM_RC_LOCALITY: there is no such locality
)

// AppendResponse appends a response without parameters: tag TPM_ST_NO_SESSIONS,
// size 10 and the response code.
func AppendResponse(dst []byte, code uint32) []byte {
	dst = binary.BigEndian.AppendUint16(dst, TagNoSessions)
	dst = binary.BigEndian.AppendUint32(dst, HeaderSize)
	return binary.BigEndian.AppendUint32(dst, code)
}

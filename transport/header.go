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

// LargestBuffer is the size in bytes of the largest command and response buffers that
// a TPM has here: those of version 185 of the library, which ML-DSA-87 needs. What
// takes a command before it knows the TPM takes as many, and leaves it to the TPM to
// refuse one that is beyond its own buffer.
const LargestBuffer = 8192

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

// Header is the header of a command or a response.
type Header struct {
	Tag  uint16
	Size uint32 // of all, the header included, in bytes
	Code uint32 // TPM_CC of a command, TPM_RC of a response
}

// ParseHeader reads the header with which b begins. ok is false if b is shorter than
// a header. Nothing else is checked: Size may be any.
func ParseHeader(b []byte) (h Header, ok bool) {
	if len(b) < HeaderSize {
		return Header{}, false
	}
	return Header{
		Tag:  binary.BigEndian.Uint16(b),
		Size: binary.BigEndian.Uint32(b[2:]),
		Code: binary.BigEndian.Uint32(b[6:]),
	}, true
}

// AppendHeader appends a header.
func AppendHeader(dst []byte, h Header) []byte {
	dst = binary.BigEndian.AppendUint16(dst, h.Tag)
	dst = binary.BigEndian.AppendUint32(dst, h.Size)
	return binary.BigEndian.AppendUint32(dst, h.Code)
}

// SetSize makes the size field of the command or response b that of b, which must
// have a header.
func SetSize(b []byte) { binary.BigEndian.PutUint32(b[2:], uint32(len(b))) }

// NewCommand returns a command: a header and what follows it, in pieces.
func NewCommand(tag uint16, code uint32, pieces ...[]byte) []byte {
	command := AppendHeader(make([]byte, 0, 64), Header{Tag: tag, Code: code})
	for _, piece := range pieces {
		command = append(command, piece...)
	}
	SetSize(command)
	return command
}

// CommandCode returns the TPM_CC of a command. ok is false if the command is shorter
// than a header.
func CommandCode(command []byte) (code uint32, ok bool) {
	h, ok := ParseHeader(command)
	return h.Code, ok
}

// ResponseCode returns the TPM_RC of a response, and RCFailure for a response that is
// shorter than a header: there is no TPM that answers so.
func ResponseCode(response []byte) uint32 {
	h, ok := ParseHeader(response)
	if !ok {
		return RCFailure
	}
	return h.Code
}

// AppendResponse appends a response without parameters: tag TPM_ST_NO_SESSIONS,
// size 10 and the response code.
func AppendResponse(dst []byte, code uint32) []byte {
	return AppendHeader(dst, Header{Tag: TagNoSessions, Size: HeaderSize, Code: code})
}

// RCClass is the class of a response code (TPM 2.0 Library Part 2, section "Response
// Code Details", rev 1.59).
type RCClass uint8

const (
	ClassSuccess   RCClass = iota // TPM_RC_SUCCESS
	ClassTPM12                    // bits 7 and 8 are clear: a response code of TPM 1.2
	ClassError                    // format 0: about the command or the TPM
	ClassWarning                  // format 0: the command may succeed at another time
	ClassParameter                // format 1: about a parameter, a session or a handle
	ClassVendor                   // format 0 with codes of the vendor's own
)

// ClassOf returns the class of a response code.
func ClassOf(code uint32) RCClass {
	const format1, version1, vendor, severity = 0x080, 0x100, 0x400, 0x800
	switch {
	case code == RCSuccess:
		return ClassSuccess
	case code&format1 != 0:
		return ClassParameter
	case code&version1 == 0:
		return ClassTPM12
	case code&vendor != 0:
		return ClassVendor
	case code&severity != 0:
		return ClassWarning
	}
	return ClassError
}

// RCBase returns a response code without the number of the parameter, session or
// handle that it is about.
func RCBase(code uint32) uint32 {
	if ClassOf(code) == ClassParameter {
		return code & 0xBF
	}
	return code
}

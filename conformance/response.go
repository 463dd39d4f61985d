package conformance

import (
	"encoding/binary"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// maxSessions is the most sessions a command or response carries.
const maxSessions = 3

// MalformedError is a response that breaks the rules of TPM 2.0 Library
// Part 1, section "Response" (rev 1.59).
type MalformedError struct {
	// Command is the name of the command answered.
	Command string
	// Problem names the field and what is wrong with it.
	Problem string
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed response to %s: %s", e.Command, e.Problem)
}

// Response is a response taken apart. Slices point into the bytes parsed.
type Response struct {
	Tag  uint16
	Code uint32
	// Handle is present, and HasHandle set, if the command has a response handle and
	// succeeded.
	Handle     uint32
	HasHandle  bool
	Parameters []byte
	// Sessions are the response authorizations, without handles.
	Sessions []Session
}

// ParseResponse takes apart the response to the command with the given code.
// It checks tag and size, that an error is nothing but a header, and the
// layout of the authorization area; it does not parse parameters. The error
// is a *MalformedError.
func ParseResponse(code uint32, raw []byte) (Response, error) {
	malformed := func(format string, a ...any) (Response, error) {
		return Response{}, &MalformedError{Command: CommandName(code), Problem: fmt.Sprintf(format, a...)}
	}
	if len(raw) < HeaderSize {
		return malformed("%d bytes are less than a header", len(raw))
	}
	r := Response{Tag: binary.BigEndian.Uint16(raw), Code: binary.BigEndian.Uint32(raw[6:])}
	if size := binary.BigEndian.Uint32(raw[2:]); uint64(size) != uint64(len(raw)) {
		return malformed("size field %d in %d bytes", size, len(raw))
	}
	if r.Code != 0 {
		if len(raw) != HeaderSize || (r.Tag != NoSessions && r.Tag != RSPCommand) {
			return malformed("code %#x with tag %#x and %d bytes", r.Code, r.Tag, len(raw))
		}
		return r, nil
	}
	rest := raw[HeaderSize:]
	if c, ok := Lookup(code); ok && c.ResponseHandle {
		if len(rest) < 4 {
			return malformed("no room for the handle")
		}
		r.Handle, r.HasHandle, rest = binary.BigEndian.Uint32(rest), true, rest[4:]
	}
	switch r.Tag {
	case NoSessions:
		r.Parameters = rest
		return r, nil
	case Sessions:
		if len(rest) < 4 || uint64(binary.BigEndian.Uint32(rest)) > uint64(len(rest)-4) {
			return malformed("parameterSize beyond the end")
		}
		size := int(binary.BigEndian.Uint32(rest))
		r.Parameters = rest[4 : 4+size]
		var ok bool
		if r.Sessions, ok = parseSessions(rest[4+size:]); !ok {
			return malformed("broken authorization area %x", rest[4+size:])
		}
		return r, nil
	}
	return malformed("tag %#x", r.Tag)
}

// parseSessions reads response authorizations: nonce, attributes, hmac.
func parseSessions(b []byte) ([]Session, bool) {
	var sessions []Session
	for len(b) > 0 {
		var (
			s  Session
			ok bool
		)
		if s.Nonce, b, ok = CutSized(b); !ok || len(b) == 0 {
			return nil, false
		}
		s.Attributes, b = b[0], b[1:]
		if s.HMAC, b, ok = CutSized(b); !ok || len(sessions) == maxSessions {
			return nil, false
		}
		sessions = append(sessions, s)
	}
	return sessions, true
}

// CutSized takes a TPM2B off the front of b.
func CutSized(b []byte) (data, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if n > len(b) {
		return nil, nil, false
	}
	return b[2:n], b[n:], true
}

// ResponseCode returns the code of a response, and reports whether it has one.
func ResponseCode(raw []byte) (uint32, bool) {
	if len(raw) < HeaderSize {
		return 0, false
	}
	return binary.BigEndian.Uint32(raw[6:]), true
}

// Describe returns a response code in words, with the handle, session or parameter
// that it is about.
func Describe(code uint32) string {
	if code == 0 {
		return "TPM_RC_SUCCESS"
	}
	return fmt.Sprintf("%#x %s", code, tpm2.TPMRC(code).Error())
}

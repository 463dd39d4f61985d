package faults

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// Where the sessions of commands and responses stand (TPM 2.0 Library Part 1, section
// "Command/Response Structure", rev 1.59).

// field is a part of a command or response: where it begins and how many bytes it has.
type field struct{ at, size int }

func (f field) of(b []byte) []byte { return b[f.at : f.at+f.size : f.at+f.size] }

// sessionFields is a TPMS_AUTH_COMMAND or a TPMS_AUTH_RESPONSE.
type sessionFields struct {
	handle      uint32 // of a command
	nonce, hmac field
}

// scan takes fields from a command or response one after the other. Nothing is wrong
// before a byte is missing, and everything after it.
type scan struct {
	b   []byte
	at  int
	bad bool
}

func (s *scan) skip(n int) {
	if n < 0 || n > len(s.b)-s.at {
		s.bad, s.at = true, len(s.b)
		return
	}
	s.at += n
}

func (s *scan) u16() uint16 {
	from := s.at
	s.skip(2)
	if s.bad {
		return 0
	}
	return binary.BigEndian.Uint16(s.b[from:])
}

func (s *scan) u32() uint32 {
	from := s.at
	s.skip(4)
	if s.bad {
		return 0
	}
	return binary.BigEndian.Uint32(s.b[from:])
}

// sized takes a TPM2B.
func (s *scan) sized() field {
	from := s.at
	s.skip(2)
	if s.bad {
		return field{at: s.at}
	}
	f := field{s.at, int(binary.BigEndian.Uint16(s.b[from:]))}
	s.skip(f.size)
	return f
}

func (s *scan) session() (f sessionFields) {
	f.nonce = s.sized()
	s.skip(1) // sessionAttributes
	f.hmac = s.sized()
	return f
}

// commandSessions returns the sessions of a command and where its parameters begin; ok is
// false if it has none or is not well formed.
func commandSessions(command []byte) (sessions []sessionFields, parameters int, ok bool) {
	h, ok := transport.ParseHeader(command)
	if !ok || h.Tag != transport.TagSessions {
		return nil, 0, false
	}
	_, handles, _ := wire.CC(h.Code).Command()
	s := scan{b: command, at: transport.HeaderSize}
	s.skip(4 * handles)
	size := int64(s.u32())
	end := int64(s.at) + size
	for !s.bad && int64(s.at) < end {
		handle := s.u32()
		f := s.session()
		f.handle = handle
		sessions = append(sessions, f)
	}
	return sessions, s.at, !s.bad && int64(s.at) == end && len(sessions) > 0
}

// responseSessions returns the sessions of the response to a command; none if it has none
// or is not well formed.
func responseSessions(command, response []byte) (sessions []sessionFields) {
	h, ok := transport.ParseHeader(response)
	if !ok || h.Tag != transport.TagSessions || h.Code != transport.RCSuccess {
		return nil
	}
	code, _ := transport.CommandCode(command)
	s := scan{b: response, at: transport.HeaderSize}
	if returnsHandle(wire.CC(code)) {
		s.skip(4)
	}
	size := s.u32()
	s.skip(int(min(size, maxBytes*2)))
	for !s.bad && s.at < len(response) {
		sessions = append(sessions, s.session())
	}
	if s.bad {
		return nil
	}
	return sessions
}

// returnsHandle reports whether the response to a command has a handle (Part 3).
func returnsHandle(code wire.CC) bool {
	switch code {
	case wire.CCCreatePrimary, wire.CCLoad, wire.CCLoadExternal, wire.CCCreateLoaded, wire.CCContextLoad,
		wire.CCStartAuthSession, wire.CCHMACStart, wire.CCHashSequenceStart:
		return true
	}
	return false
}

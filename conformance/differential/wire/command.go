package wire

import (
	"bytes"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/conformance"
)

// ParseCommand splits a command into handles and parameters, which are slices of
// raw. It returns false for an unknown command, and for one that lacks handles.
func ParseCommand(raw []byte) (conformance.Packet, bool) {
	code, ok := conformance.CommandCode(raw)
	command, known := conformance.Lookup(code)
	if !ok || !known {
		return conformance.Packet{}, false
	}
	rest := raw[conformance.HeaderSize:]
	if len(rest) < 4*len(command.Handles) {
		return conformance.Packet{}, false
	}
	p := conformance.Packet{Code: code}
	if len(command.Handles) > 0 {
		p.Handles = make([]uint32, 0, len(command.Handles))
	}
	for range command.Handles {
		p.Handles, rest = append(p.Handles, binary.BigEndian.Uint32(rest)), rest[4:]
	}
	if Number(raw[:2]) == uint32(conformance.Sessions) {
		if len(rest) < 4 || uint64(Number(rest[:4])) > uint64(len(rest)-4) {
			return conformance.Packet{}, false
		}
		rest = rest[4+Number(rest[:4]):]
	}
	p.Parameters = rest
	return p, true
}

// Sessions reads the authorization area of a command. Nonces and HMACs are slices of
// raw.
func Sessions(raw []byte) ([]conformance.Session, bool) {
	sessions, sound := LeadingSessions(raw)
	if !sound {
		return nil, false
	}
	return sessions, true
}

// LeadingSessions is [Sessions] for an area that may be malformed: it returns the
// sessions before the first one that cannot be read.
func LeadingSessions(raw []byte) (sessions []conformance.Session, sound bool) {
	code, ok := conformance.CommandCode(raw)
	command, known := conformance.Lookup(code)
	if !ok || !known || Number(raw[:2]) != uint32(conformance.Sessions) {
		return nil, false
	}
	at := conformance.HeaderSize + 4*len(command.Handles)
	if len(raw) < at+4 || uint64(Number(raw[at:at+4])) > uint64(len(raw)-at-4) {
		return nil, false
	}
	area := raw[at+4 : at+4+int(Number(raw[at:at+4]))]
	for len(area) > 0 {
		if len(area) < 4 {
			return sessions, false
		}
		s := conformance.Session{Handle: binary.BigEndian.Uint32(area)}
		if s.Nonce, area, ok = conformance.CutSized(area[4:]); !ok || len(area) == 0 {
			return sessions, false
		}
		s.Attributes, area = area[0], area[1:]
		if s.HMAC, area, ok = conformance.CutSized(area); !ok {
			return sessions, false
		}
		sessions = append(sessions, s)
	}
	return sessions, true
}

// AfterHeader returns the parameters of a command that has no handles, nil if its
// authorization area is cut.
func AfterHeader(command []byte) []byte {
	rest := command[conformance.HeaderSize:]
	if Number(command[:2]) != uint32(conformance.Sessions) || len(rest) < 4 {
		return rest
	}
	size := uint64(Number(rest[:4]))
	if size > uint64(len(rest)-4) {
		return nil
	}
	return rest[4+size:]
}

// HandleIn returns a handle of the handle area of a command, 0 if there is none. The
// place counts from 0, or from the end if it is negative.
func HandleIn(command []byte, at int) uint32 {
	code, ok := conformance.CommandCode(command)
	known, listed := conformance.Lookup(code)
	if !ok || !listed {
		return 0
	}
	if at < 0 {
		at += len(known.Handles)
	}
	from := conformance.HeaderSize + 4*at
	if at < 0 || at >= len(known.Handles) || len(command) < from+4 {
		return 0
	}
	return binary.BigEndian.Uint32(command[from:])
}

// AuthOf reads the authorization value that the parameters begin with, without the
// zeros at its end, which a TPM drops.
func AuthOf(parameters []byte) []byte {
	value, _, _ := conformance.CutSized(parameters)
	return bytes.Clone(bytes.TrimRight(value, "\x00"))
}

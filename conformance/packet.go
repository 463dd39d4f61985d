package conformance

import (
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"
)

// Structure tags of commands and responses (TPM 2.0 Library Part 2, section
// "TPM_ST").
const (
	NoSessions = uint16(tpm2.TPMSTNoSessions)
	Sessions   = uint16(tpm2.TPMSTSessions)
	// RSPCommand answers a command whose tag is neither of the two.
	RSPCommand = uint16(tpm2.TPMSTRspCommand)
)

// HeaderSize is the size of a command or response header in bytes: tag, size,
// code.
const HeaderSize = 10

// ContinueSession is the attribute that keeps a session after the command; a
// password "session" gives it back set always.
const ContinueSession = 0x01

// Session is one entry of a command's or response's authorization area. In a
// response Handle is not transmitted and stays zero.
type Session struct {
	Handle     uint32
	Nonce      []byte
	Attributes uint8
	HMAC       []byte
}

// Password is the authorization with an authValue in the clear. No attributes
// are set: go-tpm and the Linux kernel set none either.
func Password(auth []byte) Session {
	return Session{Handle: uint32(tpm2.TPMRSPW), HMAC: auth}
}

// Packet is a command before it is laid out. The fields with "Wrong" in their names
// replace right values, to see how a TPM answers.
type Packet struct {
	// Tag 0 stands for the right one: [Sessions] if there are sessions, else
	// [NoSessions].
	Tag        uint16
	Code       uint32
	Handles    []uint32
	Sessions   []Session
	Parameters []byte

	WrongSize     *uint32
	WrongAuthSize *uint32
}

// tag gives the tag to be sent.
func (p *Packet) tag() uint16 {
	switch {
	case p.Tag != 0:
		return p.Tag
	case len(p.Sessions) > 0:
		return Sessions
	}
	return NoSessions
}

// Bytes lays the command out, big-endian. The authorization area is there if
// there are sessions, whatever the tag says, or if the tag asks for one.
func (p *Packet) Bytes() []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 64), p.tag())
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, p.Code)
	for _, h := range p.Handles {
		b = binary.BigEndian.AppendUint32(b, h)
	}
	if len(p.Sessions) > 0 || p.tag() == Sessions {
		b = p.appendSessions(b)
	}
	b = append(b, p.Parameters...)
	size := uint32(len(b))
	if p.WrongSize != nil {
		size = *p.WrongSize
	}
	binary.BigEndian.PutUint32(b[2:], size)
	return b
}

func (p *Packet) appendSessions(b []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	for _, s := range p.Sessions {
		b = binary.BigEndian.AppendUint32(b, s.Handle)
		b = AppendSized(b, s.Nonce)
		b = append(b, s.Attributes)
		b = AppendSized(b, s.HMAC)
	}
	size := uint32(len(b) - at - 4)
	if p.WrongAuthSize != nil {
		size = *p.WrongAuthSize
	}
	binary.BigEndian.PutUint32(b[at:], size)
	return b
}

// AppendSized appends data as a TPM2B: a size of 16 bits and the bytes. Data beyond
// 65,535 bytes is cut off.
func AppendSized(b, data []byte) []byte {
	data = data[:min(len(data), 0xffff)]
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// CommandCode returns the code of a command, and reports whether it has one.
func CommandCode(command []byte) (uint32, bool) {
	if len(command) < HeaderSize {
		return 0, false
	}
	return binary.BigEndian.Uint32(command[6:]), true
}

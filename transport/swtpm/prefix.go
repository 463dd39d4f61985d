package swtpm

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/transport"
)

// The prefix that a data client may put before a command to choose the
// locality, announced by CapSendCommandHeader: code 8, the locality in one
// byte, and the command's size, which the command itself says again. The
// response then stands between its size and a word of zeros. It is
// the TPM_SEND_COMMAND of the TCG simulator's command port, so that its plain
// clients work here too.
const (
	prefixCode = 8
	prefixSize = 9
)

// header is a parsed prefix.
type header struct {
	locality uint8
	size     uint32 // of the command, in bytes
}

// parsePrefix takes a prefix of prefixSize bytes apart.
func parsePrefix(b []byte) header {
	return header{locality: b[4], size: binary.BigEndian.Uint32(b[5:prefixSize])}
}

// prefix takes the prefix of the next command, if there is one.
func (d *data) prefix() (h header, prefixed bool, err error) {
	b, err := d.in.Peek(codeSize)
	if err != nil {
		return h, false, err
	}
	if binary.BigEndian.Uint32(b) != prefixCode {
		return h, false, nil
	}
	b, err = d.in.Peek(prefixSize)
	if err != nil {
		return h, false, err
	}
	h = parsePrefix(b)
	d.in.Skip(prefixSize)
	return h, true, nil
}

// accept applies a prefix to its command, or says which response code the
// command gets instead of being executed. Like swtpm's, the locality is not
// limited by RejectLocality4; what is no locality at all is refused (TPM 2.0
// Library Part 2, section "TPMA_LOCALITY": 5 to 31 do not exist).
func (d *data) accept(h header, command []byte) uint32 {
	switch own, _ := transport.ParseHeader(command); {
	case own.Size != h.size:
		return transport.RCCommandSize
	case h.locality > maxLocality && h.locality < 32:
		return transport.RCLocality
	}
	d.s.locality.Store(uint32(h.locality))
	return transport.RCSuccess
}

// appendPrefixed appends a response in the framing of a prefixed command.
func appendPrefixed(dst, response []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(response)))
	dst = append(dst, response...)
	return append(dst, 0, 0, 0, 0)
}

// ccSetLocality is the vendor command by which the kernel sets the locality of
// a vTPM (include/uapi/linux/vtpm_proxy.h: TPM2_CC_SET_LOCALITY).
const ccSetLocality = 0x20001000

// rcVendorLocality is what swtpm answers to the vendor command for a locality
// that it does not take: TPM_RC_LOCALITY in the wrong format.
const rcVendorLocality = 0x107

// vendorSetLocality executes the vendor command; ours is false for any other.
// Its tag does not matter, its parameter is one byte.
func (s *Server) vendorSetLocality(command []byte) (response []byte, ours bool) {
	if code, _ := transport.CommandCode(command); code != ccSetLocality {
		return nil, false
	}
	code := transport.RCSuccess
	switch {
	case !s.opts.AllowSetLocality:
		code = transport.RCFailure
	case len(command) <= transport.HeaderSize:
		code = transport.RCInsufficient
	case !s.localityAllowed(command[transport.HeaderSize]):
		code = rcVendorLocality
	default:
		s.locality.Store(uint32(command[transport.HeaderSize]))
	}
	return transport.AppendResponse(nil, code), true
}

package mssim

import (
	"encoding/binary"
	"net"

	"github.com/swtpmd/swtpmd/transport/internal/socket"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// Clients of two protocols come to the same ports. Which one a client speaks is known
// before anything is taken from its connection.

// isSwtpm reports whether a connection is for Options.Swtpm. It waits for the client's
// first four octets, and has speaks judge them.
func (s *Server) isSwtpm(conn net.Conn, speaks func(net.Conn, uint32) bool) bool {
	if s.options.Swtpm == nil {
		return false
	}
	var first [codeSize]byte
	n, err := socket.Peek(conn, first[:], s.options.StallTime)
	// What is incomplete is for the loop of the port, which finds the same and ends.
	return err == nil && n == len(first) && speaks(conn, binary.BigEndian.Uint32(first[:]))
}

// maxCode is above all codes of this protocol, and below all that a command may begin
// with: the tags of TPM 2.0 are 0x80…, and that of TPM 1.2 is 0x00C1.
const maxCode = 0xFF

// speaksRaw judges what a client of the command port begins with.
func speaksRaw(_ net.Conn, first uint32) bool { return first > maxCode }

// speaksControl judges what a client of the platform port begins with.
func (s *Server) speaksControl(conn net.Conn, first uint32) bool {
	switch swtpm.Command(first) {
	case swtpm.CmdSetLocality, swtpm.CmdHashStart, swtpm.CmdHashData, swtpm.CmdHashEnd,
		swtpm.CmdGetConfig, swtpm.CmdSetDataFD, swtpm.CmdLockStorage:
		return true
	case swtpm.CmdInit, swtpm.CmdResetTPMEstablished,
		swtpm.CmdGetStateBlob, swtpm.CmdSetStateBlob, swtpm.CmdSetBufferSize, swtpm.CmdGetInfo:
		// swtpm's clients write a request in one piece, so the rest of it has come
		// with its code.
		var more [codeSize + 1]byte
		n, err := socket.Peek(conn, more[:], min(kindTime, s.options.StallTime))
		return err == nil && n == len(more)
	}
	return false
}

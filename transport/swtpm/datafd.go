package swtpm

import (
	"sync"

	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// dataFD is the data channel that came by SET_DATAFD.
type dataFD struct {
	mu   sync.Mutex
	conn socket.Conn // nil: none
}

// attach serves conn as the passed data channel, unless there is one whose
// client still lives. The goroutine of a dead one may not have noticed yet:
// it is asleep in a command, or about to read the end of the stream.
func (s *Server) attach(conn socket.Conn) Result { return s.attachAs(conn, false) }

// attachAs is attach of a channel on which a command may have come already.
func (s *Server) attachAs(conn socket.Conn, asked bool) Result {
	s.dataFD.mu.Lock()
	defer s.dataFD.mu.Unlock()
	if old := s.dataFD.conn; old != nil && !peerClosed(old) {
		_ = conn.Close()
		return IOError
	}
	d := s.newData(conn, true, s.pieceTime())
	d.first = !asked
	if !s.data.Go(conn, func() { defer s.detach(conn); d.serve() }) {
		return IOError
	}
	s.dataFD.conn = conn
	return Success
}

func (s *Server) detach(conn socket.Conn) {
	s.dataFD.mu.Lock()
	defer s.dataFD.mu.Unlock()
	if s.dataFD.conn == conn {
		s.dataFD.conn = nil
	}
}

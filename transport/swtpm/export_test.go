package swtpm

import "time"

// NeverStall has control requests take as long as they like. It must be called
// before the server serves.
func (s *Server) NeverStall() { s.stall = time.Hour }

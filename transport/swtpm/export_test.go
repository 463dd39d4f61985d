package swtpm

import "time"

// NeverStall has control requests take as long as they like. It must be called
// before the first client comes.
func (s *Server) NeverStall() { s.stall = time.Hour }

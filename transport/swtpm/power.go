package swtpm

import "encoding/binary"

// A command may be waiting in the device, held by a fault perhaps, and still
// the requests of this file must get through: they call the device's Power at
// once, which ends such a command.

// init is power-on, or a reset of a TPM that has power. The locality stays as
// it is: QEMU sets it once per virtual machine, not per reset.
func (c *control) init(req *request) Result {
	s := c.s
	flags := binary.BigEndian.Uint32(req.payload)
	s.switching.Lock()
	defer s.switching.Unlock()
	given := s.given
	s.given = givenState{}
	s.event(Event{Kind: EventInit, DeleteVolatile: flags&InitDeleteVolatile != 0, Resumes: len(given.volatile) > 0})
	err := s.initWith(given)
	s.learnMaxCommand()
	return s.result("INIT", err)
}

// stop takes the power; it does nothing for a TPM that has none.
func (c *control) stop(*request) Result {
	s := c.s
	s.switching.Lock()
	defer s.switching.Unlock()
	if s.powered() {
		s.event(Event{Kind: EventStop})
	}
	return s.result("STOP", s.power.PowerOff())
}

// shutdown takes the power; the server ends after the reply.
func (c *control) shutdown(req *request) Result {
	s := c.s
	req.ends = EndedByShutdown
	s.switching.Lock()
	defer s.switching.Unlock()
	s.given = givenState{}
	s.event(Event{Kind: EventShutdown})
	if s.power == nil {
		return Success
	}
	return s.result("SHUTDOWN", s.power.PowerOff())
}

func (s *Server) event(e Event) {
	if s.opts.Events != nil {
		e.Time = s.opts.Now()
		s.opts.Events(e)
	}
}

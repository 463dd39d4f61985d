package swtpm

import (
	"encoding/binary"
	"errors"
)

// A command may be waiting in the device, held by a fault perhaps, and still
// the requests of this file must get through: they call the device's Power at
// once, which ends such a command.

// init is power-on, or a reset of a TPM that has power. The locality stays as
// it is: QEMU sets it once per virtual machine, not per reset.
func (c *control) init(req *request) Result {
	return c.s.result("INIT", c.s.Init(binary.BigEndian.Uint32(req.payload)))
}

// Init is INIT with these flags, for an owner who does not wait for a client to ask: it
// has its Event, and loads stored volatile state. A Device without a switch has power.
func (s *Server) Init(flags uint32) error {
	if s.power == nil {
		return nil
	}
	s.switching.Lock()
	defer s.switching.Unlock()
	given := s.given
	s.given = givenState{}
	remove := flags&InitDeleteVolatile != 0
	var stored []byte
	err := s.lockForInit()
	if err == nil && len(given.volatile) == 0 {
		stored, err = s.storedVolatile()
	}
	if err != nil {
		return errors.Join(err, s.power.PowerOff())
	}
	s.event(Event{Kind: EventInit, DeleteVolatile: remove, Resumes: len(given.volatile)+len(stored) > 0})
	err = s.initWith(given, stored)
	if err == nil && remove {
		err = s.removeVolatile()
	}
	s.learnMaxCommand()
	return err
}

// stop takes the power; it does nothing for a TPM that has none.
func (c *control) stop(*request) Result { return c.s.result("STOP", c.s.Stop()) }

// Stop is STOP, for an owner who does not wait for a client to ask: it has its Event. A
// Device without a switch keeps its power.
func (s *Server) Stop() error {
	if s.power == nil {
		return nil
	}
	s.switching.Lock()
	defer s.switching.Unlock()
	if s.powered() {
		s.event(Event{Kind: EventStop})
	}
	return s.power.PowerOff()
}

// shutdown takes the power; the server, or this connection, ends after the reply.
func (c *control) shutdown(req *request) Result {
	s := c.s
	req.ends, req.last = EndedByShutdown, s.opts.OutlivesShutdown
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

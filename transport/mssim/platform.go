package mssim

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// A command may be waiting in the device, held by a fault perhaps, and still the requests
// of this file must get through: they call the device's Power and Canceler at once, which
// end such a command.

// platform is a connection to the platform port.
type platform struct {
	requests
	s    *Server
	conn socket.Conn
}

// platformTable has the requests of the platform port. SET_FW_HASH and SET_FW_SVN are
// missing: no Device here derives keys from its firmware.
var platformTable = map[Code]row{
	CmdPowerOn:     {signal: (*platform).powerOn},
	CmdPowerOff:    {signal: (*platform).powerOff},
	CmdReset:       {signal: (*platform).reset},
	CmdPresenceOn:  {signal: presence(true)},
	CmdPresenceOff: {signal: presence(false)},
	CmdCancelOn:    {signal: (*platform).cancelOn},
	CmdCancelOff:   {signal: (*platform).cancelOff},
	CmdNVOn:        {signal: nvAvailable(true)},
	CmdNVOff:       {signal: nvAvailable(false)},
	// The TPM has no cache of keys that a client could control, and its Time
	// begins anew with each power-on.
	CmdKeyCacheOn:              {signal: nothing},
	CmdKeyCacheOff:             {signal: nothing},
	CmdRestart:                 {signal: nothing},
	CmdGetCommandResponseSizes: {signal: (*platform).sizes},
	CmdACTGetSignaled:          {payload: 4, signal: (*platform).actSignaled},
	CmdTestFailureMode:         {signal: (*platform).testFailureMode},
	CmdSessionEnd:              {signal: func(*platform, []byte) ([]byte, error) { return nil, errSession }},
	CmdStop:                    {signal: (*platform).stop},
}

// maxPlatform bounds what a client of the platform port may have sent ahead, in bytes.
const maxPlatform = 64

// servePlatform executes the requests of a client until it or the server ends.
func (s *Server) servePlatform(c *connection) {
	if s.isSwtpm(c.accepted, s.speaksControl) {
		if conn, err := c.release(); err == nil {
			s.options.Swtpm.ServeControlConn(conn) // which logs
		}
		return
	}
	conn, err := c.adopt()
	if err != nil {
		s.closed("platform", err)
		return
	}
	p := &platform{requests{"platform", transport.NewFrameReader(conn, maxPlatform, s.options.StallTime)}, s, conn}
	s.closed("platform", p.serve())
}

func (p *platform) serve() error {
	for {
		code, is, payload, err := p.next(platformTable)
		if err != nil {
			return p.refuse(err)
		}
		reply, err := is.signal(p, payload)
		if err == errSession {
			return err
		}
		p.s.log.Debug("platform request", "request", code.String(), "failed", err != nil)
		ack := uint32(ackOK)
		if err != nil {
			p.s.log.Warn("the TPM refused a signal", "request", code.String(), "cause", err)
			reply, ack = nil, ackRefused
		}
		if _, err := p.conn.Write(binary.BigEndian.AppendUint32(reply, ack)); err != nil {
			return err
		}
		if err := p.finish(); err != nil {
			return err
		}
	}
}

// refuse answers a request that there is none of, as the reference server does before it
// closes the connection.
func (p *platform) refuse(err error) error {
	if _, ok := err.(*RequestError); ok {
		_, _ = p.conn.Write(binary.BigEndian.AppendUint32(nil, ackRefused))
	}
	return err
}

func nothing(*platform, []byte) ([]byte, error) { return nil, nil }

// powerOn is POWER_ON. A TPM that has power keeps it as it is: each client of tcti-mssim
// sends it.
func (p *platform) powerOn([]byte) ([]byte, error) {
	return nil, p.s.switchPower(func(on bool) (EventKind, func() error) {
		if on {
			return 0, nil
		}
		return EventPowerOn, p.s.power.Init
	})
}

// powerOff is POWER_OFF, which has no effect without power.
func (p *platform) powerOff([]byte) ([]byte, error) {
	return nil, p.s.switchPower(func(on bool) (EventKind, func() error) {
		if !on {
			return 0, nil
		}
		return EventPowerOff, p.s.power.PowerOff
	})
}

// reset is RESET, which has no effect without power.
func (p *platform) reset([]byte) ([]byte, error) {
	return nil, p.s.switchPower(func(on bool) (EventKind, func() error) {
		if !on {
			return 0, nil
		}
		return EventReset, p.s.power.Init
	})
}

// switchPower changes the power as choose says, to which it tells whether there is any.
// The cancel signal ends with each change, as in the reference code (_plat__Signal_Reset).
func (s *Server) switchPower(choose func(on bool) (EventKind, func() error)) error {
	if s.power == nil {
		return nil
	}
	s.switching.Lock()
	defer s.switching.Unlock()
	kind, change := choose(s.power.Powered())
	if change == nil {
		return nil
	}
	s.setCancel(false)
	if s.options.Events != nil {
		s.options.Events(Event{Kind: kind, Time: s.options.Now()})
	}
	return change()
}

func presence(asserted bool) func(*platform, []byte) ([]byte, error) {
	return func(p *platform, _ []byte) ([]byte, error) {
		if d, ok := transport.As[transport.Presence](p.s.device); ok {
			d.SetPresence(asserted)
		}
		return nil, nil
	}
}

// nvAvailable is NV_ON or NV_OFF, which have no effect without power.
func nvAvailable(available bool) func(*platform, []byte) ([]byte, error) {
	return func(p *platform, _ []byte) ([]byte, error) {
		if d, ok := transport.As[transport.NVAvailability](p.s.device); ok && p.s.powered() {
			d.SetNVAvailable(available)
		}
		return nil, nil
	}
}

func (p *platform) cancelOn([]byte) ([]byte, error) {
	p.s.setCancel(true)
	return nil, nil
}

func (p *platform) cancelOff([]byte) ([]byte, error) {
	p.s.setCancel(false)
	return nil, nil
}

// setCancel asserts the cancel signal or takes it back. Of a Device without one, the
// command in execution is canceled.
func (s *Server) setCancel(asserted bool) {
	if s.canceling.Swap(asserted) == asserted && !asserted {
		return
	}
	if d, ok := transport.As[transport.CancelSignal](s.device); ok {
		d.SetCancel(asserted)
		return
	}
	if d, ok := transport.As[transport.Canceler](s.device); ok && asserted {
		d.Cancel()
	}
}

// testFailureMode is TEST_FAILURE_MODE: the next self-test fails.
func (p *platform) testFailureMode([]byte) ([]byte, error) {
	if d, ok := transport.As[transport.FailureTest](p.s.device); ok {
		d.FailNextSelfTest()
	}
	return nil, nil
}

// actSignaled is ACT_GET_SIGNALED. A TPM without authenticated countdown timers has
// signaled none.
func (p *platform) actSignaled([]byte) ([]byte, error) { return make([]byte, 4), nil }

// stop is STOP, which has no acknowledgment.
func (p *platform) stop([]byte) ([]byte, error) {
	p.s.end(EndedByStop)
	return nil, errSession
}

// sizes is GET_COMMAND_RESPONSE_SIZES: the largest command and the largest response since
// it was asked last, each as its size, in the byte order of this machine, and its code,
// big-endian.
func (p *platform) sizes([]byte) ([]byte, error) {
	command, response := p.s.largest.take()
	reply := binary.BigEndian.AppendUint32(nil, 16)
	for _, m := range []message{command, response} {
		reply = binary.NativeEndian.AppendUint32(reply, m.size)
		reply = binary.BigEndian.AppendUint32(reply, m.code)
	}
	return reply, nil
}

// message is a command or response: its bytes, and its command code or response code.
type message struct{ size, code uint32 }

// largest are the largest command and response.
type largest struct {
	// size of the command and of the response, for a look without the lock
	command, response atomic.Uint32
	mu                sync.Mutex
	most              [2]message
}

// note takes a command and its response into account.
func (l *largest) note(command, response []byte) {
	if uint32(len(command)) <= l.command.Load() && uint32(len(response)) <= l.response.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, m := range [][]byte{command, response} {
		if h, ok := transport.ParseHeader(m); ok && uint32(len(m)) > l.most[i].size {
			l.most[i] = message{uint32(len(m)), h.Code}
		}
	}
	l.command.Store(l.most[0].size)
	l.response.Store(l.most[1].size)
}

// take returns both and forgets them.
func (l *largest) take() (command, response message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	command, response = l.most[0], l.most[1]
	l.most = [2]message{}
	l.command.Store(0)
	l.response.Store(0)
	return command, response
}

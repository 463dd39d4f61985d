package swtpm

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/transport"
)

// maxLocality is the highest locality that requests can set.
const maxLocality = 4

func (c *control) getCapability(req *request) Result {
	req.reply = binary.BigEndian.AppendUint32(nil, uint32(c.s.caps))
	return Success
}

func (c *control) setLocality(req *request) Result {
	locality := req.payload[0]
	if !c.s.localityAllowed(locality) {
		return BadLocality
	}
	c.s.locality.Store(uint32(locality))
	return Success
}

// localityAllowed reports whether a client may set the locality.
func (s *Server) localityAllowed(locality uint8) bool {
	return locality < maxLocality || locality == maxLocality && !s.opts.RejectLocality4
}

func (c *control) getTPMEstablished(req *request) Result {
	e, _ := transport.As[transport.Established](c.s.device)
	req.reply = make([]byte, 4) // the bit and three bytes of padding
	if e.TPMEstablished() {
		req.reply[0] = 1
	}
	return Success
}

// resetTPMEstablished takes the locality from the request; it does not become
// the TPM's.
func (c *control) resetTPMEstablished(req *request) Result {
	locality := req.payload[0]
	if locality != 3 && locality != 4 {
		return BadLocality
	}
	e, _ := transport.As[transport.Established](c.s.device)
	return c.s.result("RESET_TPMESTABLISHED", e.ResetTPMEstablished(locality))
}

func (c *control) hashStart(*request) Result {
	h, _ := transport.As[transport.HashSequence](c.s.device)
	return c.s.result("HASH_START", h.HashStart())
}

func (c *control) hashData(req *request) Result {
	h, _ := transport.As[transport.HashSequence](c.s.device)
	return c.s.result("HASH_DATA", req.data(h.HashData))
}

func (c *control) hashEnd(*request) Result {
	h, _ := transport.As[transport.HashSequence](c.s.device)
	return c.s.result("HASH_END", h.HashEnd())
}

func (c *control) cancel(*request) Result {
	cancel, _ := transport.As[transport.Canceler](c.s.device)
	cancel.Cancel()
	return Success
}

// setBufferSize sets the buffer size of a stopped TPM, and answers what is in
// force and the limits. The size 0 only asks.
func (c *control) setBufferSize(req *request) Result {
	b, _ := transport.As[transport.BufferSize](c.s.device)
	wanted := binary.BigEndian.Uint32(req.payload)
	size, least, most := b.BufferSize()
	least = max(least, min(most, releases[c.s.opts.Version].leastBuffer))
	if wanted != 0 {
		c.s.switching.Lock()
		defer c.s.switching.Unlock()
		if c.s.powered() {
			return BadOrdinal
		}
		var err error
		if size, err = b.SetBufferSize(max(wanted, least)); err != nil {
			return c.s.result("SET_BUFFERSIZE", err)
		}
	}
	for _, n := range []uint32{size, least, most} {
		req.reply = binary.BigEndian.AppendUint32(req.reply, n)
	}
	return Success
}

// result turns what the device said into a reply.
func (s *Server) result(request string, err error) Result {
	if err == nil {
		return Success
	}
	s.log.Warn("the TPM refused a control request", "request", request, "cause", err)
	return Fail
}

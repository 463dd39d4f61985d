package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// Exchange is a command of a capture and its response.
type Exchange struct {
	Time     time.Time // of the command's first byte
	Locality uint8
	Command  []byte
	// Response is nil if the capture has none.
	Response []byte
	// Own is set if a Recorder's program has sent the command for itself.
	Own bool
	// Synthetic is set if the response is not the TPM's: a fault, or the server of a
	// TPM that did not answer, has made it.
	Synthetic bool
}

// Bounds of what is kept of connections.
const (
	// mostConnections is the most connections to a TPM that are open at a time.
	mostConnections = 1 << 10
	// mostWaiting is the most commands that wait for responses on a connection.
	mostWaiting = 1 << 6
	// mostFrame is the largest command or response, in bytes.
	mostFrame = 1 << 16
)

// Reader reads the exchanges of a capture: of a Recorder, of swtpm's --pcap, of
// tcti-pcap, or of the network. It looks at connections to port 2321, which carry TPM
// commands alone or in the framing of the Microsoft simulator.
type Reader struct {
	blocks  *blockReader
	section int
	open    map[flow]*conversation // by the client's direction
	opened  int
	ready   []Exchange
	ended   bool
	lost    int
}

// NewReader returns a Reader.
func NewReader(in io.Reader) *Reader {
	return &Reader{blocks: newBlockReader(in), open: map[flow]*conversation{}}
}

// Lost returns how often bytes were missing so far, and with them perhaps commands.
func (r *Reader) Lost() int { return r.lost }

// Next returns the next exchange, in the order of responses: that in which the TPM has
// executed the commands. A command without response comes where its connection ends.
// The error is io.EOF at the end, and a *FormatError for a file that is no capture.
func (r *Reader) Next() (*Exchange, error) {
	for len(r.ready) == 0 {
		if r.ended {
			return nil, io.EOF
		}
		p, err := r.blocks.packet()
		switch {
		case errors.Is(err, io.EOF):
			r.ended = true
			r.endAll()
		case err != nil:
			return nil, err
		default:
			if err := r.take(p); err != nil {
				return nil, err
			}
		}
	}
	e := r.ready[0]
	r.ready = r.ready[1:]
	return &e, nil
}

// endAll ends the connections of a section, in the order in which their commands came.
func (r *Reader) endAll() {
	left := slices.Collect(maps.Values(r.open))
	slices.SortFunc(left, func(a, b *conversation) int { return a.number - b.number })
	for _, c := range left {
		r.end(c)
	}
	clear(r.open)
}

// end gives out what a connection has left.
func (r *Reader) end(c *conversation) {
	r.ready = append(r.ready, c.waiting...)
	c.waiting = nil
	if len(c.toTPM.bytes) > 0 {
		r.lost++
	}
}

// take adds a packet to its connection.
func (r *Reader) take(p *packet) error {
	if p.section != r.section {
		r.endAll()
		r.section = p.section
	}
	t, ok := parse(p.link, p.data)
	if !ok {
		return nil
	}
	key, fromClient := t.flow, true
	if t.flow.fromPort == tpmPort && t.flow.toPort != tpmPort {
		key, fromClient = t.flow.reverse(), false
	} else if t.flow.toPort != tpmPort {
		return nil
	}
	c := r.open[key]
	if c != nil && t.flags&flagSYN != 0 && fromClient {
		r.end(c) // the port is used again
		c = nil
	}
	if c == nil {
		if len(t.payload) == 0 {
			return nil
		}
		if len(r.open) == mostConnections {
			return &FormatError{Offset: r.blocks.offset, Reason: fmt.Sprintf("more than %d connections to port %d are open", mostConnections, tpmPort)}
		}
		c = &conversation{number: r.opened}
		r.opened++
		r.open[key] = c
	}
	r.lost += c.take(fromClient, &t, p)
	r.ready = append(r.ready, c.done...)
	c.done = c.done[:0]
	if t.flags&(flagRST|flagFIN) != 0 && fromClient {
		r.end(c)
		delete(r.open, key)
	}
	return nil
}

// conversation is a connection to a TPM.
type conversation struct {
	number        int
	toTPM, toUser stream
	// framed is set for the framing of the Microsoft simulator, and handshake while
	// one is not answered.
	framed, handshake bool
	// waiting are commands without response yet, done those with one.
	waiting, done []Exchange
}

// stream is what one side has sent and was not taken apart yet.
type stream struct {
	next  uint32 // the sequence number that is expected
	begun bool
	bytes []byte
}

// add appends a segment, as far as it is new, and reports whether bytes are missing
// before it: what was begun is then thrown away.
func (s *stream) add(t *parsed) (missing bool) {
	ahead := int32(t.seq - s.next)
	payload := t.payload
	switch {
	case !s.begun:
	case ahead > 0:
		missing = true
		s.bytes = nil
	case ahead < 0 && int(-ahead) >= len(payload):
		return false // sent again
	case ahead < 0:
		payload = payload[-ahead:]
	}
	s.begun = true
	s.next = t.seq + uint32(len(t.payload))
	s.bytes = append(s.bytes, payload...)
	return missing
}

// take adds a segment and takes apart what is whole. It returns how often bytes are
// missing.
func (c *conversation) take(fromClient bool, t *parsed, p *packet) (lost int) {
	if len(t.payload) == 0 {
		return 0
	}
	s := &c.toUser
	if fromClient {
		s = &c.toTPM
	}
	if s.add(t) {
		lost++
		c.forget() // nobody knows to which command the next response belongs
	}
	for {
		m, taken, wrong := c.frame(fromClient, s.bytes)
		switch {
		case wrong:
			s.bytes = nil
			return lost + 1
		case taken == 0:
			return lost
		case m != nil:
			c.message(fromClient, *m, p)
		}
		if s.bytes = s.bytes[taken:]; len(s.bytes) == 0 {
			s.bytes = nil
		}
	}
}

// forget gives up the responses to the commands that wait.
func (c *conversation) forget() {
	c.done = append(c.done, c.waiting...)
	c.waiting = nil
}

// message is a whole command or response.
type message struct {
	locality uint8
	bytes    []byte
}

// message pairs a response with the oldest command that waits.
func (c *conversation) message(fromClient bool, m message, p *packet) {
	if fromClient {
		e := Exchange{Time: p.time, Locality: m.locality, Command: bytes.Clone(m.bytes)}
		e.readComment(p.comment)
		if len(c.waiting) == mostWaiting {
			c.forget()
		}
		c.waiting = append(c.waiting, e)
		return
	}
	if len(c.waiting) == 0 {
		return // its command is not in the capture
	}
	e := c.waiting[0]
	c.waiting = c.waiting[1:]
	e.Response = bytes.Clone(m.bytes)
	e.readComment(p.comment)
	c.done = append(c.done, e)
}

// readComment reads what a Recorder says.
func (e *Exchange) readComment(comment string) {
	for note := range strings.SplitSeq(comment, "; ") {
		switch {
		case note == ownNote:
			e.Own = true
		case note == syntheticNote, strings.HasPrefix(note, "no answer from the TPM"):
			e.Synthetic = true
		case strings.HasPrefix(note, localityNote):
			if n, err := strconv.ParseUint(note[len(localityNote):], 10, 8); err == nil {
				e.Locality = uint8(n)
			}
		}
	}
}

// Codes of the Microsoft simulator's command port, and how many bytes follow those that
// carry no command.
const (
	simulatorData      = 6 // a size and as many bytes
	simulatorSend      = 8
	simulatorHandshake = 15
)

var simulatorRest = map[uint32]int{5: 0, 7: 0, simulatorHandshake: 4, 16: 4, 20: 0, 21: 0}

// frame finds the message with which b begins. taken is how many bytes it and its
// framing have, 0 if more are needed; m is nil if they carry no command. wrong says
// that this is no TPM's protocol.
func (c *conversation) frame(fromClient bool, b []byte) (m *message, taken int, wrong bool) {
	if len(b) < 4 {
		return nil, 0, false
	}
	tag := binary.BigEndian.Uint16(b)
	plain := tag == transport.TagNoSessions || tag == transport.TagSessions || tag == 0x00C4
	switch {
	case plain && !c.framed && len(b) < 6:
		return nil, 0, false
	case plain && !c.framed:
		return whole(b, 0, binary.BigEndian.Uint32(b[2:]), 0)
	case fromClient:
		return c.request(b)
	case c.framed:
		return c.reply(b)
	}
	return nil, 0, true
}

// request finds a request to the Microsoft simulator.
func (c *conversation) request(b []byte) (m *message, taken int, wrong bool) {
	code := binary.BigEndian.Uint32(b)
	rest, known := simulatorRest[code]
	switch {
	case code == simulatorSend && len(b) < 9, code == simulatorData && len(b) < 8:
		return nil, 0, false
	case code == simulatorSend:
		c.framed = true
		m, taken, wrong = whole(b, 9, binary.BigEndian.Uint32(b[5:]), 0)
		if m != nil {
			m.locality = b[4]
		}
		return m, taken, wrong
	case code == simulatorData:
		size := binary.BigEndian.Uint32(b[4:])
		if size > mostFrame {
			return nil, 0, true
		}
		rest = 4 + int(size)
	case !known:
		return nil, 0, true
	}
	if len(b) < 4+rest {
		return nil, 0, false
	}
	c.framed = true
	if code == simulatorHandshake {
		c.handshake = true
	}
	return nil, 4 + rest, false
}

// reply finds a reply of the Microsoft simulator: a response between its size and a
// word of zeros, that word alone, or three words in answer to a handshake.
func (c *conversation) reply(b []byte) (m *message, taken int, wrong bool) {
	size := binary.BigEndian.Uint32(b)
	switch {
	case c.handshake && len(b) < 12, size == 0 && len(c.waiting) > 0 && len(b) < 8:
		return nil, 0, false
	case c.handshake:
		c.handshake = false
		return nil, 12, false
	case size == 0 && len(c.waiting) > 0: // there is no power, so no response
		c.done = append(c.done, c.waiting[0])
		c.waiting = c.waiting[1:]
		return nil, 8, false
	case size == 0:
		return nil, 4, false
	}
	return whole(b, 4, size, 4)
}

// whole returns the message of a size between framing, if it is there.
func whole(b []byte, before int, size uint32, after int) (*message, int, bool) {
	if size < transport.HeaderSize || size > mostFrame {
		return nil, 0, true
	}
	end := before + int(size)
	if len(b) < end+after {
		return nil, 0, false
	}
	return &message{bytes: b[before:end]}, end + after, false
}

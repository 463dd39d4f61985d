package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
	"time"
)

// FormatError is a file that is no capture, or not one that can be read.
type FormatError struct {
	Offset int64 // of the block, in bytes
	Reason string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("capture, at byte %d: %s", e.Offset, e.Reason)
}

// Bounds of what is read.
const (
	// mostBlock is the largest block that is taken into memory, in bytes: a packet of
	// IPv4 and its options. Blocks of unknown types may have any size.
	mostBlock = 1 << 18
	// mostInterfaces is the most interfaces of a section.
	mostInterfaces = 1 << 10
)

// packet is what a block of a capture carries.
type packet struct {
	section int // the number of the section, from 1 on
	link    uint16
	time    time.Time
	data    []byte
	comment string
}

// netInterface is an interface of a section.
type netInterface struct {
	link uint16
	// unit is how many parts of its times a second has.
	unit uint64
}

// blockReader reads the packets of a capture.
type blockReader struct {
	in         *bufio.Reader
	offset     int64 // of the block that is read
	next       int64 // of the one after it
	section    int
	order      binary.ByteOrder
	interfaces []netInterface
	buf        []byte
}

func newBlockReader(in io.Reader) *blockReader {
	return &blockReader{in: bufio.NewReader(in)}
}

func (r *blockReader) wrong(format string, a ...any) error {
	return &FormatError{Offset: r.offset, Reason: fmt.Sprintf(format, a...)}
}

// packet returns the next packet, which is valid until the next call. The error is
// io.EOF at the end.
func (r *blockReader) packet() (*packet, error) {
	for {
		kind, body, err := r.block()
		if err != nil {
			return nil, err
		}
		var p *packet
		switch kind {
		case blockSection:
			r.section++
			r.interfaces = r.interfaces[:0]
		case blockInterface:
			err = r.interfaceBlock(body)
		case blockEnhanced:
			p, err = r.enhanced(body)
		case blockSimple, blockPacket:
			err = r.wrong("block type %d has no time or is obsolete; write the file anew with editcap", kind)
		}
		if p != nil || err != nil {
			return p, err
		}
	}
}

// block reads a block. Of one that nothing is read from, body is nil.
func (r *blockReader) block() (kind uint32, body []byte, err error) {
	r.offset = r.next
	head, err := r.in.Peek(12)
	switch {
	case len(head) == 0 && errors.Is(err, io.EOF):
		return 0, nil, io.EOF
	case errors.Is(err, io.EOF):
		return 0, nil, r.wrong("the file ends inside a block")
	case err != nil:
		return 0, nil, err
	}
	if err := r.learnOrder(head); err != nil {
		return 0, nil, err
	}
	kind = r.order.Uint32(head)
	length := r.order.Uint32(head[4:])
	if length < 12 || length%4 != 0 {
		return 0, nil, r.wrong("a block of %d bytes", length)
	}
	r.next += int64(length)
	if kind != blockInterface && kind != blockEnhanced && kind != blockSection {
		err = r.skip(int64(length))
		return kind, nil, err
	}
	if length > mostBlock {
		return 0, nil, r.wrong("a block of %d bytes: more than %d are not taken", length, mostBlock)
	}
	if cap(r.buf) < int(length) {
		r.buf = make([]byte, length)
	}
	whole := r.buf[:length]
	if _, err := io.ReadFull(r.in, whole); err != nil {
		return 0, nil, r.ended(err)
	}
	if again := r.order.Uint32(whole[length-4:]); again != length {
		return 0, nil, r.wrong("a block of %d bytes says at its end that it has %d", length, again)
	}
	return kind, whole[8 : length-4], nil
}

func (r *blockReader) skip(n int64) error {
	if _, err := io.CopyN(io.Discard, r.in, n); err != nil {
		return r.ended(err)
	}
	return nil
}

func (r *blockReader) ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.wrong("the file ends inside a block")
	}
	return err
}

// learnOrder finds out the order of bytes of a section that begins with head.
func (r *blockReader) learnOrder(head []byte) error {
	if binary.LittleEndian.Uint32(head) == blockSection { // the same in both orders
		switch {
		case binary.LittleEndian.Uint32(head[8:]) == byteOrder:
			r.order = binary.LittleEndian
		case binary.BigEndian.Uint32(head[8:]) == byteOrder:
			r.order = binary.BigEndian
		default:
			return r.wrong("the section has no order of bytes")
		}
		return nil
	}
	if r.order != nil {
		return nil
	}
	switch binary.LittleEndian.Uint32(head) {
	case 0xA1B2C3D4, 0xD4C3B2A1, 0xA1B23C4D, 0x4D3CB2A1:
		return r.wrong("this is the older format pcap; editcap -F pcapng IN OUT makes a pcapng of it")
	}
	return r.wrong("no pcapng: it does not begin with a section")
}

// interfaceBlock reads the description of an interface.
func (r *blockReader) interfaceBlock(body []byte) error {
	if len(body) < 8 {
		return r.wrong("an interface of %d bytes", len(body))
	}
	if len(r.interfaces) == mostInterfaces {
		return r.wrong("more than %d interfaces", mostInterfaces)
	}
	i := netInterface{link: r.order.Uint16(body), unit: 1e6}
	err := r.options(body[8:], func(code uint16, value []byte) error {
		if code != optionResolution || len(value) == 0 {
			return nil
		}
		exponent, base := value[0], uint64(10)
		if exponent&0x80 != 0 {
			exponent, base = exponent&0x7F, 2
		}
		i.unit = 1
		for range exponent {
			if i.unit > 1<<60/base {
				return r.wrong("times in units of %d^-%d s", base, exponent)
			}
			i.unit *= base
		}
		return nil
	})
	r.interfaces = append(r.interfaces, i)
	return err
}

// enhanced reads a packet.
func (r *blockReader) enhanced(body []byte) (*packet, error) {
	if len(body) < 20 {
		return nil, r.wrong("a packet block of %d bytes", len(body))
	}
	number, length := r.order.Uint32(body), r.order.Uint32(body[12:])
	if uint64(number) >= uint64(len(r.interfaces)) {
		return nil, r.wrong("a packet of interface %d, and there are %d", number, len(r.interfaces))
	}
	padded := (uint64(length) + 3) / 4 * 4
	if padded > uint64(len(body)-20) {
		return nil, r.wrong("a packet of %d bytes in a block that has room for %d", length, len(body)-20)
	}
	i := r.interfaces[number]
	p := &packet{section: r.section, link: i.link, data: body[20 : 20+length]}
	p.time = i.timeOf(uint64(r.order.Uint32(body[4:]))<<32 | uint64(r.order.Uint32(body[8:])))
	var comments []string
	err := r.options(body[20+padded:], func(code uint16, value []byte) error {
		if code == optionComment {
			comments = append(comments, string(value))
		}
		return nil
	})
	p.comment = strings.Join(comments, "; ")
	return p, err
}

// timeOf returns the time of a count of units since 1970.
func (i *netInterface) timeOf(count uint64) time.Time {
	seconds, parts := count/i.unit, count%i.unit
	high, low := bits.Mul64(parts, uint64(time.Second))
	nanos, _ := bits.Div64(high, low, i.unit) // parts is less than unit
	return time.Unix(int64(seconds&(1<<55-1)), int64(nanos)).UTC()
}

// options calls each with the options of a block.
func (r *blockReader) options(list []byte, each func(code uint16, value []byte) error) error {
	for len(list) >= 4 {
		code, length := r.order.Uint16(list), int(r.order.Uint16(list[2:]))
		if code == optionEnd {
			return nil
		}
		list = list[4:]
		padded := (length + 3) / 4 * 4
		if padded > len(list) {
			return r.wrong("an option of %d bytes where there are %d", length, len(list))
		}
		if err := each(code, list[:length]); err != nil {
			return err
		}
		list = list[padded:]
	}
	return nil
}

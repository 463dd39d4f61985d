package swtpm

import (
	"bytes"
	"encoding/binary"
)

// request is one control request, cut out of what was received.
type request struct {
	code    Command
	row     *row   // nil: there is no such code
	payload []byte // row.least to row.most bytes, fewer only if incomplete
	excess  bool   // more bytes came than the request takes
	body    uint32 // bytes of data that follow the payload
	fds     *fdQueue
	// data reads the body piece by piece, handing each to take.
	data func(take func([]byte) error) error
	// reply collects what follows the result word in the reply of a success, and
	// with always of a failure too.
	reply  []byte
	always bool
	// handsOver: after the reply, the storage of the state is another server's.
	handsOver bool
	// ends is why the server ends after the reply, "" for not.
	ends Reason
	// last has the connection end after the reply, and not the server.
	last bool
}

// codeSize is the size of the code that every request begins with.
const codeSize = 4

// decode cuts the first request out of segment, the bytes received and not
// taken yet. open says that the end of the segment need not be the end of what
// the client sent at once. It returns the request and how many bytes it took; 0 bytes mean that
// the request is not complete: row and payload then tell what there is of it.
//
// A request ends where its payload ends, and whatever follows it is the next
// request if it begins with a code that exists. If it does not, it is excess
// and is taken too, as are all bytes after an unknown code, whose payload has
// no known end.
func decode(segment []byte, open bool) (req request, used int) {
	if len(segment) < codeSize {
		return request{}, 0
	}
	req.code = Command(binary.BigEndian.Uint32(segment))
	req.row = lookup(req.code)
	if req.row == nil {
		return req, len(segment)
	}
	rest := segment[codeSize:]
	if len(rest) < req.row.least || open && len(rest) < req.row.most {
		req.payload = rest
		return req, 0
	}
	size := req.row.payloadSize(rest, open)
	req.payload = rest[:size]
	if req.row.body > 0 {
		req.body = binary.BigEndian.Uint32(req.payload[req.row.body-1:])
		return req, codeSize + size
	}
	if !continues(rest[size:], open) {
		req.excess = true
		return req, len(segment)
	}
	return req, codeSize + size
}

// payloadSize finds how much of rest is the payload: all the row takes, unless
// a shorter one leaves a request after it and the longer one does not.
func (r *row) payloadSize(rest []byte, open bool) int {
	most := min(r.most, len(rest))
	for size := most; size > r.least; size-- {
		if continues(rest[size:], open) {
			return size
		}
	}
	if r.least < most && !continues(rest[r.least:], open) {
		return most
	}
	return r.least
}

// continues reports whether rest is what may follow a complete request: nothing,
// a code that exists, or if the segment is open the beginning of one. All
// codes begin with three zeros.
func continues(rest []byte, open bool) bool {
	if len(rest) < codeSize {
		return len(rest) == 0 || open && bytes.Count(rest, []byte{0}) == len(rest)
	}
	return lookup(Command(binary.BigEndian.Uint32(rest))) != nil
}

package cuse

import (
	"encoding/binary"
	"fmt"
)

// The FUSE protocol, as far as CUSE has it (include/uapi/linux/fuse.h).
const (
	protocolMajor = 7
	protocolMinor = 31 // the newest whose structures these are

	inHeaderSize  = 40
	outHeaderSize = 16
)

type opcode uint32

const (
	opOpen      opcode = 14
	opRead      opcode = 15
	opWrite     opcode = 16
	opRelease   opcode = 18
	opInterrupt opcode = 36
	opIoctl     opcode = 39
	opPoll      opcode = 40
	opInit      opcode = 4096 // CUSE_INIT
)

// errno is a Linux error number, on every system on which this package is built.
type errno int32

const (
	eINTR  errno = 4
	eIO    errno = 5
	eAGAIN errno = 11
	eBUSY  errno = 16
	eINVAL errno = 22
	eNOTTY errno = 25
	eFBIG  errno = 27
	e2BIG  errno = 7
	eNOSYS errno = 38
)

// Flags of files, of FUSE_OPEN, of ioctls, of polls and their events.
const (
	openNonblock   = 0o4000 // O_NONBLOCK, the same on every machine of Go but MIPS
	openDirectIO   = 1      // FOPEN_DIRECT_IO
	openNoSeek     = 4      // FOPEN_NONSEEKABLE
	pollNotify     = 1      // FUSE_POLL_SCHEDULE_NOTIFY
	pollIn         = 0x041  // POLLIN | POLLRDNORM
	pollOut        = 0x104  // POLLOUT | POLLWRNORM
	notifyPoll     = 1      // FUSE_NOTIFY_POLL
	mostBytes      = 20 << 10
	mostWrite      = 16 << 10 // a command that is too large comes whole, to be refused
	initOutSize    = 72
	ioctlOutSize   = 16
	deviceInfoName = "DEVNAME="
)

// RequestError is a message from /dev/cuse that is no request.
type RequestError struct {
	What string
	Size int // of the message, in bytes
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("request of %d bytes from /dev/cuse: %s", e.Size, e.What)
}

// request is one request of the kernel. The fields after body are those of its
// operation.
type request struct {
	op     opcode
	unique uint64 // its number, for the reply
	pid    uint32 // of the process that made the system call
	body   []byte // the rest of the message, valid until the next one is read

	fh     uint64 // of an open file
	flags  uint32 // of opRead the file's, of opIoctl and opPoll their own
	size   uint32 // of opRead the bytes wanted, of opIoctl those of the result
	cmd    uint32 // of opIoctl
	data   []byte // of opWrite and opIoctl
	handle uint64 // of opPoll, for the notification; of opInterrupt the request's number
	major  uint32 // of opInit
	minor  uint32
}

// least is the size of each operation's structure.
var least = map[opcode]int{
	opOpen: 8, opRead: 40, opWrite: 40, opRelease: 24, opInterrupt: 8, opIoctl: 32, opPoll: 24, opInit: 16,
}

// decode takes one message apart. An operation that is not known is no error: its
// fields are those of the header.
func decode(message []byte) (request, error) {
	native := binary.NativeEndian
	wrong := func(what string) (request, error) {
		return request{}, &RequestError{what, len(message)}
	}
	if len(message) < inHeaderSize {
		return wrong("shorter than its header")
	}
	if size := native.Uint32(message); int64(size) != int64(len(message)) {
		return wrong(fmt.Sprintf("%d bytes are announced", size))
	}
	r := request{
		op:     opcode(native.Uint32(message[4:])),
		unique: native.Uint64(message[8:]),
		pid:    native.Uint32(message[32:]),
		body:   message[inHeaderSize:],
	}
	b := r.body
	if len(b) < least[r.op] {
		return wrong(fmt.Sprintf("operation %d has no room for its structure", r.op))
	}
	switch r.op {
	case opRead:
		r.fh, r.size, r.flags = native.Uint64(b), native.Uint32(b[16:]), native.Uint32(b[32:])
	case opWrite:
		r.fh, r.data = native.Uint64(b), b[least[opWrite]:]
		if size := native.Uint32(b[16:]); int64(size) != int64(len(r.data)) {
			return wrong(fmt.Sprintf("a write of %d bytes has %d", size, len(r.data)))
		}
	case opRelease:
		r.fh = native.Uint64(b)
	case opInterrupt:
		r.handle = native.Uint64(b)
	case opIoctl:
		r.fh, r.flags, r.cmd = native.Uint64(b), native.Uint32(b[8:]), native.Uint32(b[12:])
		r.size, r.data = native.Uint32(b[28:]), b[least[opIoctl]:]
		if size := native.Uint32(b[24:]); int64(size) != int64(len(r.data)) {
			return wrong(fmt.Sprintf("an ioctl with %d bytes has %d", size, len(r.data)))
		}
	case opPoll:
		r.fh, r.handle, r.flags = native.Uint64(b), native.Uint64(b[8:]), native.Uint32(b[16:])
	case opInit:
		r.major, r.minor = native.Uint32(b), native.Uint32(b[4:])
	}
	return r, nil
}

// reply returns the answer to a request: an error, or 0 and what belongs to it.
func reply(unique uint64, failed errno, body []byte) []byte {
	return message(unique, -int32(failed), body)
}

// message returns a message to the kernel.
func message(unique uint64, code int32, body []byte) []byte {
	native := binary.NativeEndian
	out := make([]byte, 0, outHeaderSize+len(body))
	out = native.AppendUint32(out, uint32(outHeaderSize+len(body)))
	out = native.AppendUint32(out, uint32(code))
	out = native.AppendUint64(out, unique)
	return append(out, body...)
}

// words returns numbers of 32 bits in the machine's byte order.
func words(values ...uint32) []byte {
	out := make([]byte, 0, 4*len(values))
	for _, v := range values {
		out = binary.NativeEndian.AppendUint32(out, v)
	}
	return out
}

// initReply makes the device: its name and its number, 0 for one that the kernel
// chooses.
func initReply(r *request, o *Options) []byte {
	body := words(protocolMajor, min(r.minor, protocolMinor), 0, 0, mostWrite, mostWrite, o.Major, o.Minor)
	body = append(body, make([]byte, initOutSize-len(body))...)
	body = append(body, deviceInfoName+o.Name...)
	return reply(r.unique, 0, append(body, 0))
}

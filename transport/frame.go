package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// MinFrameBuffer is the least size in bytes of a FrameReader's buffer beyond
// the largest frame: room for the framing that a protocol puts before one.
const MinFrameBuffer = 16

// Source is the byte stream a FrameReader reads. Every net.Conn is one.
type Source interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// SizeError says that the size field of a command or response cannot be right.
// Its bytes stay in the reader; see FrameReader.Drop and Discard.
type SizeError struct {
	Size uint32 // the size field
	Max  uint32 // the largest that is taken, in bytes
}

func (e *SizeError) Error() string {
	if e.Size < HeaderSize {
		return fmt.Sprintf("TPM frame of %d bytes: its header alone has %d", e.Size, HeaderSize)
	}
	return fmt.Sprintf("TPM frame of %d bytes: the buffer takes %d", e.Size, e.Max)
}

// StallError says that a command or response was begun and not finished in
// time.
type StallError struct {
	Got   int           // bytes that came
	After time.Duration // since the first of them
}

func (e *StallError) Error() string {
	return fmt.Sprintf("TPM frame broken off after %d bytes: nothing more came in %v", e.Got, e.After)
}

// Unwrap returns os.ErrDeadlineExceeded.
func (e *StallError) Unwrap() error { return os.ErrDeadlineExceeded }

// FrameReader cuts a byte stream into TPM commands, or responses, by their
// size fields, however the stream was cut into segments: one may come in many
// reads, many in one read. It allocates one buffer, once.
//
// A FrameReader is used by one goroutine.
type FrameReader struct {
	src   Source
	buf   []byte
	start int // of the bytes not taken yet
	end   int
	max   uint32
	stall time.Duration
	// begun says that bytes of the current frame have been skipped already,
	// so that silence is a stall even with an empty buffer.
	begun bool
	armed bool // a read deadline is set on src
}

// NewFrameReader returns a reader of frames of at most max bytes. A frame that
// has begun must be complete within stall, 0 for no limit.
func NewFrameReader(src Source, max uint32, stall time.Duration) *FrameReader {
	return &FrameReader{
		src:   src,
		buf:   make([]byte, int(max)+MinFrameBuffer),
		max:   max,
		stall: stall,
	}
}

// SetMax changes the largest frame that is taken to max bytes, at most the
// max of NewFrameReader.
func (r *FrameReader) SetMax(max uint32) {
	r.max = min(max, uint32(len(r.buf)-MinFrameBuffer))
}

// Next returns the next command or response. It is valid until the next call of a method.
//
// The error is io.EOF at the end of the stream between two frames,
// io.ErrUnexpectedEOF at an end inside one, a *SizeError, a *StallError, or
// what the source said. Only after a *SizeError and a *StallError the reader can
// be used on.
func (r *FrameReader) Next() ([]byte, error) {
	const sizeEnd = 6 // tag and size field
	head, err := r.Peek(sizeEnd)
	if err != nil {
		return nil, err
	}
	return r.Take(binary.BigEndian.Uint32(head[2:sizeEnd]))
}

// Take is Next for a frame whose size the protocol has told already. It does
// not look at the size field.
func (r *FrameReader) Take(size uint32) ([]byte, error) {
	if size < HeaderSize || size > r.max {
		return nil, &SizeError{Size: size, Max: r.max}
	}
	command, err := r.Peek(int(size))
	if err != nil {
		return nil, err
	}
	r.start += int(size)
	r.finish()
	return command, nil
}

// Peek returns the next n bytes and leaves them in the stream. It is valid
// until the next call of a method. n is at most max+MinFrameBuffer.
func (r *FrameReader) Peek(n int) ([]byte, error) {
	for r.end-r.start < n {
		if err := r.fill(n); err != nil {
			return nil, err
		}
	}
	return r.buf[r.start : r.start+n : r.start+n], nil
}

// Skip takes n bytes that Peek has shown: a protocol's own framing before a
// command.
func (r *FrameReader) Skip(n int) {
	r.start += n
	r.begun = true
}

// Rest returns what has been received and not been taken. It is valid until the next
// call of a method.
func (r *FrameReader) Rest() []byte { return r.buf[r.start:r.end:r.end] }

// Drop throws away what has been received and not been taken, and says how
// many bytes that were.
func (r *FrameReader) Drop() int {
	n := r.end - r.start
	r.start, r.end = 0, 0
	r.finish()
	return n
}

// Discard reads n bytes and throws them away: the rest of a command that was
// refused for its size, so that the next one is found. Its buffer does not
// grow; each read may take the stall time.
func (r *FrameReader) Discard(n int64) error {
	for n > 0 {
		if r.start == r.end {
			r.begun = true
			r.armed = false
			if err := r.fill(1); err != nil {
				return err
			}
		}
		taken := min(int64(r.end-r.start), n)
		r.start += int(taken)
		n -= taken
	}
	r.finish()
	return nil
}

// finish marks the end of a frame.
func (r *FrameReader) finish() {
	r.begun = false
	if r.armed {
		r.armed = false
		// A source that cannot take the deadline back fails its next read.
		_ = r.src.SetReadDeadline(time.Time{})
	}
}

// fill reads once, with room for a frame of n bytes.
func (r *FrameReader) fill(n int) error {
	if n > len(r.buf) {
		return &SizeError{Size: uint32(n), Max: r.max}
	}
	switch {
	case r.start == r.end:
		r.start, r.end = 0, 0
	case r.start+n > len(r.buf):
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	partial := r.begun || r.end > r.start
	if partial && r.stall > 0 && !r.armed {
		if err := r.src.SetReadDeadline(time.Now().Add(r.stall)); err != nil {
			return err
		}
		r.armed = true
	}
	got, err := r.src.Read(r.buf[r.end:])
	r.end += got
	if got > 0 {
		return nil
	}
	return r.readError(err, partial)
}

func (r *FrameReader) readError(err error, partial bool) error {
	switch {
	case err == nil:
		return io.ErrNoProgress
	case errors.Is(err, io.EOF) && partial:
		return io.ErrUnexpectedEOF
	case r.armed && errors.Is(err, os.ErrDeadlineExceeded):
		return &StallError{Got: r.end - r.start, After: r.stall}
	}
	return err
}

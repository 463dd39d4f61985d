//go:build unix

// Package handover sends values with open files from one process to another over a unix
// socket (SCM_RIGHTS of unix(7)).
package handover

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a message.
const (
	MaxText  = 256 << 20 // bytes of its JSON
	MaxFiles = 4096

	// together is how many files go with one message of the socket: Linux takes 253
	// (SCM_MAX_FD), others fewer.
	together = 64
)

// A message is its size and its number of files (32 bits each, big endian), with the first
// of the files; a zero octet with each further lot of files; and the JSON of the value.
const headSize = 8

// Conn is a connection of messages. One goroutine uses it.
type Conn struct {
	conn *net.UnixConn
	// Patience is how long a message may take; 0 is for ever.
	Patience time.Duration
}

// New returns the messages of a connection.
func New(conn *net.UnixConn, patience time.Duration) *Conn { return &Conn{conn, patience} }

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// FormatError says that what comes is no message.
type FormatError struct{ Reason string }

func (e *FormatError) Error() string { return "this is no message of a handover: " + e.Reason }

func (c *Conn) deadline() time.Time {
	if c.Patience == 0 {
		return time.Time{}
	}
	return time.Now().Add(c.Patience)
}

// Send sends a value and files, which stay the caller's.
func (c *Conn) Send(value any, files ...*os.File) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	defer clear(text) // it may have secrets
	if len(text) > MaxText || len(files) > MaxFiles {
		return &FormatError{fmt.Sprintf("%d bytes with %d files are more than one takes", len(text), len(files))}
	}
	if err := c.conn.SetWriteDeadline(c.deadline()); err != nil {
		return err
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	head = binary.BigEndian.AppendUint32(head, uint32(len(files)))
	for first := true; first || len(files) > 0; first = false {
		n := min(len(files), together)
		fds, err := numbers(files[:n])
		if err != nil {
			return err
		}
		var rights []byte
		if n > 0 {
			rights = unix.UnixRights(fds...)
		}
		if _, _, err := c.conn.WriteMsgUnix(head, rights, nil); err != nil {
			return err
		}
		head, files = []byte{0}, files[n:]
	}
	_, err = c.conn.Write(text)
	return err
}

// numbers returns the descriptors of files. Fd would have their sockets block, for
// everybody who has them.
func numbers(files []*os.File) (fds []int, err error) {
	for _, f := range files {
		raw, err := f.SyscallConn()
		if err != nil {
			return nil, err
		}
		if err := raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			return nil, err
		}
	}
	return fds, nil
}

// Receive receives a value, and the files that came with it, which are the caller's. The
// value has no field that into lacks.
func (c *Conn) Receive(into any) (files []*os.File, err error) {
	defer func() {
		if err != nil {
			Close(files)
			files = nil
		}
	}()
	if err := c.conn.SetReadDeadline(c.deadline()); err != nil {
		return nil, err
	}
	var head [headSize]byte
	if files, err = c.piece(head[:]); err != nil {
		return files, err
	}
	size, count := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:])
	if size > MaxText || count > MaxFiles {
		return files, &FormatError{fmt.Sprintf("it announces %d bytes and %d files", size, count)}
	}
	for len(files) < int(count) {
		more, err := c.piece(make([]byte, 1))
		files = append(files, more...)
		if err != nil {
			return files, err
		}
		if len(more) == 0 {
			return files, &FormatError{fmt.Sprintf("%d of %d files have come: look whether this process may have more open (RLIMIT_NOFILE)", len(files), count)}
		}
	}
	if len(files) != int(count) {
		return files, &FormatError{"more files have come than it announces"}
	}
	text := io.LimitReader(c.conn, int64(size))
	decoder := json.NewDecoder(text)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return files, err
	}
	rest, err := io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), text))
	if err == nil && rest > 0 {
		err = &FormatError{"bytes follow its value"}
	}
	return files, err
}

// piece reads all of p, and the files that come with it.
func (c *Conn) piece(p []byte) (files []*os.File, err error) {
	rights := make([]byte, unix.CmsgSpace(4*together))
	for done := 0; done < len(p); {
		n, rn, flags, _, err := c.conn.ReadMsgUnix(p[done:], rights)
		if err == nil && n == 0 {
			err = io.EOF
			if done > 0 {
				err = io.ErrUnexpectedEOF
			}
		}
		files = append(files, filesOf(rights[:rn])...)
		if err != nil {
			return files, err
		}
		if flags&unix.MSG_CTRUNC != 0 {
			return files, &FormatError{"files have been lost: look whether this process may have more open (RLIMIT_NOFILE)"}
		}
		done += n
	}
	return files, nil
}

func filesOf(rights []byte) (files []*os.File) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files
}

// Close closes files.
func Close(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// Package rsp is the debugger's side of GDB's remote serial protocol, as far as it
// takes to stop a guest at breakpoints and to look at it (GDB manual, "Remote
// Protocol"; QEMU: docs/system/gdb.rst). The peer is believed in nothing: packets
// are bounded and checked.
package rsp

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxPacket bounds the content of a packet, in bytes. QEMU's are of 4096.
const maxPacket = 16 << 10

// maxAhead bounds what may come before a packet, or before the answer to a
// command: stop replies that nobody asked for.
const maxAhead = 64

// ProtocolError says what the peer sent that the protocol does not have there.
type ProtocolError struct {
	Doing string // the command that was answered so, or what was read
	Got   string // printable, and of bounded length
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("the gdbstub answered %s with %s; it must be QEMU's, and have no other debugger", e.Doing, e.Got)
}

// RefusedError is a command that the stub has answered with an error, or with
// the empty packet of a command that it does not know.
type RefusedError struct {
	Command string
	Answer  string // "E14", or empty
}

func (e *RefusedError) Error() string {
	if e.Answer == "" {
		return fmt.Sprintf("the gdbstub does not know %s; it takes one as QEMU's", e.Command)
	}
	return fmt.Sprintf("the gdbstub refuses %s: %s", e.Command, e.Answer)
}

// Stop is a stop of the guest.
type Stop struct {
	Signal byte   // Trap at a breakpoint and after a step
	Thread string // of the processor that stopped; empty if it is not told
}

// Trap is the signal of a breakpoint: GDB's TARGET_SIGNAL_TRAP.
const Trap = 5

// Conn is a connection to a gdbstub. One goroutine uses it.
type Conn struct {
	w io.Writer
	r *bufio.Reader
}

// NewConn makes a Conn of a connection that nothing has been read from.
func NewConn(rw io.ReadWriter) *Conn {
	return &Conn{w: rw, r: bufio.NewReader(rw)}
}

// Interrupt asks for a stop of a guest that runs. A guest that stands takes no
// notice.
func (c *Conn) Interrupt() error {
	_, err := c.w.Write([]byte{3})
	return err
}

// First sends the first command of a connection and returns its answer. Stop
// replies before it are of the past: a stub stops a guest for a new debugger.
func (c *Conn) First(command string) (string, error) {
	if err := c.send(command); err != nil {
		return "", err
	}
	for range maxAhead {
		answer, err := c.receive()
		if err != nil || !isStop(answer) {
			return c.answered(command, answer, err)
		}
	}
	return "", &ProtocolError{Doing: command, Got: "stop replies without end"}
}

// Command sends a command to a guest that stands, and returns its answer. The
// command may be sent more than once: if somebody else lets the guest run (QEMU's
// monitor), its first byte stops it and is lost.
func (c *Conn) Command(command string) (string, error) {
	for range maxAhead {
		if err := c.send(command); err != nil {
			return "", err
		}
		answer, err := c.receive()
		if err != nil || !isStop(answer) {
			return c.answered(command, answer, err)
		}
	}
	return "", &ProtocolError{Doing: command, Got: "stop replies without end"}
}

func (c *Conn) answered(command, answer string, err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case answer == "", len(answer) == 3 && answer[0] == 'E':
		return "", &RefusedError{Command: command, Answer: answer}
	}
	return answer, nil
}

// Do sends a command whose answer is OK.
func (c *Conn) Do(command string) error {
	answer, err := c.Command(command)
	if err == nil && answer != "OK" {
		err = &ProtocolError{Doing: command, Got: quoted(answer)}
	}
	return err
}

// Bytes sends a command whose answer is n bytes in hexadecimal.
func (c *Conn) Bytes(command string, n int) ([]byte, error) {
	answer, err := c.Command(command)
	if err != nil {
		return nil, err
	}
	data, err := hex.DecodeString(answer)
	if err != nil || len(data) != n {
		return nil, &ProtocolError{Doing: command, Got: fmt.Sprintf("%s, not %d bytes", quoted(answer), n)}
	}
	return data, nil
}

// maxRead is how many bytes of memory are asked for at once: twice as many
// characters fit in QEMU's packets.
const maxRead = 1024

// Memory reads n bytes at a virtual address of the processor that stopped.
func (c *Conn) Memory(address uint64, n int) ([]byte, error) {
	var all []byte
	for len(all) < n {
		part := min(n-len(all), maxRead)
		data, err := c.Bytes(fmt.Sprintf("m%x,%x", address+uint64(len(all)), part), part)
		if err != nil {
			return nil, err
		}
		all = append(all, data...)
	}
	return all, nil
}

// Resume lets the guest run, as a vCont action says ("c", "s:p01.01"). Wait
// waits for its next stop.
func (c *Conn) Resume(action string) error { return c.send("vCont;" + action) }

// Wait waits until the guest stops. It answers io.EOF when the guest has ended.
func (c *Conn) Wait() (Stop, error) {
	reply, err := c.receive()
	switch {
	case err != nil:
		return Stop{}, err
	case reply != "" && (reply[0] == 'W' || reply[0] == 'X'):
		return Stop{}, io.EOF
	case !isStop(reply):
		return Stop{}, &ProtocolError{Doing: "a running guest", Got: quoted(reply)}
	}
	return parseStop(reply)
}

// isStop reports whether an answer is a stop reply with a signal.
func isStop(answer string) bool {
	return len(answer) >= 3 && (answer[0] == 'T' || answer[0] == 'S')
}

func parseStop(reply string) (Stop, error) {
	signal, err := hex.DecodeString(reply[1:3])
	if err != nil {
		return Stop{}, &ProtocolError{Doing: "a running guest", Got: quoted(reply)}
	}
	s := Stop{Signal: signal[0]}
	if reply[0] == 'S' {
		return s, nil
	}
	for pair := range strings.SplitSeq(reply[3:], ";") {
		if thread, ok := strings.CutPrefix(pair, "thread:"); ok {
			s.Thread = thread
		}
	}
	if strings.Trim(s.Thread, "p.0123456789abcdef") != "" {
		return Stop{}, &ProtocolError{Doing: "a running guest", Got: quoted(reply)}
	}
	return s, nil
}

// Detach has the stub forget all breakpoints and let the guest run, which may run
// or stand. What it says before it obeys is passed over, parts of packets too.
func (c *Conn) Detach() error {
	if err := c.Interrupt(); err != nil {
		return err
	}
	if err := c.send("D"); err != nil {
		return err
	}
	for range maxAhead {
		answer, err := c.receive()
		var wrong *ProtocolError
		if err != nil && !errors.As(err, &wrong) {
			return err
		}
		if err == nil && answer == "OK" {
			return nil
		}
	}
	return &ProtocolError{Doing: "D", Got: "everything but OK"}
}

// send sends a packet.
func (c *Conn) send(content string) error {
	_, err := fmt.Fprintf(c.w, "$%s#%02x", content, checksum(content))
	return err
}

// receive reads the next packet and acknowledges it. Escapes and run lengths are
// left as they are: no answer that is asked for here has them.
func (c *Conn) receive() (string, error) {
	for i := 0; ; i++ {
		b, err := c.r.ReadByte()
		switch {
		case err != nil:
			return "", err
		case b == '$':
			return c.content()
		case b != '+' || i == maxAhead:
			return "", &ProtocolError{Doing: "a packet", Got: quoted(string(b))}
		}
	}
}

// content reads what follows the start of a packet.
func (c *Conn) content() (string, error) {
	var content []byte
	for {
		b, err := c.r.ReadByte()
		if err != nil {
			return "", cut(err)
		}
		if b == '#' {
			break
		}
		if len(content) == maxPacket {
			return "", &ProtocolError{Doing: "a packet", Got: fmt.Sprintf("more than %d bytes", maxPacket)}
		}
		content = append(content, b)
	}
	var sum [2]byte
	if _, err := io.ReadFull(c.r, sum[:]); err != nil {
		return "", cut(err)
	}
	text := string(content)
	if fmt.Sprintf("%02x", checksum(text)) != strings.ToLower(string(sum[:])) {
		return "", &ProtocolError{Doing: "a packet", Got: fmt.Sprintf("%s and a wrong checksum", quoted(text))}
	}
	_, err := c.w.Write([]byte{'+'})
	return text, err
}

// cut is the error of a packet that ends too early.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func checksum(content string) (sum byte) {
	for i := range len(content) {
		sum += content[i]
	}
	return sum
}

// maxQuoted bounds what an error shows of an answer, in bytes.
const maxQuoted = 60

func quoted(text string) string {
	if len(text) > maxQuoted {
		return fmt.Sprintf("%q…", text[:maxQuoted])
	}
	return fmt.Sprintf("%q", text)
}

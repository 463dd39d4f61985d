package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
)

// longestMessage bounds one line of QEMU's monitor.
const longestMessage = 1 << 20

// monitor is a client of QEMU's machine protocol (QEMU: docs/interop/qmp-spec).
// It sends one command at a time.
type monitor struct {
	conn  net.Conn
	lines *bufio.Scanner
}

// newMonitor reads QEMU's greeting and ends the negotiation.
func newMonitor(conn net.Conn) (*monitor, error) {
	m := &monitor{conn: conn, lines: bufio.NewScanner(conn)}
	m.lines.Buffer(nil, longestMessage)
	if _, err := m.message(); err != nil {
		return nil, fmt.Errorf("QEMU's monitor did not greet: %w", err)
	}
	return m, m.execute("qmp_capabilities", nil)
}

// execute sends a command to QEMU and skips the events before the answer.
func (m *monitor) execute(command string, arguments map[string]string) error {
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := m.conn.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("QEMU's monitor, %s: %w", command, err)
	}
	for {
		answer, err := m.message()
		if err != nil {
			return fmt.Errorf("QEMU's monitor, %s: %w", command, err)
		}
		switch {
		case answer.Error != nil:
			return fmt.Errorf("QEMU's monitor refused %s: %s", command, answer.Error.Description)
		case answer.Return != nil:
			return nil
		}
	}
}

// message is one line from QEMU: the greeting, an event, or an answer.
type message struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Description string `json:"desc"`
	} `json:"error"`
}

func (m *monitor) message() (message, error) {
	if !m.lines.Scan() {
		if err := m.lines.Err(); err != nil {
			return message{}, err
		}
		return message{}, net.ErrClosed
	}
	var answer message
	if err := json.Unmarshal(m.lines.Bytes(), &answer); err != nil {
		return message{}, fmt.Errorf("not a message: %w", err)
	}
	return answer, nil
}

// rebootAction sets what QEMU does when the guest resets itself: "reset" resets it,
// "shutdown" ends QEMU.
func (m *monitor) rebootAction(action string) error {
	return m.execute("set-action", map[string]string{"reboot": action})
}

// reset resets the machine, as its reset button would.
func (m *monitor) reset() error { return m.execute("system_reset", nil) }

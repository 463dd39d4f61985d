package imatrace

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Event is one line of the file trace.
type Event struct {
	Line int    // from 1
	Name string // "check", "free" or "policy"
	Text string // the line, for errors

	numbers map[string]uint64
	strings map[string]string
}

// TraceError reports a trace that cannot be used.
type TraceError struct {
	Line int // 0 if it is no line's fault
	What string
}

func (e *TraceError) Error() string {
	if e.Line == 0 {
		return "trace: " + e.What
	}
	return fmt.Sprintf("trace, line %d: %s", e.Line, e.What)
}

// traceLineMax bounds a line in bytes: 8 names of 255 bytes and the numbers.
const traceLineMax = 16 << 10

// Parse reads the file trace. It refuses one that has lost events.
func Parse(r io.Reader) ([]Event, error) {
	var events []Event
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, traceLineMax)
	number := 0
	for lines.Scan() {
		number++
		line := strings.TrimRight(lines.Text(), "\x00")
		if strings.HasPrefix(line, "# entries-in-buffer/entries-written: ") {
			if err := checkLoss(number, line); err != nil {
				return nil, err
			}
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if strings.HasPrefix(line, "CPU:") && strings.Contains(line, "LOST") {
			return nil, &TraceError{number, line}
		}
		e, err := parseEvent(number, line)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	if err := lines.Err(); err != nil {
		return nil, &TraceError{number + 1, err.Error()}
	}
	return events, nil
}

// checkLoss reads "# entries-in-buffer/entries-written: N/M   #P:C".
func checkLoss(number int, line string) error {
	words := strings.Fields(line)
	if len(words) < 3 {
		return &TraceError{number, "it does not tell how many events are left"}
	}
	if kept, written, ok := strings.Cut(words[2], "/"); !ok || kept != written {
		return &TraceError{number, words[2] + " events are left: the buffer was too small"}
	}
	return nil
}

// parseEvent reads "TASK-PID [CPU] FLAGS TIME: NAME: (FUNCTION+0xN/0xN) ARGUMENTS".
func parseEvent(number int, line string) (Event, error) {
	e := Event{Line: number, Text: line, numbers: map[string]uint64{}, strings: map[string]string{}}
	head, arguments, ok := strings.Cut(line, ": (")
	if !ok {
		return e, &TraceError{number, "no event"}
	}
	e.Name = head[strings.LastIndexByte(head, ' ')+1:]
	_, arguments, _ = strings.Cut(arguments, ")")
	for arguments = strings.TrimLeft(arguments, " "); arguments != ""; arguments = strings.TrimLeft(arguments, " ") {
		name, rest, ok := strings.Cut(arguments, "=")
		if !ok {
			return e, &TraceError{number, fmt.Sprintf("%.40q is no argument", arguments)}
		}
		if quoted, isString := strings.CutPrefix(rest, `"`); isString {
			e.strings[name], arguments = cutString(quoted)
			continue
		}
		word, rest, _ := strings.Cut(rest, " ")
		arguments = rest
		if word == "(fault)" {
			continue
		}
		value, err := parseNumber(word)
		if err != nil {
			return e, &TraceError{number, fmt.Sprintf("%s=%.40q is no number", name, word)}
		}
		e.numbers[name] = value
	}
	return e, nil
}

// cutString cuts after a quotation mark that ends an argument: the kernel writes those
// within a string as they are.
func cutString(text string) (value, rest string) {
	for at := 0; at < len(text); at++ {
		if text[at] != '"' {
			continue
		}
		name, _, ok := strings.Cut(strings.TrimPrefix(text[at+1:], " "), "=")
		if text[at+1:] == "" || ok && isArgument(name) {
			return text[:at], text[at+1:]
		}
	}
	return text, ""
}

// isArgument reports whether a name is that of a string argument.
func isArgument(name string) bool {
	return name == "fs" || len(name) == 2 && name[0] == 'n' && name[1] >= '0' && name[1] <= '9'
}

// parseNumber reads a decimal number, with a sign perhaps, or a hexadecimal one.
func parseNumber(word string) (uint64, error) {
	if digits, ok := strings.CutPrefix(word, "0x"); ok {
		return strconv.ParseUint(digits, 16, 64)
	}
	if strings.HasPrefix(word, "-") {
		value, err := strconv.ParseInt(word, 10, 64)
		return uint64(value), err
	}
	return strconv.ParseUint(word, 10, 64)
}

// number returns an argument, zero if there is none of that name.
func (e *Event) number(name string) uint64 { return e.numbers[name] }

// path returns the path within the file system. ok is false if it has more components
// than were fetched.
func (e *Event) path() (path string, ok bool) {
	for i := range depth {
		name, fetched := e.strings[fmt.Sprintf("n%d", i)]
		switch {
		case !fetched:
			return path, false
		case name == "/":
			if path == "" {
				path = "/"
			}
			return path, true
		}
		path = "/" + name + path
	}
	return path, false
}

package lab

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of what a guest may send. A list of 100,000 measurements is below them.
const (
	longestLine = 4096     // bytes in one line
	mostItems   = 64       // items in a report
	longestItem = 16 << 20 // bytes in the content of an item
	longestAll  = 32 << 20 // bytes in the contents of a report
)

// WireError reports what is wrong with what the guest sent.
type WireError struct {
	Line int // counted from 1 over the whole connection
	What string
}

func (e *WireError) Error() string {
	return fmt.Sprintf("the guest's report, line %d: %s", e.Line, e.What)
}

// Items are the contents of a report by their names.
type Items map[string][]byte

// Wire decodes what the guest sends, in the format that guest.sh describes.
type Wire struct {
	r    *bufio.Reader
	line int
}

// NewWire returns a Wire that reads from r.
func NewWire(r io.Reader) *Wire { return &Wire{r: bufio.NewReaderSize(r, longestLine)} }

// wireVersion is the number that guest.sh sends after hello.
const wireVersion = "1"

// Hello reads the guest's first line and returns the kernel's release.
func (w *Wire) Hello() (release string, err error) {
	fields, err := w.fields("hello", 3)
	if err != nil {
		return "", err
	}
	if fields[1] != wireVersion {
		return "", w.wrong("format %q is not known", fields[1])
	}
	return fields[2], nil
}

// Done reads the end of an order and returns its exit status.
func (w *Wire) Done(order string) (status int, err error) {
	fields, err := w.fields("done", 3)
	if err != nil {
		return 0, err
	}
	if fields[1] != order {
		return 0, w.wrong("%q ended, not %q", fields[1], order)
	}
	status, err = strconv.Atoi(fields[2])
	if err != nil || status < 0 || status > 255 {
		return 0, w.wrong("%q is no exit status", fields[2])
	}
	return status, nil
}

// Report reads one report.
func (w *Wire) Report(label string) (Items, error) {
	fields, err := w.fields("report", 2)
	if err != nil {
		return nil, err
	}
	if fields[1] != label {
		return nil, w.wrong("report %q came, not %q", fields[1], label)
	}
	items := Items{}
	left := longestAll
	for {
		text, err := w.text()
		if err != nil {
			return nil, err
		}
		fields := strings.Split(text, " ")
		if fields[0] == "end" && len(fields) == 2 {
			if fields[1] != strconv.Itoa(len(items)) {
				return nil, w.wrong("%s items announced, %d came", fields[1], len(items))
			}
			return items, nil
		}
		content, err := w.item(fields, items, left)
		if err != nil {
			return nil, err
		}
		items[fields[1]] = content
		left -= len(content)
	}
}

// item reads the item whose first line has these fields.
func (w *Wire) item(fields []string, before Items, left int) ([]byte, error) {
	if len(fields) != 4 || fields[0] != "item" || fields[1] == "" {
		return nil, w.wrong("%q is no item", strings.Join(fields, " "))
	}
	name := fields[1]
	if _, twice := before[name]; twice {
		return nil, w.wrong("item %q came twice", name)
	}
	if len(before) == mostItems {
		return nil, w.wrong("more than %d items", mostItems)
	}
	size, err := strconv.Atoi(fields[2])
	if err != nil || size < 0 || size > min(longestItem, left) {
		return nil, w.wrong("item %q: size %s is beyond %d", name, fields[2], min(longestItem, left))
	}
	content, err := w.content(size)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != fields[3] {
		return nil, w.wrong("item %q does not have the SHA-256 that it came with", name)
	}
	return content, nil
}

// content reads lines of base64 up to a single dot. It allocates for what comes, not
// for what was announced.
func (w *Wire) content(size int) ([]byte, error) {
	var encoded bytes.Buffer
	for {
		text, err := w.text()
		if err != nil {
			return nil, err
		}
		if text == "." {
			break
		}
		if encoded.WriteString(text); encoded.Len() > base64.StdEncoding.EncodedLen(size) {
			return nil, w.wrong("more than the %d bytes announced", size)
		}
	}
	content, err := base64.StdEncoding.Strict().DecodeString(encoded.String())
	if err != nil {
		return nil, w.wrong("not base64: %v", err)
	}
	if len(content) != size {
		return nil, w.wrong("%d bytes came, %d were announced", len(content), size)
	}
	return content, nil
}

// fields reads a line of count words, the first of which must be word.
func (w *Wire) fields(word string, count int) ([]string, error) {
	text, err := w.text()
	if err != nil {
		return nil, err
	}
	fields := strings.Split(text, " ")
	if fields[0] != word || len(fields) != count {
		return nil, w.wrong("%q came, a line %q was due", text, word)
	}
	return fields, nil
}

// text reads a line without its end.
func (w *Wire) text() (string, error) {
	w.line++
	line, err := w.r.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull:
		return "", w.wrong("longer than %d bytes", longestLine)
	case err == io.EOF && len(line) > 0:
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	}
	return string(line[:len(line)-1]), nil
}

func (w *Wire) wrong(format string, args ...any) error {
	return &WireError{Line: w.line, What: fmt.Sprintf(format, args...)}
}

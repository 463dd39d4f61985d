package initcall

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Source names where a console's bytes come from.
type Source struct {
	kind   sourceKind
	path   string    // of a socket or file
	reader io.Reader // of a reader
}

type sourceKind uint8

const (
	readerSource sourceKind = iota // the zero Source reads nothing
	socketSource
	fileSource
)

// SourceError says why a source's text is refused.
type SourceError struct {
	Text   string
	Reason string
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("console source %q: %s; want unix:PATH (a socket, of QEMU's or for it), file:PATH (a growing file) or - (standard input)", e.Text, e.Reason)
}

// ParseSource reads the name of a source:
//
//	unix:PATH  a unix stream socket. Whoever comes first serves it: if
//	           somebody listens at PATH, Follow connects there, as for QEMU's
//	           -chardev socket,path=PATH,server=on; if not, Follow listens and
//	           QEMU connects, without server=on. A guest that comes back is
//	           followed again, either way, and a QEMU with server=on that comes
//	           later takes over.
//	file:PATH  a file that grows, as for QEMU's -serial file:PATH. It need not
//	           exist yet, and may be truncated or replaced.
//	-          standard input.
func ParseSource(text string) (Source, error) {
	fail := func(reason string) (Source, error) {
		return Source{}, &SourceError{Text: cut(text, 200), Reason: reason}
	}
	if text == "-" {
		return ReaderSource(os.Stdin), nil
	}
	kind, path, found := strings.Cut(text, ":")
	if !found {
		return fail("it has no kind")
	}
	s := Source{path: path}
	switch kind {
	case "unix":
		s.kind = socketSource
	case "file":
		s.kind = fileSource
	default:
		return fail("unknown kind")
	}
	if path == "" {
		return fail("it has no path")
	}
	if strings.IndexByte(path, 0) >= 0 {
		return fail("the path has a zero byte")
	}
	return s, nil
}

// ReaderSource is a source that ends when r does.
func ReaderSource(r io.Reader) Source {
	return Source{kind: readerSource, reader: r}
}

// String returns the text that ParseSource takes, and "-" for every reader.
func (s Source) String() string {
	switch s.kind {
	case socketSource:
		return "unix:" + s.path
	case fileSource:
		return "file:" + s.path
	}
	return "-"
}

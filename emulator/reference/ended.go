package reference

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// patience bounds every exchange with a process. The longest command, which makes
// an RSA key, needs some seconds on a slow machine.
const patience = 60 * time.Second

// EndedError says that the process of a reference has ended, or was ended
// because it did not answer. Manufacture starts another one.
type EndedError struct {
	TPM      string        // "simulator" or "swtpm"
	Status   string        // how the process ended: "signal: segmentation fault", …
	Said     string        // the first line of what it wrote to stderr
	Patience time.Duration // how long an answer was waited for in vain, 0 if the process ended by itself
}

// Error says how the process ended.
func (e *EndedError) Error() string {
	text := fmt.Sprintf("reference: the process of %s ended (%s)", e.TPM, e.Status)
	if e.Patience > 0 {
		text = fmt.Sprintf("reference: the process of %s was ended: no answer within %v", e.TPM, e.Patience)
	}
	if e.Said != "" {
		text += ": " + e.Said
	}
	return text
}

// Ended reports whether err says that the process of a reference has ended.
func Ended(err error) bool {
	var ended *EndedError
	return errors.As(err, &ended)
}

// firstBytes keeps what is written to it first, up to limit bytes.
type firstBytes struct {
	kept  []byte
	limit int
}

// Write takes everything and keeps what there is room for.
func (f *firstBytes) Write(b []byte) (int, error) {
	f.kept = append(f.kept, b[:min(len(b), f.limit-len(f.kept))]...)
	return len(b), nil
}

func (f *firstBytes) firstLine() string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(f.kept), []byte("\n"))
	return string(line)
}

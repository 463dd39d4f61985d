package initcall

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxTimelineText bounds the text of a timeline; a line for every level, with a
// long remark each, is far below.
const maxTimelineText = 64 << 10

// TimelineError says which line of a timeline's text is wrong and how.
type TimelineError struct {
	Line int    // from 1
	Text string // the line, cut to 80 bytes
	Err  error
}

func (e *TimelineError) Error() string {
	return fmt.Sprintf("timeline line %d (%q): %v", e.Line, e.Text, e.Err)
}

func (e *TimelineError) Unwrap() error { return e.Err }

var (
	errTimelineFields = errors.New(`want "LEVEL TIME", for example "late 4.2s"`)
	errTimelineSize   = fmt.Errorf("the text is longer than %d bytes", maxTimelineText)
)

// ParseTimeline reads a timeline's text. Each line holds one mark, a level as
// ParseLevel takes it and a time since power-on as time.ParseDuration takes it,
// with blanks between:
//
//	# arm64 virt, no firmware
//	kernel  100ms
//	late    900ms   # init_ima
//
// From # to the end of the line is a remark; empty lines are skipped. All else
// is refused with a *TimelineError.
func ParseTimeline(text string) (Timeline, error) {
	if len(text) > maxTimelineText {
		return nil, &TimelineError{Line: 1, Text: cut(text, 80), Err: errTimelineSize}
	}
	var t Timeline
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		fail := func(err error) (Timeline, error) {
			return nil, &TimelineError{Line: number, Text: cut(line, 80), Err: err}
		}
		mark, _, _ := strings.Cut(line, "#")
		fields := strings.Fields(mark)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 {
			return fail(errTimelineFields)
		}
		level, err := ParseLevel(fields[0])
		if err != nil {
			return fail(err)
		}
		at, err := time.ParseDuration(fields[1])
		if err != nil {
			return fail(err)
		}
		t = append(t, Mark{Level: level, At: at})
		if err := t.validate(len(t) - 1); err != nil {
			return fail(err)
		}
	}
	return t, nil
}

// String returns the text that ParseTimeline takes.
func (t Timeline) String() string {
	var b strings.Builder
	for _, m := range t {
		fmt.Fprintf(&b, "%-13s %s\n", m.Level, m.At)
	}
	return b.String()
}

// MarshalText returns String's text, if the timeline is valid.
func (t Timeline) MarshalText() ([]byte, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	return []byte(t.String()), nil
}

// UnmarshalText reads ParseTimeline's text.
func (t *Timeline) UnmarshalText(text []byte) error {
	parsed, err := ParseTimeline(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// cut shortens s to at most n bytes.
func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

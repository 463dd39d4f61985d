package conform

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Report is what a run has found.
type Report struct {
	// Target is where the TPM is.
	Target  string
	TPM     Identity
	Started time.Time
	// ResourceManager reports whether a resource manager was between.
	ResourceManager bool
	// Duration is that of all cases, and Commands how many were sent. Waited is the part
	// of it in which the TPM was waited for: the rest is the suite's own.
	Duration, Waited time.Duration
	Commands         int
	Results          []Result
	// Compared reports whether the TPM was compared at the end with what it was before,
	// and Left has what is not as it was.
	Compared bool
	Left     []string
}

// Count returns how many cases have a status.
func (r *Report) Count(s Status) (n int) {
	for i := range r.Results {
		if r.Results[i].Status == s {
			n++
		}
	}
	return n
}

// Summary is the last line of a report: how many cases of each status there are.
func (r *Report) Summary() string {
	var parts []string
	for _, s := range Statuses {
		if n := r.Count(s); n > 0 || s == Pass || s == Fail {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return fmt.Sprintf("%d cases: %s; %d commands in %v, %v of it waiting for the TPM", len(r.Results), strings.Join(parts, ", "), r.Commands,
		r.Duration.Round(time.Millisecond), r.Waited.Round(time.Millisecond))
}

// Found reports whether the TPM is as it was, in words.
func (r *Report) Found() string {
	switch {
	case !r.Compared:
		return "the TPM was not compared with what it was before"
	case len(r.Left) == 0:
		return "the TPM is as it was found"
	}
	return "the TPM is not as it was found: " + strings.Join(r.Left, "; ")
}

// WriteText writes the cases that did not pass, and the summary. With all, it writes the
// others too.
func (r *Report) WriteText(w io.Writer, all bool) error {
	var b strings.Builder
	for i := range r.Results {
		result := &r.Results[i]
		if result.Status == Fail || all && result.Status != NotRun {
			b.WriteString(result.Text())
		}
	}
	fmt.Fprintf(&b, "%s %s, firmware %s, library revision %s\n", r.TPM.Manufacturer, r.TPM.Vendor, r.TPM.Firmware, r.TPM.Revision)
	fmt.Fprintf(&b, "%s\n%s\n", r.Summary(), r.Found())
	_, err := io.WriteString(w, b.String())
	return err
}

// Text returns the result in a line or more.
func (r *Result) Text() string {
	text := fmt.Sprintf("%-13s %s\n", r.Status, r.Case.Name)
	if r.Status == Pass || r.Status == NotRun {
		return text
	}
	if r.Status != Fail {
		return text + "              " + r.Why + "\n"
	}
	text += "              " + r.Case.Section.String() + "\n"
	return text + "              " + r.Finding() + "\n"
}

// Finding says what is wrong with a case that failed.
func (r *Result) Finding() string {
	text := ""
	if r.Step > 0 {
		text = fmt.Sprintf("step %d, %s: ", r.Step, r.Command)
	}
	if r.Why != "" {
		return text + r.Why
	}
	return text + fmt.Sprintf("expected %s, got %s", r.Expected(), CodeName(r.Got))
}

// File is a report as JSON.
type File struct {
	Target  string    `json:"target"`
	TPM     Identity  `json:"tpm"`
	Started time.Time `json:"started"`
	// ResourceManager is in reports of TPMs with a resource manager between.
	ResourceManager bool    `json:"resourceManager,omitempty"`
	Seconds         float64 `json:"seconds"`
	// Waited is how many of the seconds were waiting for the TPM.
	Waited   float64        `json:"waited"`
	Commands int            `json:"commands"`
	Totals   map[Status]int `json:"totals"`
	AsFound  bool           `json:"asFound"`
	Left     []string       `json:"left,omitempty"`
	Cases    []FileCase     `json:"cases"`
}

// FileCase is a case in a File.
type FileCase struct {
	Name     string  `json:"name"`
	Document string  `json:"document"`
	Clause   string  `json:"clause"`
	Title    string  `json:"title"`
	Revision string  `json:"revision"`
	Status   Status  `json:"status"`
	Step     int     `json:"step,omitempty"`
	Command  string  `json:"command,omitempty"`
	Expected string  `json:"expected,omitempty"`
	Got      string  `json:"got,omitempty"`
	Why      string  `json:"why,omitempty"`
	Seconds  float64 `json:"seconds"`
}

// File returns the report as JSON has it.
func (r *Report) File() *File {
	f := &File{
		Target: r.Target, TPM: r.TPM, Started: r.Started, ResourceManager: r.ResourceManager, Seconds: r.Duration.Seconds(), Waited: r.Waited.Seconds(), Commands: r.Commands,
		Totals: map[Status]int{}, AsFound: r.Compared && len(r.Left) == 0, Left: r.Left, Cases: []FileCase{},
	}
	for _, s := range Statuses {
		f.Totals[s] = r.Count(s)
	}
	for i := range r.Results {
		f.Cases = append(f.Cases, r.Results[i].file())
	}
	return f
}

func (r *Result) file() FileCase {
	s := r.Case.Section
	c := FileCase{
		Name: r.Case.Name, Document: s.Document, Clause: s.Clause, Title: s.Title, Revision: s.Revision(),
		Status: r.Status, Why: r.Why, Seconds: r.Duration.Seconds(),
	}
	if r.Status == Fail {
		c.Step, c.Command = r.Step, r.Command
		if r.Why == "" {
			c.Expected, c.Got = r.Expected(), CodeName(r.Got)
		}
	}
	return c
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", " ")
	return out.Encode(r.File())
}

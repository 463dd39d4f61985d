package verify

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Render writes the verdict for a terminal: a line about the list, one for each
// PCR, and the findings with what they are about. What a list says cannot
// control the terminal.
func (v *Verdict) Render(w io.Writer) error {
	var b bytes.Buffer
	form := string(v.Form)
	if v.Digests != "" {
		form += ", template digests of " + v.Digests
	}
	fmt.Fprintf(&b, "list: %s, %s (%s)\n", counted(v.Records, "record"), counted(v.Violations, "violation"), form)
	for i := range v.Replays {
		v.Replays[i].render(&b)
	}
	for i := range v.Findings {
		v.Findings[i].render(&b, v.Findings[i].Severity.String())
	}
	_, err := w.Write(b.Bytes())
	return err
}

// counted is a number with what it counts.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func (r *Replay) render(b *bytes.Buffer) {
	fmt.Fprintf(b, "%s PCR %d: %s", r.Bank, r.PCR, r.State)
	if r.State == StateMatch {
		fmt.Fprintf(b, " at record %d, %s", r.Record, r.Digests)
	}
	if r.Quoted {
		b.WriteString(", quoted")
	}
	b.WriteByte('\n')
}

func (f *Finding) render(b *bytes.Buffer, mark string) {
	fmt.Fprintf(b, "%-11s %s: %s\n", mark, f.Code, f.Where())
	wrap(b, strings.ToUpper(f.Text[:1])+f.Text[1:])
}

// Render writes the outcome, what decided and what is tolerated.
func (r *Result) Render(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\n", r.Policy, r.Outcome)
	wrap(&b, r.Question)
	for i := range r.Decided {
		r.Decided[i].render(&b, r.Decided[i].Outcome.String())
	}
	for i := range r.Tolerated {
		r.Tolerated[i].render(&b, "tolerated")
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Reason) render(b *bytes.Buffer, mark string) {
	if r.Finding == nil {
		names := make([]string, len(r.Codes))
		for i, c := range r.Codes {
			names[i] = string(c)
		}
		fmt.Fprintf(b, "%-11s no %s\n", mark, strings.Join(names, ", no "))
		wrap(b, "Required: "+r.Policy+".")
		return
	}
	fmt.Fprintf(b, "%-11s %s: %s\n", mark, r.Finding.Code, r.Finding.Where())
	wrap(b, "Policy: "+r.Policy+".")
}

// printable replaces what could control a terminal.
func printable(r rune) rune {
	if r == ' ' || unicode.IsGraphic(r) {
		return r
	}
	return unicode.ReplacementChar
}

const (
	lineWidth  = 80
	lineIndent = "            "
)

// wrap writes text in lines of at most lineWidth characters, if its words
// allow that.
func wrap(b *bytes.Buffer, text string) {
	width := 0
	for _, word := range strings.Fields(strings.Map(printable, text)) {
		if width > 0 && width+1+utf8.RuneCountInString(word) > lineWidth {
			b.WriteByte('\n')
			width = 0
		}
		if width == 0 {
			b.WriteString(lineIndent)
			width = len(lineIndent) + utf8.RuneCountInString(word)
		} else {
			b.WriteByte(' ')
			width += 1 + utf8.RuneCountInString(word)
		}
		b.WriteString(word)
	}
	b.WriteByte('\n')
}

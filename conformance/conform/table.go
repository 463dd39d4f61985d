package conform

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Explanation says why a TPM answers cases in another way than the specification.
type Explanation struct {
	// Manufacturer is that of the TPM, as TPM_PT_MANUFACTURER has it.
	Manufacturer string
	// Cases is what the names of the cases begin with.
	Cases  string
	Reason string
}

// WriteTable writes how many cases of each chapter the TPMs of several reports passed, and
// what failed with its reason, as tables of Markdown. It returns how many failures have no
// explanation.
func WriteTable(w io.Writer, files []*File, explanations []Explanation) (unexplained int, err error) {
	var b strings.Builder
	b.WriteString("| chapter | cases |")
	for _, f := range files {
		fmt.Fprintf(&b, " %s |", f.Target)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(files)) + "\n")
	chapters := map[string]bool{}
	for _, f := range files {
		for i := range f.Cases {
			chapters[f.Cases[i].chapter()] = true
		}
	}
	for _, chapter := range append(slices.SortedFunc(maps.Keys(chapters), byNumber), "") {
		fmt.Fprintf(&b, "| %s |", cmp.Or(chapter, "all"))
		for i, f := range files {
			count := f.count(chapter)
			if i == 0 {
				fmt.Fprintf(&b, " %d |", count[Pass]+count[Fail]+count[NotSupported]+count[Refused]+count[NotRun])
			}
			fmt.Fprintf(&b, " %s |", counted(count))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n| TPM | case | expected | got | why |\n|---|---|---|---|---|\n")
	for _, f := range files {
		for i := range f.Cases {
			c := &f.Cases[i]
			if c.Status != Fail {
				continue
			}
			why := explain(f, c, explanations)
			if why == "" {
				why = "**not explained**"
				unexplained++
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", f.Target, c.Name, shorten(cmp.Or(c.Expected, c.Why)), c.Got, why)
		}
	}
	_, err = io.WriteString(w, b.String())
	return unexplained, err
}

func explain(f *File, c *FileCase, explanations []Explanation) string {
	for _, e := range explanations {
		if e.Manufacturer == f.TPM.Manufacturer && strings.HasPrefix(c.Name, e.Cases) {
			return e.Reason
		}
	}
	return ""
}

// shorten leaves the first of several right answers.
func shorten(expected string) string {
	first, rest, more := strings.Cut(expected, " or ")
	if more && strings.Contains(rest, " or ") {
		return first + " or another number"
	}
	return expected
}

// chapter is the document with the first number of the clause.
func (c *FileCase) chapter() string {
	number, _, _ := strings.Cut(c.Clause, ".")
	return c.Document + ", " + number
}

// byNumber orders chapters by document and number.
func byNumber(a, b string) int {
	documentA, numberA, _ := strings.Cut(a, ", ")
	documentB, numberB, _ := strings.Cut(b, ", ")
	return cmp.Or(cmp.Compare(documentA, documentB), cmp.Compare(len(numberA), len(numberB)), cmp.Compare(numberA, numberB))
}

// count returns how many cases of a chapter have each status; "" stands for all chapters.
func (f *File) count(chapter string) map[Status]int {
	count := map[Status]int{}
	for i := range f.Cases {
		if chapter == "" || f.Cases[i].chapter() == chapter {
			count[f.Cases[i].Status]++
		}
	}
	return count
}

// counted is a cell: how many passed, and what became of the others.
func counted(count map[Status]int) string {
	text := fmt.Sprintf("%d", count[Pass])
	for _, s := range Statuses[1:] {
		if count[s] > 0 {
			text += fmt.Sprintf(", %d %s", count[s], s)
		}
	}
	return text
}

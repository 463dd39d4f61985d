package cli

import (
	"regexp"
	"strings"
	"sync"
)

// A Page is a help text in its parts. Help texts are written by hand; manual pages and
// the descriptions of completions are made of them.
type Page struct {
	// Usage are the lines of "Usage:". A line that has a description beside it is
	// an Item with both.
	Usage  []Item
	Blocks []Block
}

// Block is a part of a page. One of Text, Items and Lines is there.
type Block struct {
	Heading string   // of a section that begins here, or ""
	Text    string   // a paragraph
	Items   []Item   // a list: flags, commands, words; one may lack a description
	Lines   []string // as they are: examples, files
}

// Item has a subject, such as "--json" or "--daemon, -d", and its description.
type Item struct{ Term, Text string }

// usage begins every help text.
const usage = "Usage: "

// Page returns the parts of the command's help.
func (c *Command) Page() Page {
	var p Page
	first, rest, _ := strings.Cut(c.Help, "\n\n")
	for line := range strings.Lines(first) {
		term, text, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, usage)), "  ")
		p.Usage = append(p.Usage, Item{term, strings.TrimSpace(text)})
	}
	for paragraph := range strings.SplitSeq(strings.Trim(rest, "\n"), "\n\n") {
		p.paragraph(strings.Split(strings.Trim(paragraph, "\n"), "\n"))
	}
	return p
}

// exitCodes begins the paragraph about them.
const exitCodes = "Exit codes: "

// paragraph appends the blocks of lines without an empty one.
func (p *Page) paragraph(lines []string) {
	heading := ""
	switch {
	case strings.HasPrefix(lines[0], exitCodes):
		heading = strings.TrimSuffix(exitCodes, ": ")
		lines[0] = strings.TrimPrefix(lines[0], exitCodes)
	case !indented(lines[0]) && strings.HasSuffix(lines[0], ":"):
		heading = strings.TrimSuffix(lines[0], ":")
		lines = lines[1:]
	}
	for len(lines) > 0 {
		n := 1
		for n < len(lines) && indented(lines[n]) == indented(lines[0]) {
			n++
		}
		b := Block{Heading: heading}
		switch {
		case !indented(lines[0]):
			b.Text = strings.Join(lines[:n], "\n")
		case heading != examples && isList(lines[:n]):
			b.Items = items(lines[:n])
		default:
			for _, line := range lines[:n] {
				b.Lines = append(b.Lines, strings.TrimPrefix(line, "  "))
			}
		}
		p.Blocks = append(p.Blocks, b)
		heading, lines = "", lines[n:]
	}
}

// examples is the section of command lines.
const examples = "Examples"

func indented(line string) bool { return strings.HasPrefix(line, "  ") }

// item matches the first line of one: what stands two columns in, and the description
// if there is room for it beside.
var item = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^  (\S+(?: \S+)*)(?:  +(\S.*))?$`) })

// flagsBeside matches flags with a description that has no room but for one space.
var flagsBeside = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^  (--?[a-zA-Z][\w-]*(?:\[?=\S+)?(?:, --?[a-zA-Z][\w-]*(?:\[?=\S+)?)*) ([a-z].*)$`)
})

// more matches a line that goes on with a description.
var more = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^ {12,}(\S.*)$`) })

// isList reports whether the lines are a list: their first item has a description,
// beside or below it.
func isList(lines []string) bool {
	m := item().FindStringSubmatch(lines[0])
	return m != nil && (m[2] != "" || strings.HasPrefix(m[1], "--") || len(lines) > 1 && more().MatchString(lines[1]))
}

func items(lines []string) (list []Item) {
	for _, line := range lines {
		if m := more().FindStringSubmatch(line); m != nil && len(list) > 0 {
			last := &list[len(list)-1]
			last.Text = strings.TrimPrefix(last.Text+"\n"+m[1], "\n")
			continue
		}
		next := Item{Term: strings.TrimSpace(line)}
		if m := item().FindStringSubmatch(line); m != nil {
			next = Item{m[1], m[2]}
		}
		if m := flagsBeside().FindStringSubmatch(line); m != nil && next.Text == "" {
			next = Item{m[1], m[2]}
		}
		if n := len(list); n > 0 && strings.HasSuffix(list[n-1].Term, ",") {
			// Terms on several lines have one description.
			next.Term = list[n-1].Term + " " + next.Term
			list = list[:n-1]
		}
		list = append(list, next)
	}
	return list
}

// flagName matches the flags of a term.
var flagName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?:^|[ ,])--?([a-zA-Z0-9][a-zA-Z0-9-]*)`) })

// Flags returns the descriptions of the flags, by their names.
func (p *Page) Flags() map[string]string {
	flags := map[string]string{}
	for _, b := range p.Blocks {
		for _, i := range b.Items {
			for _, m := range flagName().FindAllStringSubmatch(i.Term, -1) {
				flags[m[1]] = i.Text
			}
		}
	}
	return flags
}

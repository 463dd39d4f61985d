package manual

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

// page returns a manual page in the macros of man(7).
func page(c *cli.Command, version string, commands []cli.Command) []byte {
	w := new(writer)
	p := c.Page()
	name := pageName(c.Name)
	w.line(".TH %s 1 \"\" %s \"User Commands\"", quoted(strings.ToUpper(name)), quoted("swtpmd "+version))
	// Long words of examples leave lines that cannot be adjusted.
	w.line(".ad l")
	w.line(".SH NAME")
	w.line(`%s \- %s`, escape(name), escape(purpose(c, commands)))
	w.line(".SH SYNOPSIS")
	var subcommands []cli.Item
	w.line(".nf")
	for _, line := range p.Usage {
		if line.Text != "" {
			subcommands = append(subcommands, line)
			continue
		}
		w.line(`\fB%s\fR`, escape(line.Term))
	}
	w.line(".fi")
	w.line(".SH DESCRIPTION")
	options := false
	for _, b := range p.Blocks {
		switch b.Heading {
		case "":
			if b.Items != nil && !options {
				options = true
				w.line(".SH OPTIONS")
			}
		case "Examples":
			w.commands(subcommands)
			subcommands = nil
			w.line(".SH EXAMPLES")
		case "Exit codes":
			w.line(".SH EXIT STATUS")
		default:
			if !options {
				options = true
				w.line(".SH OPTIONS")
			}
			w.line(".SS %s", quoted(b.Heading))
		}
		w.block(&b)
	}
	w.commands(subcommands)
	w.seeAlso(c, commands)
	return []byte(w.String())
}

// purpose returns the few words that the daemon's help has for a command.
func purpose(c *cli.Command, commands []cli.Command) string {
	for i := range commands {
		if commands[i].Name != "" {
			continue
		}
		page := commands[i].Page()
		for _, line := range page.Usage {
			if words := strings.Fields(line.Term); len(words) > 1 && words[1] == c.Name {
				return line.Text
			}
		}
	}
	return "a software TPM 2.0 that may come late"
}

type writer struct {
	strings.Builder
	begun bool // a section has begun, and nothing is in it yet
}

func (w *writer) line(format string, args ...any) {
	w.begun = strings.HasPrefix(format, ".SH") || strings.HasPrefix(format, ".SS")
	fmt.Fprintf(w, format+"\n", args...)
}

// paragraph begins one, which a section does too.
func (w *writer) paragraph() {
	if !w.begun {
		w.line(".PP")
	}
}

// block writes a part of a page.
func (w *writer) block(b *cli.Block) {
	switch {
	case b.Text != "":
		w.paragraph()
		w.text(b.Text)
	case b.Lines != nil:
		w.paragraph()
		w.line(".RS 4\n.EX")
		for _, line := range b.Lines {
			w.text(line)
		}
		w.line(".EE\n.RE")
	}
	for _, i := range b.Items {
		w.line(".TP")
		w.line(`\fB%s\fR`, escape(i.Term))
		w.text(cmp.Or(i.Text, "As said above."))
	}
}

// commands writes the list of subcommands of the daemon's page.
func (w *writer) commands(list []cli.Item) {
	if len(list) == 0 {
		return
	}
	w.line(".SH COMMANDS")
	for _, i := range list {
		w.line(".TP\n\\fB%s\\fR", escape(i.Term))
		w.text(i.Text)
	}
}

// text writes lines of a text, none of which is taken for a macro.
func (w *writer) text(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		line = escape(line)
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		w.line("%s", line)
	}
}

// seeAlso names the other pages.
func (w *writer) seeAlso(c *cli.Command, commands []cli.Command) {
	w.line(".SH SEE ALSO")
	var pages []string
	for i := range commands {
		if commands[i].Name != c.Name {
			pages = append(pages, `\fB`+escape(pageName(commands[i].Name))+`\fR(1)`)
		}
	}
	w.line("%s", strings.Join(pages, ",\n"))
}

// escape keeps roff from reading text as anything but text (groff(7)): a hyphen is one
// that can be pasted.
var escape = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", `\(ga`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`, "…", "...").Replace

// quoted is text as one argument of a macro.
func quoted(text string) string { return `"` + strings.ReplaceAll(escape(text), `"`, `\(dq`) + `"` }

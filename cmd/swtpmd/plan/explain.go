package plan

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Explained is the explanation of a rule.
type Explained struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Rule string `json:"rule"`
	// For says which commands the rule is for, Does what happens then, and Later what
	// the rules after it see.
	For   string `json:"for"`
	Does  string `json:"does"`
	Later string `json:"later"`
	// Dangerous is what clients have done, of a fault that leaves the protocol.
	Dangerous string `json:"dangerous,omitempty"`
}

// explain says what each rule of files and of --fault means.
func (o *flags) explain(names []string, out io.Writer) error {
	for i := range o.rules {
		if err := o.print(out, explainRule(&o.rules[i])); err != nil {
			return err
		}
	}
	for _, name := range names {
		file, err := read(name)
		var wrong *faults.SyntaxError
		if errors.As(err, &wrong) {
			if _, err := fmt.Fprintln(out, wrong); err != nil {
				return err
			}
			return &cli.ExitError{Code: cli.ExitFailed}
		}
		if err != nil {
			return err
		}
		for i := range file.Rules {
			e := explainRule(&file.Rules[i])
			e.File, e.Line = name, file.Lines[i]
			if err := o.print(out, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e Explained) String() string {
	text := fmt.Sprintf("%s: %s %s", e.For, e.Does, e.Later)
	if e.File != "" {
		text = fmt.Sprintf("%s:%d: %s", e.File, e.Line, text)
	}
	if e.Dangerous != "" {
		text += " It leaves the protocol and needs --dangerous: " + e.Dangerous
	}
	return text
}

// kindOf returns the kind of what a rule does.
func kindOf(r *faults.Rule) faults.Kind {
	word, _, _ := strings.Cut(doing(r).String(), "=")
	for _, k := range faults.Kinds() {
		if k.Word == word {
			return k
		}
	}
	return faults.Kind{Word: word}
}

func doing(r *faults.Rule) faults.Fault {
	if r.Do == nil {
		return faults.Pass{}
	}
	return r.Do
}

func explainRule(r *faults.Rule) Explained {
	k := kindOf(r)
	e := Explained{Rule: r.String(), For: capital(which(&r.When)), Does: does(r, &k), Dangerous: k.Dangerous}
	e.Later = "The rules after this one are asked too."
	if k.Ends {
		e.Later = "No rule after this one sees the command."
	}
	return e
}

// does is the sentence of the kind, with the values of the fault.
func does(r *faults.Rule, k *faults.Kind) string {
	text := k.Doc
	_, value, has := strings.Cut(doing(r).String(), "=")
	if !has {
		return text
	}
	names, values := placeholder().FindAllString(k.Value, -1), strings.Split(value, ",")
	if len(names) != len(values) || strings.ContainsAny(k.Value, "|/…") {
		return text + " Here: " + value + "."
	}
	var said []string
	for i, name := range names {
		said = append(said, name+" is "+values[i])
	}
	return text + " Here " + strings.Join(said, ", ") + "."
}

// placeholder is what stands for a value in the shape of a kind.
var placeholder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[A-Z][A-Z]*`) })

// which says in words which commands a rule is for.
func which(w *faults.When) string {
	text := counted(w)
	for _, part := range []string{
		listed(w.Handles, " with the handle ", "0x%08x"), listed(w.PCRs, " of PCR ", "%d"), listed(w.Localities, " at locality ", "%d"),
		[...]string{"", " with sessions", " without sessions"}[w.Sessions], quoted(" from the client ", w.Client),
		levels(w), boots(w), times(w), quoted(" after the rule ", w.After),
	} {
		text += part
	}
	if w.After != "" {
		text += " has fired"
	}
	if w.Chance != 0 {
		text += ", with a probability of " + strconv.FormatFloat(w.Chance, 'g', -1, 64)
	}
	if w.Times > 0 {
		text += ", " + cli.Plural(w.Times, "time", "times") + " at most"
	}
	return text
}

// counted is the commands with their numbers.
func counted(w *faults.When) string {
	noun := "command"
	if len(w.Commands) > 0 {
		noun = listed(w.Commands, "", "")
	}
	from := max(w.First, 1)
	switch {
	case w.Every > 1 && w.First <= 1 && w.Last == 0:
		return fmt.Sprintf("every %s %s", ordinal(w.Every), noun)
	case w.Every > 1 && w.Last == 0:
		return fmt.Sprintf("every %s %s, counted from the %s on", ordinal(w.Every), noun, ordinal(from))
	case w.Every > 1:
		return fmt.Sprintf("every %s %s, counted from the %s to the %s", ordinal(w.Every), noun, ordinal(from), ordinal(w.Last))
	case w.First == w.Last && w.First > 0:
		return fmt.Sprintf("the %s %s", ordinal(w.First), noun)
	case w.Last > 0:
		return fmt.Sprintf("the %s to the %s %s", ordinal(from), ordinal(w.Last), noun)
	case w.First > 1:
		return fmt.Sprintf("each %s from the %s on", noun, ordinal(w.First))
	}
	return "each " + noun
}

// listed joins values with commas and a last "or"; commands have their names.
func listed[T uint8 | uint32 | int](list []T, before, format string) string {
	var b strings.Builder
	for i, one := range list {
		switch {
		case i == 0:
			b.WriteString(before)
		case i == len(list)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		if format == "" {
			b.WriteString(cli.CommandName(uint32(one)))
		} else {
			fmt.Fprintf(&b, format, one)
		}
	}
	return b.String()
}

func quoted(before, text string) string {
	if text == "" {
		return ""
	}
	return before + strconv.Quote(text)
}

func levels(w *faults.When) string {
	switch {
	case w.From == initcall.Firmware && w.Until == initcall.Firmware:
		return ""
	case w.Until == initcall.Firmware:
		return fmt.Sprintf(" from level %s on", w.From)
	case w.Until == w.From+1:
		return fmt.Sprintf(" at level %s", w.From)
	case w.From == initcall.Firmware:
		return fmt.Sprintf(" until level %s is reached", w.Until)
	}
	return fmt.Sprintf(" from level %s until %s is reached", w.From, w.Until)
}

func boots(w *faults.When) string {
	switch {
	case w.FromBoot <= 1 && w.Boots == 0:
		return ""
	case w.Boots == 0:
		return fmt.Sprintf(" from the %s boot on", ordinal(w.FromBoot))
	case w.FromBoot == w.Boots:
		return fmt.Sprintf(" in the %s boot", ordinal(w.Boots))
	}
	return fmt.Sprintf(" in the %s to the %s boot", ordinal(max(w.FromBoot, 1)), ordinal(w.Boots))
}

func times(w *faults.When) string {
	span := func(d time.Duration) string { return d.String() }
	switch {
	case w.Since == 0 && w.Before == 0:
		return ""
	case w.Before == 0:
		return " from " + span(w.Since) + " after power-on"
	case w.Since == 0:
		return " until " + span(w.Before) + " after power-on"
	}
	return " from " + span(w.Since) + " to " + span(w.Before) + " after power-on"
}

// ordinal is a number in a sequence.
func ordinal(n int) string {
	words := [...]string{1: "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}
	if n > 0 && n < len(words) {
		return words[n]
	}
	end := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			end = "st"
		case 2:
			end = "nd"
		case 3:
			end = "rd"
		}
	}
	return strconv.Itoa(n) + end
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

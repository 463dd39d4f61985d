package faults

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// String returns the rule as ParseRule reads it.
func (r Rule) String() string {
	var words []string
	if r.Name != "" {
		words = append(words, "name="+r.Name)
	}
	words = append(words, r.When.words()...)
	if len(words) == 0 || len(words) == 1 && r.Name != "" {
		words = append([]string{"*"}, words...)
	}
	return strings.Join(words, " ") + ": " + r.fault().String()
}

// words returns the words of a rule, without its name.
func (w *When) words() []string {
	var words []string
	add := func(key, value string) {
		if value != "" {
			words = append(words, key+value)
		}
	}
	add("", w.commandText())
	add("level=", w.levelText())
	add("boot=", span("..", count(w.FromBoot), count(w.Boots)))
	add("time=", openSpan(duration(w.Since), duration(w.Before)))
	add("locality=", joined(w.Localities, "%d"))
	add("handle=", joined(w.Handles, "0x%08x"))
	add("pcr=", joined(w.PCRs, "%d"))
	add("session=", [...]string{AnySessions: "", WithSessions: "yes", WithoutSessions: "no"}[w.Sessions])
	add("client=", w.Client)
	add("after=", w.After)
	if w.Chance != 0 {
		add("p=", strconv.FormatFloat(w.Chance, 'g', -1, 64))
	}
	add("times=", count(w.Times))
	return words
}

func (w *When) commandText() string {
	var names []string
	for _, code := range w.Commands {
		name, _, ok := wire.CC(code).Command()
		switch {
		case code == InitSignal:
			name = initName
		case !ok:
			name = fmt.Sprintf("%#x", code)
		}
		names = append(names, name)
	}
	text := strings.Join(names, ",")
	which := span("-", count(w.First), count(w.Last))
	if text == "" && (which != "" || w.Every > 1) {
		text = "*"
	}
	if which != "" {
		text += "#" + which
	}
	if w.Every > 1 {
		text += "/" + strconv.Itoa(w.Every)
	}
	return text
}

func (w *When) levelText() string {
	switch {
	case w.Until == initcall.Firmware && w.From == initcall.Firmware:
		return ""
	case w.Until == initcall.Firmware:
		return w.From.String() + ".."
	case w.From == initcall.Firmware:
		return ".." + w.Until.String()
	}
	return w.From.String() + ".." + w.Until.String()
}

// count is a number, empty for 0.
func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// span is N, N-M, N- or -M with a separator, empty for neither.
func span(sep, first, last string) string {
	if first == last {
		return first
	}
	return first + sep + last
}

func openSpan(first, last string) string {
	if first == "" && last == "" {
		return ""
	}
	return first + ".." + last
}

func joined[T any](list []T, format string) string {
	var texts []string
	for _, one := range list {
		texts = append(texts, fmt.Sprintf(format, one))
	}
	return strings.Join(texts, ",")
}

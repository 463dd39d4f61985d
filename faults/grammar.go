package faults

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// SyntaxError reports where a text is no rule, or a file no plan.
type SyntaxError struct {
	// File is the name of the file, empty for a rule alone. Line and Column count from
	// 1, Column in bytes; a Line of 0 stands for a rule alone.
	File         string
	Line, Column int
	Reason       string
}

func (e *SyntaxError) Error() string {
	at := fmt.Sprintf("column %d", e.Column)
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
	}
	return at + ": " + e.Reason
}

// ParseRule reads a rule: what it is for, a colon, a space and what happens then.
//
//	PCR_Extend#3: rc=TPM_RC_FAILURE
//	level=kernel..late_sync boot=1: hold=30s
//	name=rare GetRandom p=0.01 times=2: rc=RETRY
//
// What it is for is a list of words, all of which must be true of the command, or an
// asterisk alone for every command. Commands have their names of Part 3, a comma between
// two, or their codes (0x17b); after them may stand #N for the N-th of them, #N-M, #N- and
// #-M for a range, and /K for every K-th. _TPM_Init among them is power-on and reset. The
// other words are
//
//	level=A, A..B, A.., ..B   from level A on, until level B is reached; A alone: at A
//	boot=N, N..M, N.., ..M    in the boots N to M
//	time=A..B, A.., ..B       so long after power-on
//	locality=N,M   handle=H,I   pcr=N,M   session=yes|no   client=NAME
//	after=RULE                once that rule has fired
//	p=0.1   times=N           with that probability; N times at most
//	name=NAME                 the rule's name in the journal
//
// ParseRule is the inverse of Rule.String. The error is a *SyntaxError.
func ParseRule(text string) (Rule, error) {
	var r Rule
	end := separator(text)
	if end < 0 {
		return r, &SyntaxError{Column: len(text) + 1, Reason: `a rule is what it is for, ": " and a fault, such as "PCR_Extend#3: rc=TPM_RC_FAILURE"`}
	}
	words := wordsOf(text[:end])
	if len(words) == 0 {
		return r, &SyntaxError{Column: 1, Reason: `nothing says what the rule is for; "*" is every command`}
	}
	seen := make(map[string]bool)
	for _, w := range words {
		key, value, has := strings.Cut(w.text, "=")
		if !has {
			key, value = "a command", w.text
		}
		if seen[key] {
			reason := key + " is given twice"
			if !has {
				reason = "between two commands stands a comma without space"
			}
			return r, &SyntaxError{Column: w.column, Reason: reason}
		}
		seen[key] = true
		if reason := r.word(key, value); reason != "" {
			return r, &SyntaxError{Column: w.column, Reason: reason}
		}
	}
	if seen["a command"] && words[0].text == "*" && len(words) > 1 && !(len(words) == 2 && seen["name"]) {
		return r, &SyntaxError{Column: words[0].column, Reason: `"*" stands alone: leave it out before other words`}
	}
	fault, err := ParseFault(text[end+1:])
	if err != nil {
		return r, &SyntaxError{Column: end + 3, Reason: err.Error()}
	}
	r.Do = fault
	if reason := r.When.impossible(); reason != "" {
		return r, &SyntaxError{Column: words[0].column, Reason: reason}
	}
	return r, nil
}

// separator returns the index of the colon that ends what a rule is for, -1 if there is
// none: the first that white space follows.
func separator(text string) int {
	for i := range len(text) - 1 {
		if text[i] == ':' && (text[i+1] == ' ' || text[i+1] == '\t') {
			return i
		}
	}
	return -1
}

// word is a word of a rule, with its column from 1.
type word struct {
	text   string
	column int
}

func wordsOf(text string) []word {
	var words []word
	start := -1
	for i, c := range text + " " {
		if !unicode.IsSpace(c) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			words = append(words, word{text[start:i], start + 1})
			start = -1
		}
	}
	return words
}

// word takes a word of what the rule is for. It returns what is wrong with it, empty if
// nothing is.
func (r *Rule) word(key, value string) string {
	if value == "" {
		return key + " has no value"
	}
	if strings.ContainsFunc(value, func(c rune) bool { return !unicode.IsGraphic(c) }) {
		return fmt.Sprintf("%s has a character that cannot be seen: %q", key, value)
	}
	w := &r.When
	var ok bool
	switch key {
	case "a command":
		return w.commands(value)
	case "name":
		r.Name, ok = value, true
	case "level":
		return w.levels(value)
	case "boot":
		w.FromBoot, w.Boots, ok = numbers(value, "..")
	case "time":
		w.Since, w.Before, ok = times(value)
	case "locality":
		w.Localities, ok = list[uint8](value, 8)
	case "handle":
		w.Handles, ok = list[uint32](value, 32)
	case "pcr":
		w.PCRs, ok = list[int](value, 8)
	case "session":
		w.Sessions, ok = map[string]Sessions{"yes": WithSessions, "no": WithoutSessions}[value]
	case "client":
		w.Client, ok = value, true
	case "after":
		w.After, ok = value, true
	case "p":
		var err error
		w.Chance, err = strconv.ParseFloat(value, 64)
		ok = err == nil && w.Chance > 0 && w.Chance < 1
	case "times":
		w.Times, ok = number(value)
	default:
		return fmt.Sprintf("there is no word %q; the words are a command, level, boot, time, locality, handle, pcr, session, client, after, p, times, name", key)
	}
	if !ok {
		return fmt.Sprintf("%q is not a value of %s; it is written %s", value, key, shapes[key])
	}
	return ""
}

// shapes are how the values of words are written.
var shapes = map[string]string{
	"boot": "N, N..M, N.. or ..M, with numbers from 1", "time": "A..B, A.. or ..B, with times such as 30s",
	"locality": "N or N,M with numbers from 0 to 255", "handle": "H or H,I with numbers such as 0x81000001",
	"pcr": "N or N,M with numbers from 0 to 23", "session": "yes or no",
	"p": "as a number above 0 and below 1", "times": "as a number from 1",
}

// commands reads NAME,NAME#N-M/K.
func (w *When) commands(value string) string {
	names, every, has := strings.Cut(value, "/")
	var ok bool
	if has {
		if w.Every, ok = number(every); !ok {
			return fmt.Sprintf("after / stands the K of every K-th command, and not %q", every)
		}
	}
	names, which, has := strings.Cut(names, "#")
	if has {
		if w.First, w.Last, ok = numbers(which, "-"); !ok {
			return fmt.Sprintf("after # stands N, N-M, N- or -M, with numbers from 1, and not %q", which)
		}
	}
	if names == "*" {
		return ""
	}
	for name := range strings.SplitSeq(names, ",") {
		code, ok := wire.CommandByName(name)
		if name == initName {
			code, ok = wire.CC(InitSignal), true
		}
		if !ok {
			hex, err := strconv.ParseUint(name, 0, 32)
			if err != nil {
				return fmt.Sprintf("there is no command %q; write its name as Part 3 has it, such as PCR_Extend, or its code, such as 0x182", name)
			}
			code = wire.CC(hex)
		}
		if slices.Contains(w.Commands, uint32(code)) {
			return fmt.Sprintf("command %s is given twice", name)
		}
		w.Commands = append(w.Commands, uint32(code))
	}
	return ""
}

// levels reads A..B.
func (w *When) levels(value string) string {
	first, last, isRange := strings.Cut(value, "..")
	if isRange && first == "" && last == "" {
		return "level=.. has neither a beginning nor an end"
	}
	for _, end := range []struct {
		text  string
		level *initcall.Level
	}{{first, &w.From}, {last, &w.Until}} {
		if end.text == "" {
			continue
		}
		if err := end.level.UnmarshalText([]byte(end.text)); err != nil {
			return err.Error()
		}
	}
	if last != "" && w.Until == initcall.Firmware {
		return "no level comes before firmware"
	}
	if !isRange && w.From < initcall.Userspace {
		w.Until = w.From + 1
	}
	return ""
}

// list reads numbers with commas between them.
func list[T uint8 | uint32 | int](text string, bits int) (numbers []T, ok bool) {
	for one := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseUint(one, 0, bits)
		if err != nil || slices.Contains(numbers, T(n)) {
			return nil, false
		}
		numbers = append(numbers, T(n))
	}
	return numbers, true
}

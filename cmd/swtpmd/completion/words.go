package completion

import (
	"flag"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

// candidate is a word that can stand at the end of a command line.
type candidate struct{ word, means string }

// candidates are those for one place.
type candidates struct {
	words []candidate
	files bool // names of files are others
}

// complete returns what can stand in the place of the last word.
func complete(commands []cli.Command, words []string) candidates {
	last := words[len(words)-1]
	name := ""
	if len(words) > 1 && !strings.HasPrefix(words[0], "-") {
		name, words = words[0], words[1:]
	} else if !strings.HasPrefix(words[0], "-") {
		return commandsLike(commands, last)
	}
	at := slices.IndexFunc(commands, func(c cli.Command) bool { return c.Name == name })
	if at < 0 {
		return candidates{}
	}
	c := &commands[at]
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	c.New(f)
	if flag, value, ok := strings.Cut(last, "="); ok && strings.HasPrefix(last, "-") {
		return valuesLike(name, strings.TrimLeft(flag, "-"), flag+"=", value)
	}
	if len(words) > 1 {
		if before := words[len(words)-2]; takesNext(f, before) {
			return valuesLike(name, strings.TrimLeft(before, "-"), "", last)
		}
	}
	if strings.HasPrefix(last, "-") {
		return flagsLike(c, f, last)
	}
	return argumentsLike(name, positional(f, words[:len(words)-1]), last)
}

// takesNext reports whether the word is a flag whose value is the next word.
func takesNext(f *flag.FlagSet, word string) bool {
	if !strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
		return false
	}
	found := f.Lookup(strings.TrimLeft(word, "-"))
	return found != nil && !isSwitch(found)
}

// isSwitch reports whether a flag stands alone.
func isSwitch(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// positional returns the words that are neither flags nor values of such.
func positional(f *flag.FlagSet, words []string) (list []string) {
	for i, word := range words {
		if !strings.HasPrefix(word, "-") && (i == 0 || !takesNext(f, words[i-1])) {
			list = append(list, word)
		}
	}
	return list
}

// commandsLike returns the commands that begin with text.
func commandsLike(commands []cli.Command, text string) (found candidates) {
	means := map[string]string{}
	for i := range commands {
		if commands[i].Name == "" {
			page := commands[i].Page()
			for _, line := range page.Usage {
				if words := strings.Fields(line.Term); len(words) > 1 {
					means[words[1]] = line.Text
				}
			}
		}
	}
	for _, c := range commands {
		if c.Name != "" && strings.HasPrefix(c.Name, text) {
			found.words = append(found.words, candidate{c.Name, means[c.Name]})
		}
	}
	return found
}

// flagsLike returns the flags of a command that begin with text, those that take a
// value with "=".
func flagsLike(c *cli.Command, f *flag.FlagSet, text string) (found candidates) {
	page := c.Page()
	means := page.Flags()
	add := func(name, end string) {
		word := "--" + name + end
		if len(name) > 1 && strings.HasPrefix(word, text) {
			line, _, _ := strings.Cut(means[name], "\n")
			found.words = append(found.words, candidate{word, line})
		}
	}
	f.VisitAll(func(flag *flag.Flag) {
		switch {
		case flag.Usage == cli.Hidden:
		case isSwitch(flag):
			add(flag.Name, "")
		default:
			add(flag.Name, "=")
		}
	})
	add("help", "")
	return found
}

// valuesLike returns the values of a flag that begin with text, each after what stands
// before it in the word. A flag that has no words of its own has files.
func valuesLike(command, name, before, text string) (found candidates) {
	of, known := values[command+" "+name]
	if !known {
		of, known = values[name]
	}
	if !known {
		return candidates{files: true}
	}
	found.files = of.files
	if of.rule {
		kept, words := ruleWords(text)
		before, text = before+kept, text[len(kept):]
		of.words = func() []string { return words }
	}
	for _, word := range of.words() {
		if strings.HasPrefix(word, text) {
			found.words = append(found.words, candidate{word: before + word})
		}
	}
	return found
}

// argumentsLike returns what can stand after the arguments before it.
func argumentsLike(command string, before []string, text string) (found candidates) {
	next, known := arguments[command]
	if !known {
		return candidates{files: true}
	}
	found.files = len(before) > 0 && filesAfter[command]
	for _, word := range next(before) {
		if strings.HasPrefix(word, text) {
			found.words = append(found.words, candidate{word: word})
		}
	}
	return found
}

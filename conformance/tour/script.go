package tour

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed chapters/*.txt
var files embed.FS

// Chapter is a sequence of steps that build on each other.
type Chapter struct {
	Name  string
	Steps []Step
}

// Step proves something about some tools.
type Step struct {
	// Tools are the tools that the step proves something about. It may run others too.
	Tools []string
	// Proves describes what, in words.
	Proves string
	// Resets reports whether the step resets the TPM.
	Resets bool

	lines []line
}

// line is an action or a check.
type line struct {
	file   string
	number int
	words  []string
}

// ScriptError is a line of a chapter that is wrong.
type ScriptError struct {
	File   string
	Line   int
	Reason string
}

func (e *ScriptError) Error() string { return fmt.Sprintf("tour: %s:%d: %s", e.File, e.Line, e.Reason) }

// Chapters returns all chapters, ordered by name.
func Chapters() ([]Chapter, error) {
	names, err := fs.Glob(files, "chapters/*.txt")
	if err != nil {
		return nil, err
	}
	var chapters []Chapter
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		chapter, err := Parse(path.Base(name), string(text))
		if err != nil {
			return nil, err
		}
		chapters = append(chapters, chapter)
	}
	return chapters, nil
}

// Tools returns the different tools that the chapters prove something about, in
// alphabetical order.
func Tools(chapters []Chapter) []string {
	var tools []string
	for _, chapter := range chapters {
		for _, step := range chapter.Steps {
			tools = append(tools, step.Tools...)
		}
	}
	slices.Sort(tools)
	return slices.Compact(tools)
}

// Parse reads a chapter. It refuses a step that does not run the tools that it
// names, or does not look at anything that they did.
func Parse(file, text string) (Chapter, error) {
	chapter := Chapter{Name: strings.TrimSuffix(file, path.Ext(file))}
	number := 0
	for source := range strings.Lines(text) {
		number++
		source = strings.TrimSpace(source)
		if source == "" || source[0] == '#' {
			continue
		}
		var err error
		if title, ok := strings.CutPrefix(source, "step "); ok {
			err = chapter.begin(title)
		} else {
			err = chapter.add(line{file: file, number: number}, source)
		}
		if err != nil {
			return Chapter{}, &ScriptError{file, number, err.Error()}
		}
	}
	for i := range chapter.Steps {
		if err := chapter.Steps[i].proof(); err != nil {
			return Chapter{}, &ScriptError{file, number, err.Error()}
		}
	}
	return chapter, nil
}

// begin begins a step.
func (c *Chapter) begin(title string) error {
	tools, proves, ok := strings.Cut(title, ": ")
	if !ok {
		return errors.New("a step is: step TOOL[,TOOL…]: what is proved")
	}
	c.Steps = append(c.Steps, Step{Tools: strings.Split(tools, ","), Proves: proves})
	return nil
}

// add gives the last step one line more.
func (c *Chapter) add(l line, source string) error {
	if len(c.Steps) == 0 {
		return errors.New("a line before the first step")
	}
	words, err := split(source)
	if err != nil {
		return err
	}
	l.words = words
	step := &c.Steps[len(c.Steps)-1]
	step.lines = append(step.lines, l)
	step.Resets = step.Resets || words[0] == "reset"
	return check(words)
}

// proof says why a step proves nothing about its tools.
func (s *Step) proof() error {
	looks := false
	run := map[string]bool{}
	for _, l := range s.lines {
		m, words := manners(l.words)
		if isProgram(words) {
			run[words[0]] = true
			looks = looks || m.fails != ""
			continue
		}
		looks = looks || acts[words[0]].looks
	}
	if !looks {
		return fmt.Errorf("step %q looks at nothing", s.Proves)
	}
	for _, tool := range s.Tools {
		if !run[tool] {
			return fmt.Errorf("step %q does not run %s", s.Proves, tool)
		}
	}
	return nil
}

// manner is how a program is run, told by the words before its name.
type manner struct {
	fails            string // it must fail and say this
	from             string // the file that it reads
	eventually, keep bool
}

// manners takes the words about the manner off a line.
func manners(words []string) (manner, []string) {
	var m manner
	for len(words) > 1 {
		switch words[0] {
		case "fails":
			m.fails, words = words[1], words[2:]
		case "from":
			m.from, words = words[1], words[2:]
		case "eventually":
			m.eventually, words = true, words[1:]
		case "keep":
			m.keep, words = true, words[1:]
		default:
			return m, words
		}
	}
	return m, words
}

// isProgram reports whether a line, its manners taken off, runs a program.
func isProgram(words []string) bool {
	return len(words) > 0 && (words[0] == "openssl" || strings.HasPrefix(words[0], "tpm2_"))
}

// check describes what is wrong with a line.
func check(words []string) error {
	if _, rest := manners(words); isProgram(rest) {
		return nil
	}
	a, ok := acts[words[0]]
	switch {
	case !ok:
		return fmt.Errorf("%q is neither an act nor a program of tpm2-tools or openssl", strings.Join(words, " "))
	case len(words)-1 < a.least || a.most >= 0 && len(words)-1 > a.most:
		return fmt.Errorf("it is: %s %s", words[0], a.usage)
	}
	return nil
}

// split takes a line apart into words.
func split(source string) ([]string, error) {
	var words []string
	for source = strings.TrimLeft(source, " \t"); source != ""; source = strings.TrimLeft(source, " \t") {
		if quote := source[0]; quote == '"' || quote == '\'' {
			word, rest, ok := strings.Cut(source[1:], string(quote))
			if !ok {
				return nil, fmt.Errorf("a quote is not closed: %s", source)
			}
			words, source = append(words, word), rest
			continue
		}
		end := strings.IndexAny(source, " \t")
		if end < 0 {
			end = len(source)
		}
		words, source = append(words, source[:end]), source[end:]
	}
	return words, nil
}

package files

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/swtpmd/swtpmd/ima/measure"
)

// unlabeled is the label with which SELinux treats a file without one.
var unlabeled = measure.Label{User: "system_u", Role: "object_r", Type: "unlabeled_t"}

// ParseLabel reads an SELinux context, user:role:type, with or without a level
// after it.
func ParseLabel(context string) (measure.Label, bool) {
	parts := strings.SplitN(strings.TrimRight(context, "\x00\n"), ":", 4)
	if len(parts) < 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return measure.Label{}, false
	}
	return measure.Label{User: parts[0], Role: parts[1], Type: parts[2]}, true
}

// Contexts are rules that label files by their paths, as SELinux has them in
// file_contexts: a regular expression of the whole path, the kind of file, and the
// context. Of those that match a path the last one holds.
type Contexts []fileContext

type fileContext struct {
	stem    string // with which each path that matches begins
	pattern *regexp.Regexp
	label   measure.Label // zero for <<none>>
}

// Bounds of file_contexts in bytes: that of Fedora has 500 KB.
const (
	contextLineMax = 1 << 14
	contextsMax    = 1 << 23
)

// ContextsError is a line that is no rule of file_contexts(5).
type ContextsError struct {
	Line   int // the first is 1
	Reason string
}

func (e *ContextsError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// ParseContexts reads file_contexts(5) and skips the rules that are not for regular
// files. The error is a *ContextsError.
func ParseContexts(r io.Reader) (Contexts, error) {
	var rules Contexts
	bounded := &io.LimitedReader{R: r, N: contextsMax + 1}
	lines := bufio.NewScanner(bounded)
	lines.Buffer(nil, contextLineMax)
	number := 0
	for lines.Scan() {
		number++
		if bounded.N == 0 {
			return nil, &ContextsError{number, fmt.Sprintf("the rules are longer than %d bytes", contextsMax)}
		}
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		rule, wanted, problem := parseFileContext(words)
		if problem != "" {
			return nil, &ContextsError{number, problem}
		}
		if wanted {
			rules = append(rules, rule)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &ContextsError{number + 1, err.Error()}
	}
	return rules, nil
}

func parseFileContext(words []string) (rule fileContext, wanted bool, problem string) {
	kind := "--"
	switch len(words) {
	case 2:
	case 3:
		kind = words[1]
	default:
		return rule, false, "a rule is PATTERN [-KIND] CONTEXT"
	}
	if len(kind) != 2 || kind[0] != '-' || !strings.Contains("-bcdpls", kind[1:]) {
		return rule, false, fmt.Sprintf("%.16q is no kind of file; -- is that of regular files", kind)
	}
	pattern, err := regexp.Compile(words[0])
	if err != nil {
		return rule, false, fmt.Sprintf("pattern %.64q: %v", words[0], err)
	}
	rule.stem, _ = pattern.LiteralPrefix()
	if rule.pattern, err = regexp.Compile("^(?:" + words[0] + ")$"); err != nil {
		return rule, false, fmt.Sprintf("pattern %.64q: %v", words[0], err)
	}
	context, ok := words[len(words)-1], true
	if context != "<<none>>" {
		rule.label, ok = ParseLabel(context)
	}
	if !ok {
		return rule, false, fmt.Sprintf("%.64q is no context; one is user:role:type:level, or <<none>>", context)
	}
	return rule, kind == "--", ""
}

// Label returns the label of a path. ok is false if no rule has one.
func (c Contexts) Label(path string) (measure.Label, bool) {
	for i := len(c) - 1; i >= 0; i-- {
		if strings.HasPrefix(path, c[i].stem) && c[i].pattern.MatchString(path) {
			return c[i].label, c[i].label != measure.Label{}
		}
	}
	return measure.Label{}, false
}

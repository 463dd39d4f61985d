package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
)

// unlabeled is what SELinux takes a file for that has no label.
var unlabeled = ima.Label{User: "system_u", Role: "object_r", Type: "unlabeled_t"}

// parseLabel reads an SELinux context, user:role:type, with or without a level
// after it.
func parseLabel(context string) (ima.Label, bool) {
	parts := strings.SplitN(strings.TrimRight(context, "\x00\n"), ":", 4)
	if len(parts) < 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return ima.Label{}, false
	}
	return ima.Label{User: parts[0], Role: parts[1], Type: parts[2]}, true
}

// fileContexts are rules that label files by their paths, as SELinux has them in
// file_contexts: a regular expression of the whole path, the kind of file, and the
// context. Of those that match a path the last one holds.
type fileContexts []fileContext

type fileContext struct {
	stem    string // with which each path that matches begins
	pattern *regexp.Regexp
	label   ima.Label // zero for <<none>>
}

// Bounds of file_contexts in bytes: that of Fedora has 500 KB.
const (
	contextLineMax = 1 << 14
	contextsMax    = 1 << 23
)

// labelError says what is wrong with a line of labels.
type labelError struct {
	line   int
	reason string
}

func (e *labelError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.reason) }

// parseFileContexts reads file_contexts(5). Rules for what is no regular file are
// passed over.
func parseFileContexts(r io.Reader) (fileContexts, error) {
	var rules fileContexts
	bounded := &io.LimitedReader{R: r, N: contextsMax + 1}
	lines := bufio.NewScanner(bounded)
	lines.Buffer(nil, contextLineMax)
	number := 0
	for lines.Scan() {
		number++
		if bounded.N == 0 {
			return nil, &labelError{number, fmt.Sprintf("the rules are longer than %d bytes", contextsMax)}
		}
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		rule, wanted, problem := parseFileContext(words)
		if problem != "" {
			return nil, &labelError{number, problem}
		}
		if wanted {
			rules = append(rules, rule)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &labelError{number + 1, err.Error()}
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
		rule.label, ok = parseLabel(context)
	}
	if !ok {
		return rule, false, fmt.Sprintf("%.64q is no context; one is user:role:type:level, or <<none>>", context)
	}
	return rule, kind == "--", ""
}

// label returns the label of a path; ok is false if no rule has one.
func (c fileContexts) label(path string) (ima.Label, bool) {
	for i := len(c) - 1; i >= 0; i-- {
		if strings.HasPrefix(path, c[i].stem) && c[i].pattern.MatchString(path) {
			return c[i].label, c[i].label != ima.Label{}
		}
	}
	return ima.Label{}, false
}

package main

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed limits.txt
var limitsText string

// limit is the most that a figure may be.
type limit struct {
	of   string // a package, or *, of which there is no other limit; words: a word, or *
	what string // knot, code, uncommented or word
	most int
}

// parseLimits reads a list: WHAT MOST OF, in a line each, of which # begins a
// comment.
func parseLimits(text string) ([]limit, error) {
	var list []limit
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		wrong := fmt.Errorf("limits.txt:%d: %q is not knot, code, uncommented or word, a number, and what it is of", i+1, line)
		if len(fields) < 3 {
			return nil, wrong
		}
		most, err := strconv.Atoi(fields[1])
		switch {
		case err != nil || most < 0:
			return nil, wrong
		case fields[0] != "knot" && fields[0] != "code" && fields[0] != "uncommented" && fields[0] != "word":
			return nil, wrong
		}
		list = append(list, limit{what: fields[0], most: most, of: strings.Join(fields[2:], " ")})
	}
	return list, nil
}

// exceeded returns a sentence for each figure that is above its limit, and for each
// limit of something that is not there.
func exceeded(s shape, list []limit) (found []string) {
	used := map[limit]bool{}
	hold := func(what, of string, value int, detail func() string) {
		for _, name := range []string{of, "*"} {
			for _, l := range list {
				if l.what != what || l.of != name {
					continue
				}
				used[l] = true
				if value > l.most {
					found = append(found, fmt.Sprintf("%s of %s is %d, at most %d: %s", what, of, value, l.most, detail()))
				}
				return
			}
		}
	}
	for _, p := range s.Packages {
		knot := []string{}
		if len(p.Knots) > 0 {
			knot = p.Knots[0]
		}
		hold("knot", p.Path, len(knot), func() string { return strings.Join(knot, " ") })
		hold("code", p.Path, p.Code, func() string { return strconv.Itoa(p.Files) + " files" })
		hold("uncommented", p.Path, len(p.Uncommented), func() string { return strings.Join(p.Uncommented, ", ") })
	}
	for _, w := range s.Words {
		hold("word", w.Word, len(w.Places), func() string { return "instead: " + w.Instead + ": " + strings.Join(w.Places, ", ") })
	}
	for _, l := range list {
		if !used[l] && l.of != "*" {
			found = append(found, fmt.Sprintf("limits.txt: there is no %s of %s", l.what, l.of))
		}
	}
	return found
}

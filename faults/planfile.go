package faults

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a plan's file.
const (
	maxPlan  = 1 << 20 // bytes
	maxRules = 10000
)

// ParsePlan reads a plan from the text of a file: one rule in a line, as ParseRule reads
// it, and before them, if it has one, its seed.
//
//	# The extend that IMA needs fails, and every tenth command is slow.
//	seed 7
//	PCR_Extend#3: rc=TPM_RC_FAILURE
//	name=slow */10: delay=200ms
//
// Empty lines and those that begin with # say nothing. Name is the file's, for errors:
// *SyntaxError with the line and column of what is wrong. The plan is valid but for what
// its file does not say: given dangerous, a clock and what else it needs, Validate and
// Wrap look again.
func ParsePlan(name string, text []byte, given Plan) (Plan, error) {
	plan := given
	wrong := func(line, column int, reason string) (Plan, error) {
		return given, &SyntaxError{File: name, Line: line, Column: column, Reason: reason}
	}
	if len(text) > maxPlan {
		return wrong(1, 1, fmt.Sprintf("the file has more than %d bytes", maxPlan))
	}
	var lines []int // of the rules
	seeded := 0
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSuffix(line, "\r")
		trimmed := strings.TrimSpace(line)
		column := strings.Index(line, trimmed) + 1
		switch word, rest, _ := strings.Cut(trimmed, " "); {
		case !utf8.ValidString(line):
			return wrong(i+1, 1, "the line is not UTF-8")
		case trimmed == "" || trimmed[0] == '#':
			continue
		case word == "seed":
			seed, err := strconv.ParseUint(strings.TrimSpace(rest), 0, 64)
			switch {
			case err != nil:
				return wrong(i+1, column, "after seed stands a number of 64 bits")
			case seeded > 0:
				return wrong(i+1, column, fmt.Sprintf("the seed stands in line %d already", seeded))
			case len(lines) > 0:
				return wrong(i+1, column, "the seed stands before the rules")
			}
			plan.Seed, seeded = seed, i+1
			continue
		}
		rule, err := ParseRule(line)
		var syntax *SyntaxError
		if errors.As(err, &syntax) {
			return wrong(i+1, syntax.Column, syntax.Reason)
		}
		if len(lines) == maxRules {
			return wrong(i+1, column, fmt.Sprintf("the plan has more than %d rules", maxRules))
		}
		plan.Rules = append(plan.Rules[:len(plan.Rules):len(plan.Rules)], rule)
		lines = append(lines, i+1)
	}
	var bad *PlanError
	if err := plan.Validate(); errors.As(err, &bad) {
		if at := bad.Index - len(given.Rules); at >= 0 {
			return wrong(lines[at], 1, bad.Reason)
		}
		return given, err
	}
	return plan, nil
}

// Text returns the plan as ParsePlan reads it: its seed and its rules.
func (p *Plan) Text() string {
	var b strings.Builder
	if p.Seed != 0 {
		fmt.Fprintf(&b, "seed %d\n", p.Seed)
	}
	for i := range p.Rules {
		fmt.Fprintln(&b, p.Rules[i])
	}
	return b.String()
}

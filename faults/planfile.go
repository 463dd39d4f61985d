package faults

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a plan's file.
const (
	maxPlan  = 1 << 20 // bytes
	maxRules = 10000
)

// PlanFile is what the text of a plan's file says.
type PlanFile struct {
	Name string // of the file
	// Seed is the file's; Seeded reports whether it has one.
	Seed   uint64
	Seeded bool
	// Rules are the file's, and Lines theirs, from 1.
	Rules []Rule
	Lines []int
}

// ParsePlanFile reads the text of a plan's file: one rule in a line, as ParseRule reads
// it, and before them, if it has one, its seed.
//
//	# The extend that IMA needs fails, and every tenth command is slow.
//	seed 7
//	PCR_Extend#3: rc=TPM_RC_FAILURE
//	name=slow */10: delay=200ms
//
// Empty lines and those that begin with # say nothing. Name is the file's, for errors:
// *SyntaxError with the line and column of what is wrong. Whether the rules can be
// together is for Plan.Validate to say.
func ParsePlanFile(name string, text []byte) (PlanFile, error) {
	file := PlanFile{Name: name}
	wrong := func(line, column int, reason string) (PlanFile, error) {
		return PlanFile{}, &SyntaxError{File: name, Line: line, Column: column, Reason: reason}
	}
	if len(text) > maxPlan {
		return wrong(1, 1, fmt.Sprintf("the file has more than %d bytes", maxPlan))
	}
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
			case len(file.Rules) > 0:
				return wrong(i+1, column, "the seed stands before the rules")
			}
			file.Seed, file.Seeded, seeded = seed, true, i+1
			continue
		}
		rule, err := ParseRule(line)
		var syntax *SyntaxError
		if errors.As(err, &syntax) {
			return wrong(i+1, syntax.Column, syntax.Reason)
		}
		if len(file.Rules) == maxRules {
			return wrong(i+1, column, fmt.Sprintf("the plan has more than %d rules", maxRules))
		}
		file.Rules, file.Lines = append(file.Rules, rule), append(file.Lines, i+1)
	}
	return file, nil
}

// ParsePlan reads a plan from the text of a file, as ParsePlanFile does, and adds its rules
// to those that are given, and its seed. The plan is valid but for what its file does not
// say: given dangerous, a clock and what else it needs, Validate and Wrap look again.
func ParsePlan(name string, text []byte, given Plan) (Plan, error) {
	file, err := ParsePlanFile(name, text)
	if err != nil {
		return given, err
	}
	plan := given
	plan.Rules = append(slices.Clip(plan.Rules), file.Rules...)
	if file.Seeded {
		plan.Seed = file.Seed
	}
	var bad *PlanError
	if err := plan.Validate(); errors.As(err, &bad) {
		if at := bad.Index - len(given.Rules); at >= 0 {
			return given, &SyntaxError{File: name, Line: file.Lines[at], Column: 1, Reason: bad.Reason}
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

package faults

import (
	"embed"
	"fmt"
	"path"
	"strings"
	"sync"
)

// NamedPlan is a plan of this package's library: a situation that somebody has met.
type NamedPlan struct {
	Name string
	// Doc says what the situation is and where it was met: the comments of the plan.
	Doc string
	// Text is the plan's file, as ParsePlanFile reads it.
	Text string
}

// Summary returns the first sentence of Doc.
func (p NamedPlan) Summary() string {
	first, _, _ := strings.Cut(strings.ReplaceAll(p.Doc, "\n", " "), ". ")
	return strings.TrimSuffix(strings.TrimSpace(first), ".")
}

// File returns what the plan's file says.
func (p NamedPlan) File() (PlanFile, error) { return ParsePlanFile(p.Name+".plan", []byte(p.Text)) }

//go:embed plans/*.plan
var planFiles embed.FS

// NamedPlans returns the library of plans, by name.
func NamedPlans() []NamedPlan { return namedPlans() }

// namedPlans reads the files once.
var namedPlans = sync.OnceValue(func() (list []NamedPlan) {
	files, err := planFiles.ReadDir("plans")
	for _, file := range files {
		text, errRead := planFiles.ReadFile(path.Join("plans", file.Name()))
		if err != nil || errRead != nil {
			panic(fmt.Sprint("internal error: ", file.Name(), err, errRead))
		}
		p := NamedPlan{Name: strings.TrimSuffix(file.Name(), ".plan"), Text: string(text)}
		for line := range strings.Lines(p.Text) {
			if comment, ok := strings.CutPrefix(line, "#"); ok {
				p.Doc += strings.TrimSpace(comment) + "\n"
			}
		}
		list = append(list, p)
	}
	return list
})

// UnknownPlanError is the answer to the name of a plan that the library does not have.
type UnknownPlanError struct {
	Name string
}

func (e *UnknownPlanError) Error() string {
	var names []string
	for _, p := range NamedPlans() {
		names = append(names, p.Name)
	}
	return fmt.Sprintf("there is no plan %q in the library; the plans are %s", e.Name, strings.Join(names, ", "))
}

// FindPlan returns the plan with a name. The error is an *UnknownPlanError.
func FindPlan(name string) (NamedPlan, error) {
	for _, p := range NamedPlans() {
		if p.Name == name {
			return p, nil
		}
	}
	return NamedPlan{}, &UnknownPlanError{name}
}

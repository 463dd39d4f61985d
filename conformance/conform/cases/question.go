package cases

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/conform"
)

// question is a case about one command, under construction. The name of the case is made
// of the command, of what is asked and of the answer.
type question struct {
	code tpm2.TPMCC
	what string
	step conform.Step
	// before are the steps that lead to it, and then those that follow.
	before, then []conform.Step
	needs        conform.Needs
	harm         conform.Harm
	section      conform.Section
	answer       string
	after        []conform.Step
}

// about begins a question about a command with handles and parameters. Without a response
// code, success is expected.
func about(code tpm2.TPMCC, what string, on, with []conform.Part, want ...tpm2.TPMRC) *question {
	return &question{
		code: code, what: what, section: section(code),
		step: conform.Step{As: "asked", Command: code, Handles: on, Parameters: with, Want: want},
	}
}

// first has steps before the question.
func (q *question) first(steps ...conform.Step) *question {
	q.before = append(q.before, steps...)
	return q
}

// next has steps after the question.
func (q *question) next(steps ...conform.Step) *question {
	q.then = append(q.then, steps...)
	return q
}

// afterwards has steps that put back what was changed.
func (q *question) afterwards(steps ...conform.Step) *question {
	q.after = append(q.after, steps...)
	return q
}

// check looks at the answer, and says in the name of the case what has to hold.
func (q *question) check(says string, test func(*conform.Answer) error) *question {
	if q.answer == "" {
		q.answer = says
	}
	q.step.Checks = append(q.step.Checks, conform.Check{Says: says, Test: test})
	return q
}

// gives sets the answer in the name of the case.
func (q *question) gives(says string) *question {
	q.answer = says
	return q
}

// by sets the authorization area.
func (q *question) by(auths ...conform.Auth) *question {
	q.step.Auths = auths
	return q
}

// at sets the locality.
func (q *question) at(locality uint8) *question {
	q.step.Locality = locality
	q.needs.Localities = locality != 0
	return q
}

// edited changes the bytes of the command.
func (q *question) edited(edit func([]byte) []byte) *question {
	q.step.Edit = edit
	return q
}

// unauthorized leaves the authorization area out.
func (q *question) unauthorized() *question {
	q.step.Unauthorized = true
	return q
}

// needing adds to what the TPM has to have: algorithms, curves, or a function that
// changes the needs.
func (q *question) needing(what ...any) *question {
	for _, w := range what {
		switch w := w.(type) {
		case tpm2.TPMAlgID:
			q.needs.Algs = append(q.needs.Algs, w)
		case tpm2.TPMECCCurve:
			q.needs.Curves = append(q.needs.Curves, w)
		case conform.ParameterSet:
			q.needs.Sets = append(q.needs.Sets, w)
		case func(*conform.Needs):
			w(&q.needs)
		default:
			panic(fmt.Sprintf("conform: a case cannot need %T", w))
		}
	}
	return q
}

// harming adds harm.
func (q *question) harming(harm conform.Harm) *question {
	q.harm |= harm
	return q
}

// in sets another section than that of the command.
func (q *question) in(section conform.Section) *question {
	q.section = section
	return q
}

// build returns the case.
func (q *question) build() conform.Case {
	answer := q.answer
	if answer == "" {
		answer = "answers " + outcomeText(q.step.Want)
	}
	c := conform.Case{
		Name:    fmt.Sprintf("%s %s %s", conformance.CommandName(uint32(q.code)), q.what, answer),
		Section: q.section, Needs: q.needs, Harm: q.harm, After: q.after,
	}
	c.Steps = append(append(append(c.Steps, q.before...), q.step), q.then...)
	for i := range c.Steps {
		needed(&c.Needs, c.Steps[i].Parameters)
	}
	return c
}

// built returns the cases of questions.
func built(questions ...*question) []conform.Case {
	cases := make([]conform.Case, len(questions))
	for i, q := range questions {
		cases[i] = q.build()
	}
	return cases
}

// named is a part that names an algorithm, a curve or a parameter set, which the TPM has to
// have.
type named struct {
	conform.Raw
	algs   []tpm2.TPMAlgID
	curves []tpm2.TPMECCCurve
	sets   []conform.ParameterSet
}

// needed adds the algorithms, curves and parameter sets that are named in parts.
func needed(needs *conform.Needs, parts []conform.Part) {
	for _, part := range parts {
		switch p := part.(type) {
		case named:
			for _, alg := range p.algs {
				if alg != tpm2.TPMAlgNull && !slices.Contains(needs.Algs, alg) {
					needs.Algs = append(needs.Algs, alg)
				}
			}
			for _, curve := range p.curves {
				if !slices.Contains(needs.Curves, curve) {
					needs.Curves = append(needs.Curves, curve)
				}
			}
			for _, set := range p.sets {
				if !slices.Contains(needs.Sets, set) {
					needs.Sets = append(needs.Sets, set)
				}
			}
		case conform.Sized:
			needed(needs, p)
		case conform.Join:
			needed(needs, p)
		}
	}
}

// on makes a handle area: a text is the label of a step or fixture.
func on(handles ...any) []conform.Part {
	parts := make([]conform.Part, len(handles))
	for i, h := range handles {
		switch h := h.(type) {
		case string:
			parts[i] = conform.Handle(h)
		case tpm2.TPMHandle:
			parts[i] = conform.Permanent(h)
		case int: // a PCR, or a handle that is wrong
			parts[i] = conform.U32(uint32(h))
		case conform.Part:
			parts[i] = h
		default:
			panic(fmt.Sprintf("conform: %T is no handle", h))
		}
	}
	return parts
}

// with makes parameters: texts and byte slices are TPM2Bs, numbers are as wide as their
// types. Algorithms and curves are needed; what the TPM need not have is written as a
// number.
func with(values ...any) conform.Join {
	parts := make(conform.Join, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case conform.Part:
			parts[i] = v
		case string:
			parts[i] = conform.Text(v)
		case []byte:
			parts[i] = conform.Bytes(v)
		case bool:
			parts[i] = conform.Raw{0}
			if v {
				parts[i] = conform.Raw{1}
			}
		case byte:
			parts[i] = conform.U8(v)
		case uint16:
			parts[i] = conform.U16(v)
		case uint32:
			parts[i] = conform.U32(v)
		case uint64:
			parts[i] = conform.U64(v)
		case tpm2.TPMAlgID:
			parts[i] = named{Raw: conform.U16(v), algs: []tpm2.TPMAlgID{v}}
		case tpm2.TPMECCCurve:
			parts[i] = named{Raw: conform.U16(v), curves: []tpm2.TPMECCCurve{v}}
		case conform.ParameterSet:
			parts[i] = named{Raw: conform.U16(v.Set), algs: []tpm2.TPMAlgID{v.Alg}, sets: []conform.ParameterSet{v}}
		case tpm2.TPMHandle:
			parts[i] = conform.Permanent(v)
		default:
			panic(fmt.Sprintf("conform: %T is no parameter", v))
		}
	}
	return parts
}

// anyNumber are the forms of a response code for which the specification does not say
// what it is about.
func anyNumber(codes ...tpm2.TPMRC) []tpm2.TPMRC {
	var all []tpm2.TPMRC
	for _, code := range codes {
		all = append(all, code)
		for n := 1; n <= 7; n++ {
			all = append(all, p(n, code))
		}
		for n := 1; n <= 3; n++ {
			all = append(all, h(n, code))
		}
	}
	return all
}

// outcomeText is the text of response codes in the name of a case.
func outcomeText(want []tpm2.TPMRC) string {
	if len(want) == 0 {
		return "TPM_RC_SUCCESS"
	}
	var names []string
	for _, code := range want {
		name := conform.CodeWords(code)
		if bare, _, numbered := strings.Cut(name, " ("); numbered && len(want) > 2 {
			name = bare
		}
		if name = strings.NewReplacer(" (", " for ", ")", "").Replace(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

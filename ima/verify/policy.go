package verify

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Outcome is the answer of an attestation service to a finding, and to all of
// them. A greater one prevails. The zero value is none.
type Outcome uint8

// The outcomes.
const (
	// Accept reports that the evidence is good enough.
	Accept Outcome = iota + 1
	// CannotTell reports that the evidence does not answer the question.
	CannotTell
	// Reject reports that the evidence is against the policy.
	Reject
)

var outcomeNames = [...]string{Accept: "accept", CannotTell: "cannot-tell", Reject: "reject"}

func (o Outcome) String() string {
	if o > 0 && int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// MarshalText returns "accept", "cannot-tell" or "reject".
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText gives.
func (o *Outcome) UnmarshalText(text []byte) error {
	i := slices.Index(outcomeNames[:], string(text))
	if i < 1 {
		return fmt.Errorf("no outcome %q; there are accept, cannot-tell and reject", text)
	}
	*o = Outcome(i)
	return nil
}

// Policy is the appraisal policy of an attestation service.
type Policy struct {
	Name string `json:"name"`
	// Question is the question that an acceptance answers with yes.
	Question string `json:"question"`
	// Require has findings without which nothing is accepted.
	Require []Requirement `json:"require"`
	// Rules give each code an outcome, at most once.
	Rules []Rule `json:"rules"`
	// Otherwise is the outcome of findings without a rule. A policy that
	// would accept those is refused.
	Otherwise Outcome `json:"otherwise"`
}

// Requirement is met by a finding of any of the codes.
type Requirement struct {
	Any    []Code  `json:"any"`
	Else   Outcome `json:"else"`
	Reason string  `json:"reason"`
}

// Rule is the outcome of findings.
type Rule struct {
	Findings []Code  `json:"findings"`
	Outcome  Outcome `json:"outcome"`
	Reason   string  `json:"reason"`
}

// PolicyError says what is wrong with a policy. Nothing of it is used then.
type PolicyError struct {
	// Where is the place, such as "rule 3", Offset the byte in the file if it
	// is no JSON.
	Where  string
	Offset int64
	Err    error
}

func (e *PolicyError) Error() string {
	if e.Where == "" {
		return fmt.Sprintf("appraisal policy, byte %d: %v", e.Offset, e.Err)
	}
	return fmt.Sprintf("appraisal policy, %s: %v", e.Where, e.Err)
}

func (e *PolicyError) Unwrap() error { return e.Err }

//go:embed policies/*.json
var policyFiles embed.FS

// PolicyNames lists the policies that are built in.
func PolicyNames() []string { return []string{"strict", "accept-late", "build-bound"} }

// PolicyByName returns a built-in policy. The error is a PolicyError.
func PolicyByName(name string) (*Policy, error) {
	if !slices.Contains(PolicyNames(), name) {
		return nil, &PolicyError{Where: "name", Err: fmt.Errorf("no policy %q is built in; there are %s", name, strings.Join(PolicyNames(), ", "))}
	}
	text, err := policyFiles.ReadFile(path.Join("policies", name+".json"))
	if err != nil {
		return nil, &PolicyError{Where: "name", Err: err}
	}
	return ParsePolicy(text)
}

// policyMax bounds a policy file, in bytes.
const policyMax = 1 << 20

// ParsePolicy reads a policy file: the JSON of a Policy. Keys that are not
// known, keys that come twice, codes that do not exist and what follows the
// object are refused, and so is a policy that would accept what cannot be
// known (CodeInfo.Floor). The error is a PolicyError.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > policyMax {
		return nil, &PolicyError{Offset: policyMax, Err: fmt.Errorf("%d bytes, a policy has at most %d", len(text), policyMax)}
	}
	if err := checkKeys(text); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	p := new(Policy)
	if err := d.Decode(p); err != nil {
		return nil, &PolicyError{Offset: d.InputOffset(), Err: err}
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}

// jsonDepth bounds how deep a policy file nests; a policy nests four deep.
const jsonDepth = 8

// checkKeys refuses what encoding/json passes over: keys that come twice, also
// in another case, and anything after the object.
func checkKeys(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	err := checkValue(d, 0)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		err = errors.New("something follows the policy")
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &PolicyError{Offset: d.InputOffset(), Err: err}
}

func checkValue(d *json.Decoder, depth int) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == jsonDepth {
		return fmt.Errorf("nested more than %d deep", jsonDepth)
	}
	seen := make(map[string]bool)
	for d.More() {
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name := strings.ToLower(fmt.Sprint(key))
			if seen[name] {
				return fmt.Errorf("key %q comes twice", name)
			}
			seen[name] = true
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// check refuses policies that mean nothing, or accept too much.
func (p *Policy) check() error {
	switch {
	case p.Name == "":
		return &PolicyError{Where: "name", Err: errors.New("there is none")}
	case p.Question == "":
		return &PolicyError{Where: "question", Err: errors.New("there is none; it says what is accepted")}
	case p.Otherwise <= Accept:
		return &PolicyError{Where: "otherwise", Err: errors.New("findings without a rule are not accepted; give them cannot-tell or reject")}
	case len(p.Require) == 0:
		return &PolicyError{Where: "require", Err: errors.New("a policy that requires nothing accepts evidence that shows nothing")}
	}
	for i, q := range p.Require {
		if err := q.check(); err != nil {
			return &PolicyError{Where: fmt.Sprintf("requirement %d", i+1), Err: err}
		}
	}
	seen := make(map[Code]bool)
	for i, rule := range p.Rules {
		if err := rule.check(seen); err != nil {
			return &PolicyError{Where: fmt.Sprintf("rule %d", i+1), Err: err}
		}
	}
	return nil
}

func (q *Requirement) check() error {
	if q.Else <= Accept {
		return errors.New("else: a requirement that is not met is not accepted; give cannot-tell or reject")
	}
	if len(q.Any) == 0 {
		return errors.New("any: there is no code")
	}
	for _, c := range q.Any {
		if err := checkCode(c); err != nil {
			return err
		}
	}
	if q.Reason == "" {
		return errors.New("reason: there is none")
	}
	return nil
}

func (r *Rule) check(seen map[Code]bool) error {
	if len(r.Findings) == 0 {
		return errors.New("findings: there is no code")
	}
	if r.Outcome == 0 {
		return errors.New("outcome: there is none")
	}
	if r.Reason == "" {
		return errors.New("reason: there is none")
	}
	for _, c := range r.Findings {
		if err := checkCode(c); err != nil {
			return err
		}
		if seen[c] {
			return fmt.Errorf("%s has a rule already", c)
		}
		seen[c] = true
		if floor := codeRow(c).floor; r.Outcome < floor {
			return fmt.Errorf("%s can be given %s at best: %s", c, floor, codeRow(c).doc)
		}
	}
	return nil
}

func checkCode(c Code) error {
	if !slices.ContainsFunc(codes, func(row code) bool { return row.code == c }) {
		return fmt.Errorf("no finding %q", c)
	}
	return nil
}

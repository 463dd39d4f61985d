package control

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// RuleStatus is one rule, and what has become of it.
type RuleStatus struct {
	Name string `json:"name"`
	// Rule is the rule as a plan has it.
	Rule    string         `json:"rule"`
	From    initcall.Level `json:"from"`
	Until   initcall.Level `json:"until"`
	Boots   int            `json:"boots,omitempty"`
	Enabled bool           `json:"enabled"`
	// InForce reports whether the boot is where the rule applies, and the rule is enabled.
	InForce bool `json:"in_force"`
	// Fitted and Fired are those of faults.RuleStatus.
	Fitted uint64 `json:"fitted"`
	Fired  uint64 `json:"fired"`
}

// Rules returns the rules in their order.
func (p *Panel) Rules() []RuleStatus {
	list := []RuleStatus{}
	if p.Layer == nil {
		return list
	}
	for _, r := range p.Layer.Rules() {
		list = append(list, RuleStatus{
			Name: r.Name, Rule: r.Rule.String(), From: r.When.From, Until: r.When.Until, Boots: r.When.Boots,
			Enabled: !r.Disabled, InForce: r.InForce, Fitted: r.Fitted, Fired: r.Fired,
		})
	}
	return list
}

// addRequest is the body of POST /rules.
type addRequest struct {
	Rules []string `json:"rules"`
}

// nameRequest is the body of POST /rules/remove.
type nameRequest struct {
	Name *string `json:"name"`
}

// enableRequest is the body of POST /rules/enable.
type enableRequest struct {
	Name    *string `json:"name"`
	Enabled *bool   `json:"enabled"`
}

// Why the body of a request is refused.
var (
	errNoRules  = errors.New(`the request names no rule; send {"rules":["GetRandom#1: rc=RETRY"]}`)
	errNoName   = errors.New(`the request names no rule; send {"name":"…"}, with a name of GET /rules`)
	errNoSwitch = errors.New(`the request has no "enabled"; send {"name":"…","enabled":true}`)
	errNoLayer  = errors.New("there are no faults in front of this TPM")
)

// Bounds of what clients may add.
const (
	maxRules       = 1000    // at a time
	maxRuleRequest = 1 << 20 // bytes
)

// TooManyRulesError is the answer to rules for which there is no room.
type TooManyRulesError struct {
	Max int
}

func (e *TooManyRulesError) Error() string {
	return fmt.Sprintf("there would be more than %d rules; remove some first", e.Max)
}

func (p *Panel) serveAdd(w http.ResponseWriter, r *http.Request) {
	var request addRequest
	err := read(http.MaxBytesReader(w, r.Body, maxRuleRequest), &request)
	if err == nil && len(request.Rules) == 0 {
		err = errNoRules
	}
	var rules []faults.Rule
	for _, text := range request.Rules {
		if err != nil {
			break
		}
		var rule faults.Rule
		if rule, err = faults.ParseRule(text); err != nil {
			err = fmt.Errorf("rule %q: %w", text[:min(len(text), 200)], err)
		}
		rules = append(rules, rule)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	p.change(w, func(l *faults.Layer) error {
		if len(l.Rules())+len(rules) > maxRules {
			return &TooManyRulesError{maxRules}
		}
		return l.Add(rules...)
	}, RuleChange{Change: RuleAdded, Rules: texts(rules)})
}

// texts returns rules as a plan has them.
func texts(rules []faults.Rule) (list []string) {
	for _, r := range rules {
		list = append(list, r.String())
	}
	return list
}

func (p *Panel) serveRemove(w http.ResponseWriter, r *http.Request) {
	var request nameRequest
	err := read(http.MaxBytesReader(w, r.Body, maxRuleRequest), &request)
	if err == nil && request.Name == nil {
		err = errNoName
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	p.change(w, func(l *faults.Layer) error { return l.Remove(*request.Name) },
		RuleChange{Change: RuleRemoved, Rules: []string{*request.Name}})
}

func (p *Panel) serveEnable(w http.ResponseWriter, r *http.Request) {
	var request enableRequest
	err := read(http.MaxBytesReader(w, r.Body, maxRuleRequest), &request)
	switch {
	case err != nil:
	case request.Name == nil:
		err = errNoName
	case request.Enabled == nil:
		err = errNoSwitch
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	change := RuleChange{Change: RuleEnabled, Rules: []string{*request.Name}}
	if !*request.Enabled {
		change.Change = RuleDisabled
	}
	p.change(w, func(l *faults.Layer) error { return l.Enable(*request.Name, *request.Enabled) }, change)
}

// change changes the rules and answers them.
func (p *Panel) change(w http.ResponseWriter, do func(*faults.Layer) error, what RuleChange) {
	if p.Layer == nil {
		refuse(w, http.StatusBadGateway, errNoLayer)
		return
	}
	p.changes.Lock()
	defer p.changes.Unlock()
	err := do(p.Layer)
	var unknown *faults.UnknownRuleError
	switch {
	case errors.As(err, &unknown):
		refuse(w, http.StatusNotFound, err)
	case err != nil:
		refuse(w, http.StatusConflict, err)
	default:
		if p.Changed != nil {
			p.Changed(what)
		}
		p.tell(Event{Kind: RulesEvent, Rules: &what})
		answer(w, p.Rules())
	}
}

package faults

import (
	"errors"
	"time"
)

// LayerState has what a layer has counted, for a layer in another process.
type LayerState struct {
	// Commands counts the commands that have come, Powered is how long the device has had
	// power.
	Commands uint64        `json:"commands"`
	Powered  time.Duration `json:"powered_ns"`
	Rules    []RuleState   `json:"rules,omitempty"`
}

// RuleState is a rule and what it has counted.
type RuleState struct {
	Rule     string `json:"rule"` // as ParseRule reads it
	Disabled bool   `json:"disabled,omitempty"`
	Fitted   uint64 `json:"fitted,omitempty"`
	Fired    uint64 `json:"fired,omitempty"`
}

// State returns what the layer has counted. What a fault remembers from command to command,
// has begun and goes on with, or has changed inside the TPM is not in it.
func (l *Layer) State() LayerState {
	s := LayerState{Commands: l.number.Load(), Powered: l.sincePower()}
	for _, r := range l.set.Load().rules {
		s.Rules = append(s.Rules, RuleState{r.Rule.String(), r.disabled.Load(), r.fitted.Load(), r.hits.Load()})
	}
	return s
}

// ParseRules returns the rules of a state, for the Plan of the layer that gets it.
func (s *LayerState) ParseRules() (rules []Rule, err error) {
	for i := range s.Rules {
		rule, err := ParseRule(s.Rules[i].Rule)
		if err != nil {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// ErrOtherRules is why a layer does not take a state.
var ErrOtherRules = errors.New("the layer has other rules than the state")

// SetState has a layer that has got no command yet go on with a state. Its rules must be
// those of the state.
func (l *Layer) SetState(s LayerState) error {
	l.changes.Lock()
	defer l.changes.Unlock()
	rules := l.set.Load().rules
	if len(rules) != len(s.Rules) {
		return ErrOtherRules
	}
	for i, r := range rules {
		if r.Rule.String() != s.Rules[i].Rule {
			return ErrOtherRules
		}
	}
	for i, r := range rules {
		r.disabled.Store(s.Rules[i].Disabled)
		r.fitted.Store(s.Rules[i].Fitted)
		r.hits.Store(s.Rules[i].Fired)
	}
	l.number.Store(s.Commands)
	l.since.Store(int64(l.time() - s.Powered))
	return nil
}

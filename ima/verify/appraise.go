package verify

import "slices"

// Result is the appraisal of a Verdict by a policy.
type Result struct {
	Policy   string `json:"policy"`
	Question string `json:"question"`
	// Outcome is the worst of all.
	Outcome Outcome `json:"outcome"`
	// Decided has what decided: the findings of that outcome and the
	// requirements not met; for an acceptance the findings that met the
	// requirements.
	Decided []Reason `json:"decided"`
	// Tolerated has cautions and failures that the policy passes over: what
	// an acceptance does not vouch for. What has decided is not repeated here.
	Tolerated []Reason `json:"tolerated,omitempty"`
}

// Reason is why.
type Reason struct {
	// Codes is the finding's, or those of which one was required.
	Codes   []Code  `json:"codes"`
	Outcome Outcome `json:"outcome"`
	// Finding is the finding; nil for a requirement that is not met.
	Finding *Finding `json:"finding,omitempty"`
	// Policy is the policy's reason.
	Policy string `json:"policy"`
}

// Appraise returns each finding its outcome and adds them up. A Policy that was
// made by hand can be no more lenient than one that ParsePolicy takes: what is
// missing counts as Reject, and no finding is worth more than its floor.
func (p *Policy) Appraise(v *Verdict) Result {
	result := Result{Policy: p.Name, Question: p.Question, Outcome: Accept}
	var reasons, tolerated []Reason
	for _, q := range p.Require {
		reasons = append(reasons, q.appraise(v))
	}
	for i := range v.Findings {
		reason := p.rule(&v.Findings[i])
		if reason.Outcome > Accept {
			reasons = append(reasons, reason)
		} else if reason.Finding.Severity > Note {
			tolerated = append(tolerated, reason)
		}
	}
	for _, reason := range reasons {
		result.Outcome = max(result.Outcome, reason.Outcome)
	}
	for _, reason := range reasons {
		if reason.Outcome == result.Outcome {
			result.Decided = append(result.Decided, reason)
		}
	}
	for _, reason := range tolerated {
		if !slices.ContainsFunc(result.Decided, func(d Reason) bool { return d.Finding == reason.Finding }) {
			result.Tolerated = append(result.Tolerated, reason)
		}
	}
	return result
}

func (q *Requirement) appraise(v *Verdict) Reason {
	for i := range v.Findings {
		if f := &v.Findings[i]; slices.Contains(q.Any, f.Code) {
			return Reason{Codes: []Code{f.Code}, Outcome: Accept, Finding: f, Policy: q.Reason}
		}
	}
	outcome := q.Else
	if outcome <= Accept {
		outcome = Reject
	}
	return Reason{Codes: q.Any, Outcome: outcome, Policy: q.Reason}
}

func (p *Policy) rule(f *Finding) Reason {
	reason := Reason{Codes: []Code{f.Code}, Finding: f, Outcome: p.Otherwise, Policy: "no rule of the policy names this finding"}
	if reason.Outcome <= Accept {
		reason.Outcome = Reject
	}
	for _, rule := range p.Rules {
		if slices.Contains(rule.Findings, f.Code) {
			reason.Outcome, reason.Policy = rule.Outcome, rule.Reason
			break
		}
	}
	if reason.Outcome == 0 {
		reason.Outcome = Reject
	}
	reason.Outcome = max(reason.Outcome, codeRow(f.Code).floor)
	return reason
}

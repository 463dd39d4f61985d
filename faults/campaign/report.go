package campaign

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Report is a campaign as it is shown. The same campaign gives the same Report, whatever the
// order of its runs and however many parts it had.
type Report struct {
	Header Header `json:"campaign"`
	// Runs counts the results, Missing the seeds that have none.
	Runs    int `json:"runs"`
	Missing int `json:"missing"`
	// Outcomes count the runs, the good outcomes first.
	Outcomes []Count `json:"outcomes"`
	// Effects are what came of the runs in which a fault has fired.
	Effects []Effect `json:"effects"`
	// Findings are the runs whose outcome is not good, those that are alike together.
	Findings []Finding `json:"findings"`

	results []Result
}

// Count says how many runs had an outcome.
type Count struct {
	Outcome Outcome `json:"outcome"`
	Runs    int     `json:"runs"`
	// Details count the details of the outcome, the most frequent first.
	Details []DetailCount `json:"details,omitempty"`
}

// DetailCount says how many runs had a detail.
type DetailCount struct {
	Detail string `json:"detail"`
	Runs   int    `json:"runs"`
}

// Effect is a fault at a place, and what came of the runs in which it fired there first.
type Effect struct {
	Fault   string         `json:"fault"`
	Command string         `json:"command"`
	Level   initcall.Level `json:"level"`
	// Runs has the number of runs by outcome.
	Runs map[Outcome]int `json:"runs"`
}

// Finding is runs that are alike: the same outcome and detail, and the same faults have
// fired for the same commands.
type Finding struct {
	// First is the one with the least seed.
	First Result `json:"first"`
	// Seeds are those of all, in order; the first maxLike of them.
	Seeds []uint64 `json:"seeds"`
	Runs  int      `json:"runs"`
}

// maxLike is how many seeds of a finding are listed.
const maxLike = 20

// Report makes the report.
func (c *Campaign) Report() *Report {
	r := &Report{Header: c.Header, Runs: len(c.Results), Missing: c.missing(), results: c.Results}
	r.Outcomes, r.Effects, r.Findings = []Count{}, []Effect{}, []Finding{}
	if r.Header.Shard.Whole() {
		r.Header.Shard = Shard{}
	}
	type place struct {
		fault, command string
		level          initcall.Level
	}
	effects := make(map[place]map[Outcome]int)
	findings := make(map[string]int)
	for i := range c.Results {
		result := c.Results[i]
		result.Took = 0
		r.count(&result)
		for _, f := range result.Fired {
			at := place{f.Fault, f.Command, f.Level}
			if effects[at] == nil {
				effects[at] = make(map[Outcome]int)
			}
			effects[at][result.Outcome]++
		}
		if !c.Header.IsGood(result.Outcome) {
			r.find(findings, result)
		}
	}
	for at, runs := range effects {
		r.Effects = append(r.Effects, Effect{at.fault, at.command, at.level, runs})
	}
	slices.SortFunc(r.Effects, func(a, b Effect) int {
		return cmp.Or(cmp.Compare(a.Fault, b.Fault), cmp.Compare(a.Level, b.Level), cmp.Compare(a.Command, b.Command))
	})
	slices.SortFunc(r.Outcomes, func(a, b Count) int {
		return cmp.Or(cmp.Compare(order(c.Header.Good, a.Outcome), order(c.Header.Good, b.Outcome)), cmp.Compare(a.Outcome, b.Outcome))
	})
	for i := range r.Outcomes {
		slices.SortFunc(r.Outcomes[i].Details, func(a, b DetailCount) int {
			return cmp.Or(cmp.Compare(b.Runs, a.Runs), cmp.Compare(a.Detail, b.Detail))
		})
	}
	return r
}

// order is the index of an outcome among the good ones; those that are not come after them.
func order(good []Outcome, o Outcome) int {
	if i := slices.Index(good, o); i >= 0 {
		return i
	}
	return len(good)
}

// count adds the outcome of a run.
func (r *Report) count(result *Result) {
	i := slices.IndexFunc(r.Outcomes, func(c Count) bool { return c.Outcome == result.Outcome })
	if i < 0 {
		i = len(r.Outcomes)
		r.Outcomes = append(r.Outcomes, Count{Outcome: result.Outcome})
	}
	c := &r.Outcomes[i]
	c.Runs++
	if result.Detail == "" {
		return
	}
	j := slices.IndexFunc(c.Details, func(d DetailCount) bool { return d.Detail == result.Detail })
	if j < 0 {
		j = len(c.Details)
		c.Details = append(c.Details, DetailCount{Detail: result.Detail})
	}
	c.Details[j].Runs++
}

// find adds a run to the findings. Results come in the order of their seeds.
func (r *Report) find(known map[string]int, result Result) {
	fired := make([]string, 0, len(result.Fired))
	for _, f := range result.Fired {
		fired = append(fired, fmt.Sprintf("%q %q %d", f.Fault, f.Command, f.Level))
	}
	slices.Sort(fired)
	key := fmt.Sprintf("%q %q %s", result.Outcome, result.Detail, strings.Join(slices.Compact(fired), " "))
	i, found := known[key]
	if !found {
		i = len(r.Findings)
		known[key] = i
		r.Findings = append(r.Findings, Finding{First: result})
	}
	f := &r.Findings[i]
	f.Runs++
	if len(f.Seeds) < maxLike {
		f.Seeds = append(f.Seeds, result.Seed)
	}
}

// outcomes returns the outcomes that there are, the good ones first.
func (r *Report) outcomes() (list []Outcome) {
	for _, c := range r.Outcomes {
		list = append(list, c.Outcome)
	}
	return list
}

// JSON writes the report as one JSON object.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

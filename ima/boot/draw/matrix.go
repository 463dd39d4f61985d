package draw

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// Row is a platform with what came of its boots.
type Row struct {
	// Platform is its name, Title a line about it.
	Platform string
	Title    string
	// Cells are its boots, one for each strategy. A strategy that comes twice
	// counts once; one that is missing leaves its place empty.
	Cells []Cell
}

// Cell is a platform booted with a strategy.
type Cell struct {
	Strategy boot.Strategy
	// Peaceful is the boot that nobody attacks.
	Peaceful Outcome
	// Attacked is the same boot under an attack, and its zero value that there
	// was none. Which attack it is, its Boot says.
	Attacked Outcome
}

// Outcome is a boot and what attestation services make of its list.
type Outcome struct {
	// Boot is the boot; nil if there is none.
	Boot *boot.Result
	// Appraisals has a result for each appraisal policy.
	Appraisals []verify.Result
	// Rules are the fault rules that the boot's TPM was under.
	Rules []faults.Rule
}

// table is a matrix as it is shown: the strategies of any row are its columns.
type table struct {
	rows       []Row
	strategies []boot.Strategy
	policies   []string
}

func newTable(rows []Row) *table {
	t := &table{rows: rows}
	for i := range rows {
		for j := range rows[i].Cells {
			c := &rows[i].Cells[j]
			if !slices.Contains(t.strategies, c.Strategy) {
				t.strategies = append(t.strategies, c.Strategy)
			}
			for _, o := range []*Outcome{&c.Peaceful, &c.Attacked} {
				for k := range o.Appraisals {
					if p := o.Appraisals[k].Policy; !slices.Contains(t.policies, p) && len(t.policies) < maxPolicies {
						t.policies = append(t.policies, p)
					}
				}
			}
		}
	}
	slices.Sort(t.strategies)
	return t
}

// maxPolicies is how many appraisal policies are shown.
const maxPolicies = 8

// cell finds the boot of a row with a strategy, nil if there is none.
func (r *Row) cell(s boot.Strategy) *Cell {
	for i := range r.Cells {
		if r.Cells[i].Strategy == s && r.Cells[i].Peaceful.Boot != nil {
			return &r.Cells[i]
		}
	}
	return nil
}

// outcome returns the outcome of a policy, 0 if it was not asked.
func (o *Outcome) outcome(policy string) verify.Outcome {
	for i := range o.Appraisals {
		if o.Appraisals[i].Policy == policy {
			return o.Appraisals[i].Outcome
		}
	}
	return 0
}

// stateWords are the endings whose word in a picture is another.
var stateWords = map[boot.Ending]string{
	boot.EndMeasured: "TPM", boot.EndNeverStarted: "never", boot.EndFieldFailure: "field failure",
}

// state returns a word for how IMA stands.
func (o *Outcome) state() string {
	end := o.Boot.Summary.Ending()
	if word, ok := stateWords[end]; ok {
		return word
	}
	return string(end)
}

// remarks are what must be known beside the state of IMA.
func remarks(s *boot.Summary) (all []string) {
	if s.Race != nil {
		all = append(all, "a race: "+raceText(s.Race))
	}
	if s.WhatIf != "" {
		all = append(all, "a what-if: this kernel has no such option")
	}
	return all
}

// raceText returns the margin of a race.
func raceText(r *boot.Race) string {
	return "TPM " + length(r.Margin.Abs()) + map[bool]string{true: " after", false: " before"}[r.Margin < 0] + " IMA looked at " + r.Level.String()
}

// marks are the remarks in a character each, which a legend explains.
func marks(s *boot.Summary) string {
	text := ""
	if s.Race != nil {
		text += "~"
	}
	if s.WhatIf != "" {
		text += "*"
	}
	return text
}

// aggregates returns name and value of the boot aggregates in brief.
func (o *Outcome) aggregates() (all []aggregate) {
	for i := range o.Boot.Summary.Aggregates {
		a := &o.Boot.Summary.Aggregates[i]
		value := "zero"
		if !a.Zero && !a.Digest.Zero() {
			value = shortDigest(a.Digest.Sum)
		}
		all = append(all, aggregate{name: name(a.Name, nameRunes), value: value, late: a.Name == ima.BootAggregateLateName})
		if len(all) == maxAggregates {
			break
		}
	}
	return all
}

// maxAggregates is how many boot aggregates of a list are shown: a list carried
// over by kexec may have any number.
const maxAggregates = 4

type aggregate struct {
	name, value string
	late        bool
}

func shortDigest(sum ima.Hex) string {
	text := sum.String()
	return text[:min(len(text), 8)]
}

// attack says what became of an attack: a word for how far it came, and who is
// deceived, the policies that accept what it left.
func (c *Cell) attack(policies []string) (scenario, word string, deceived []string) {
	b := c.Attacked.Boot
	if b == nil {
		return "", "", nil
	}
	scenario = b.Attack.String()
	outcome := &b.Summary.Attack
	switch {
	case !outcome.Ran:
		return scenario, "prevented", nil
	case !outcome.Unseen():
		return scenario, "recorded", nil
	}
	for _, p := range policies {
		if c.Attacked.outcome(p) == verify.Accept {
			deceived = append(deceived, p)
		}
	}
	return scenario, "unseen", deceived
}

// sign is an outcome in a character, word in words.
func sign(o verify.Outcome) string {
	switch o {
	case verify.Accept:
		return "+"
	case verify.CannotTell:
		return "?"
	case verify.Reject:
		return "-"
	}
	return "."
}

func word(o verify.Outcome) string {
	switch o {
	case verify.Accept:
		return "accept"
	case verify.CannotTell:
		return "cannot tell"
	case verify.Reject:
		return "reject"
	}
	return "not asked"
}

// signs are the outcomes of policies, one character each.
func (o *Outcome) signs(policies []string) string {
	var b strings.Builder
	for _, p := range policies {
		b.WriteString(sign(o.outcome(p)))
	}
	return b.String()
}

// facts are the figures of a boot, those that are always shown first.
func facts(s *boot.Summary) []fact {
	all := []fact{
		{kept(s), s.Unextended > 0},
		{strconv.Itoa(s.Lost) + " lost", s.Lost > 0},
	}
	if s.Queued > 0 {
		all = append(all, fact{strconv.Itoa(s.Queued) + " queued", false})
	}
	if s.Denied > 0 {
		all = append(all, fact{strconv.Itoa(s.Denied) + " denied", true})
	}
	return all
}

type fact struct {
	text string
	loud bool // something is missing
}

// cellID is the place of a cell's picture in a page. Names are not trusted, so
// rows are counted.
func cellID(row int, s boot.Strategy) string { return fmt.Sprintf("r%d-%s", row+1, s) }

// strategyNotes say what strategies do, for who does not know them.
var strategyNotes = map[boot.Strategy]string{
	boot.Late:     "at late, without a TPM into bypass (Linux until 7.2)",
	boot.LateSync: "at late_sync only",
	boot.Retry:    "at late if there is a TPM, otherwise at late_sync under another name",
	boot.Kconfig:  "at late_sync under another name, by CONFIG_IMA_INIT_LATE_SYNC (Linux since 7.3)",
	boot.Dual:     "at late, and a second boot aggregate at late_sync",
	boot.Queue:    "at late_sync; what is measured before is queued",
	boot.Deny:     "when there is a TPM, from late_sync on; what would be measured before is denied",
	boot.Notifier: "when the TPM registers, not before late",
}

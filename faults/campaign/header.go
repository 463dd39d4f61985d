package campaign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Version is the version of the results' form.
const Version = 1

// Header is what a campaign is. Two parts with the same Header but for Shard are parts of
// one campaign.
type Header struct {
	// Version is that of the form, Version.
	Version int `json:"campaign"`
	// Seed is the campaign's, First and Last are the first and last seed that is run.
	Seed  uint64 `json:"seed"`
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Shard Shard  `json:"shard"`
	// Subject has the words of the command that is run, or of a simulated boot.
	Subject []string `json:"subject"`
	// Rules, Kinds, Targets, Levels, Virtual and Dangerous are those of the Draw, Given is the text
	// of its plan.
	Rules     int      `json:"rules"`
	Kinds     []string `json:"kinds,omitempty"`
	Targets   []Target `json:"commands,omitempty"`
	Levels    bool     `json:"levels,omitempty"`
	Virtual   bool     `json:"virtual,omitempty"`
	Dangerous bool     `json:"dangerous,omitempty"`
	Given     string   `json:"plan,omitempty"`
	// Good are the outcomes that are no findings.
	Good []Outcome `json:"good"`
	// Options are what else decides about the runs, such as a time limit.
	Options []string `json:"options,omitempty"`
}

// HeaderError says why results are not those of a campaign.
type HeaderError struct {
	Reason string
}

func (e *HeaderError) Error() string { return e.Reason }

// MaxSeeds is how many seeds a campaign has at most.
const MaxSeeds = 10_000_000

// Validate reports with a *HeaderError what no campaign has.
func (h *Header) Validate() error {
	switch {
	case h.Version != Version:
		return &HeaderError{fmt.Sprintf("the results have version %d, and this program reads version %d", h.Version, Version)}
	case h.Last < h.First:
		return &HeaderError{fmt.Sprintf("the last seed, %d, comes before the first, %d", h.Last, h.First)}
	case h.Last-h.First >= MaxSeeds:
		return &HeaderError{fmt.Sprintf("there are more than %d seeds", MaxSeeds)}
	case h.Rules < 0 || h.Rules > MaxRules:
		return &HeaderError{fmt.Sprintf("%d rules are not from 1 to %d", h.Rules, MaxRules)}
	}
	return h.Shard.Validate()
}

// seeds returns how many seeds the campaign has, with those of the other shards.
func (h *Header) seeds() int { return int(h.Last-h.First) + 1 }

// Seeds returns the seeds of the shard, in order.
func (h *Header) Seeds() []uint64 {
	var list []uint64
	for seed := h.First; ; seed++ {
		if h.Shard.has(seed - h.First) {
			list = append(list, seed)
		}
		if seed == h.Last {
			return list
		}
	}
}

// has reports whether a seed is one of the shard.
func (h *Header) has(seed uint64) bool {
	return seed >= h.First && seed <= h.Last && h.Shard.has(seed-h.First)
}

// Same reports with a *HeaderError what tells two headers apart, except their shards.
func (h *Header) Same(other *Header) error {
	a, b := *h, *other
	a.Shard, b.Shard = Shard{}, Shard{}
	for _, field := range []struct {
		name string
		a, b any
	}{
		{"campaign seed", a.Seed, b.Seed}, {"first seed", a.First, b.First}, {"last seed", a.Last, b.Last},
		{"command", a.Subject, b.Subject}, {"number of rules", a.Rules, b.Rules}, {"kinds of faults", a.Kinds, b.Kinds},
		{"TPM commands", a.Targets, b.Targets}, {"plan", a.Given, b.Given}, {"good outcomes", a.Good, b.Good},
		{"options", a.Options, b.Options}, {"rest", a, b},
	} {
		one, err := json.Marshal(field.a)
		if err != nil {
			return err
		}
		two, err := json.Marshal(field.b)
		if err != nil {
			return err
		}
		if !bytes.Equal(one, two) {
			return &HeaderError{fmt.Sprintf("the campaigns differ in the %s: %s and %s", field.name, one, two)}
		}
	}
	return nil
}

// IsGood reports whether an outcome is no finding.
func (h *Header) IsGood(o Outcome) bool { return slices.Contains(h.Good, o) }

package simulate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/ima/boot"
)

// maxSeeds bounds how many boots one command does.
const maxSeeds = 10_000

// shares says how boots with several seeds ended.
type shares struct {
	// FirstSeed is the first of Seeds consecutive seeds.
	FirstSeed uint64 `json:"first_seed"`
	Seeds     int    `json:"seeds"`
	// Scatter is how far threads waited for a processor, at most.
	Scatter time.Duration `json:"scatter_ns"`
	// Ends counts the boots by their end, the most frequent one first.
	Ends []share `json:"ends"`
	// Races counts those with a race; Least and Most are the margins by which
	// the TPM was registered before IMA looked, negative for after, of all
	// boots in which both happened.
	Races int            `json:"races"`
	Least *time.Duration `json:"least_margin_ns,omitempty"`
	Most  *time.Duration `json:"most_margin_ns,omitempty"`
}

type share struct {
	End   boot.Ending `json:"end"`
	Boots int         `json:"boots"`
}

// shareOut boots with n seeds from the simulation's own on.
func (s *simulation) shareOut(ctx context.Context, n int) (*shares, error) {
	all := &shares{FirstSeed: s.seed, Seeds: n, Scatter: boot.RaceWindow}
	for i := range n {
		one := *s
		one.seed += uint64(i)
		one.scatter = all.Scatter
		o, err := one.boot(ctx)
		if err != nil {
			return nil, fmt.Errorf("seed %d: %w", one.seed, err)
		}
		all.add(&o.Result.Summary)
	}
	slices.SortStableFunc(all.Ends, func(a, b share) int { return b.Boots - a.Boots })
	return all, nil
}

func (all *shares) add(s *boot.Summary) {
	if s.Race != nil {
		all.Races++
	}
	if s.Started && s.TPMRegistered {
		margin := s.StartedAt - s.TPMAt
		if all.Least == nil || margin < *all.Least {
			all.Least = &margin
		}
		if all.Most == nil || margin > *all.Most {
			all.Most = &margin
		}
	}
	end := s.Ending()
	for i := range all.Ends {
		if all.Ends[i].End == end {
			all.Ends[i].Boots++
			return
		}
	}
	all.Ends = append(all.Ends, share{end, 1})
}

func (all *shares) String() string {
	var ends []string
	for _, e := range all.Ends {
		ends = append(ends, fmt.Sprintf("%d %s (%.0f %%)", e.Boots, e.End, 100*float64(e.Boots)/float64(all.Seeds)))
	}
	text := fmt.Sprintf("%d boots with the seeds %d to %d, whose threads wait for a processor up to %.1f s: %s",
		all.Seeds, all.FirstSeed, all.FirstSeed+uint64(all.Seeds)-1, all.Scatter.Seconds(), strings.Join(ends, ", "))
	if all.Least != nil {
		text += fmt.Sprintf("; the TPM was registered from %s to %s", beforeLook(*all.Least), beforeLook(*all.Most)+" IMA looked")
	}
	return text + "."
}

// beforeLook returns a margin in words.
func beforeLook(margin time.Duration) string {
	if margin < 0 {
		return fmt.Sprintf("%.6f s after", -margin.Seconds())
	}
	return fmt.Sprintf("%.6f s before", margin.Seconds())
}

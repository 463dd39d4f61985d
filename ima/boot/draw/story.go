package draw

import (
	"fmt"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/ima/boot"
)

// heading returns the first line of a picture: the machine and how it
// starts IMA.
func heading(r *boot.Result) string {
	title := "boot"
	if p := r.Platform; p != nil {
		title = p.Name
		if p.Title != "" {
			title += ": " + p.Title
		}
	}
	title = name(title, 90)
	if p := r.Platform; p != nil && p.Kernel.Release != "" {
		title += " · kernel " + name(p.Kernel.Release, 24)
	}
	title += " · strategy " + r.Strategy.String()
	if r.Summary.WhatIf != "" {
		title += " (what if)"
	}
	if r.Attack != boot.NoAttack {
		title += " · attack " + r.Attack.String()
	}
	return title
}

// Story says in a sentence what became of IMA and the TPM in a boot, such as
//
//	IMA in TPM-bypass: looked at late 1.234 s, TPM registered 412 ms later in deferred_probe_initcall
//
// Times are virtual, since power-on.
func Story(r *boot.Result) string { return newTimeline(r).story(r) }

func (t *timeline) story(r *boot.Result) string {
	s := &r.Summary
	where := ""
	for i := range t.moments {
		if t.moments[i].kind == boot.TPMRegistered && t.moments[i].at == s.TPMAt {
			where = t.moments[i].text
		}
	}
	registered := func(relation string) string {
		text := "TPM registered " + relation
		if where != "" {
			text += " " + where
		}
		if s.FieldFailure {
			text += ", in field failure mode"
		}
		return text
	}
	looked := s.Level.String() + " " + seconds(s.StartedAt)
	var text string
	switch {
	case !s.Started && s.TPMRegistered:
		text = "IMA never started; " + registered(fmt.Sprintf("at %s %s", s.TPMLevel, seconds(s.TPMAt)))
	case !s.Started:
		text = "IMA never started; no TPM registered"
	case s.StartError != 0:
		text = fmt.Sprintf("IMA failed to start at %s: %s", looked, result(s.StartError))
	case s.Bypass && s.TPMRegistered:
		text = "IMA in TPM-bypass: looked at " + looked + ", " + registered(justOr(s.TPMAt-s.StartedAt, "later", "just after"))
	case s.Bypass:
		text = "IMA in TPM-bypass: looked at " + looked + ", no TPM registered"
		if m := s.Missed; m != nil && m.Cause == boot.Failed {
			text += ": the probe at " + m.Last.Level.String() + " had failed for good"
		}
	case s.FieldFailure:
		text = "IMA measured nothing: started at " + looked + ", " + registered(justOr(s.StartedAt-s.TPMAt, "earlier", "just before"))
	case s.TPMRegistered:
		text = "IMA started with the TPM at " + looked + ", " + registered(justOr(s.StartedAt-s.TPMAt, "earlier", "just before"))
	default:
		text = "IMA started at " + looked
	}
	if s.Race != nil {
		text += "; a race"
	}
	if s.Panic != "" {
		text += "; kernel panic: " + name(s.Panic, 60)
	}
	return text
}

func justOr(d time.Duration, word, just string) string {
	if d <= 0 {
		return just
	}
	return length(d) + " " + word
}

// counts returns how many records there are, and how many were extended.
func counts(r *boot.Result) string {
	s := &r.Summary
	parts := []string{kept(s)}
	for _, c := range []struct {
		n    int
		word string
	}{{s.Lost, "lost"}, {s.Queued, "queued"}, {s.Denied, "denied"}} {
		if c.n > 0 || c.word == "lost" {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	for i := range s.Aggregates {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("and %d more aggregates", len(s.Aggregates)-i))
			break
		}
		a := &s.Aggregates[i]
		parts = append(parts, fmt.Sprintf("%s %s", name(a.Name, nameRunes), aggregateValue(a.Digest.Algo.String(), a.Digest.Sum.String())))
	}
	parts = append(parts, fmt.Sprintf("seed %d", r.Seed))
	return strings.Join(parts, " · ")
}

// kept says how many records the list has, and how many of them no PCR holds.
func kept(s *boot.Summary) string {
	text := plural(s.Kept, "record", "records")
	switch {
	case s.Kept == 0:
		return "no records"
	case s.Unextended == 0:
		return text + ", all extended"
	case s.Unextended == s.Kept:
		return text + ", none extended"
	}
	return text + fmt.Sprintf(", %d not extended", s.Unextended)
}

// aggregateValue is a digest in brief: eight digits at each end.
func aggregateValue(algo, sum string) string {
	switch {
	case strings.Trim(sum, "0") == "":
		sum = "zero"
	case len(sum) > 16:
		sum = sum[:8] + "…" + sum[len(sum)-4:]
	}
	return name(algo, 12) + ":" + sum
}

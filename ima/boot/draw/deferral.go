package draw

import (
	"time"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// away draws when a fault rule keeps the TPM from answering, and when it is back.
func (p *picture) away(t *timeline, rules []faults.Rule) {
	s := &strip{name: "TPM"}
	at := p.left // where the TPM has begun to answer
	for i := range rules {
		r := &rules[i]
		from, x0, ok := p.reached(t, r.When.From)
		text := doing(r)
		if !ok || text == "" {
			continue
		}
		until, x1, back := t.end, p.axis.right, false
		if r.When.Until != initcall.Firmware {
			if when, x, ok := p.reached(t, r.When.Until); ok {
				until, x1, back = when, x, true
			}
		}
		if x0 > at {
			s.add(hereBar, at, x0, func() string { return "answers until " + seconds(from) })
		}
		s.add(awayBar, x0, max(x1, x0+2*px), func() string { return "away from " + seconds(from) + " to " + seconds(until) })
		s.ask(x0, max(x1, x0+2*px), essential, "away for "+length(until-from)+": "+text, "away: "+text)
		at = p.axis.right
		if back {
			at = x1
			s.ask(x1, x1, essential, "back at "+r.When.Until.String()+", "+seconds(until), "back at "+r.When.Until.String())
		}
	}
	if len(s.marks) == 0 {
		return
	}
	if at < p.axis.right {
		s.add(hereBar, at, p.axis.right, func() string { return "answers" })
	}
	p.strip(s)
}

// reached is when and where a boot came to a level, or to the first one after it.
func (p *picture) reached(t *timeline, level initcall.Level) (at time.Duration, x int, ok bool) {
	for ; level <= initcall.Userspace; level++ {
		if t.reached[level] {
			return t.start[level], p.axis.x(level, t.start[level]), true
		}
	}
	return 0, 0, false
}

// doing says what a rule does to commands, empty if nothing.
func doing(r *faults.Rule) string {
	var text string
	switch do := r.Do.(type) {
	case nil, faults.Pass:
		return ""
	case faults.HoldBack:
		text = "holds commands"
	case faults.Answer:
		text = result(int(do))
	default:
		text = do.String()
	}
	if len(r.When.Commands) > 0 || len(r.When.Localities) > 0 {
		text += ", of some commands"
	}
	return text
}

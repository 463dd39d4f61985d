package differential

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/known"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// shrinkPlays bounds the attempts to shorten one script.
const shrinkPlays = 200

// shrink gives a script as short as it can find whose last step still shows the
// difference of the given kind. A last command without its sessions, and what the
// last step refers to alone, are tried first; then ever smaller pieces are left out, from the end backwards, and what
// can be left out stays out.
func (r *run) shrink(ctx context.Context, script conversation.Script, want findingKind) (*known.Case, error) {
	best, err := r.shows(ctx, script, want)
	if best == nil || err != nil {
		return best, err
	}
	for _, simpler := range []func(conversation.Script) conversation.Script{sessionless, needed} {
		candidate := simpler(best.Played)
		if candidate == nil {
			continue
		}
		if shorter, err := r.shows(ctx, candidate, want); err != nil {
			return nil, err
		} else if shorter != nil {
			best = shorter
		}
	}
	plays := 0
	for piece := max(len(script)/2, 1); ; piece = max(piece/2, 1) {
		removed := false
		for end := len(best.Played) - 1; end > 0 && plays < shrinkPlays; {
			start := max(end-piece, 0)
			candidate := append(append(conversation.Script{}, best.Played[:start]...), best.Played[end:]...)
			plays++
			shorter, err := r.shows(ctx, candidate, want)
			if err != nil {
				return nil, err
			}
			if shorter != nil {
				best, removed = shorter, true
			}
			end = start
		}
		if plays >= shrinkPlays || (piece == 1 && !removed) {
			return best, nil
		}
	}
}

// sessionless gives the script with a last command that has no authorization
// area, and so needs no steps that start sessions; nil if it has none now, or
// cannot be without.
func sessionless(s conversation.Script) conversation.Script {
	step := s[len(s)-1]
	command, ok := step.Command()
	if !ok || wire.Number(step.Data[:2]) != uint32(conformance.Sessions) {
		return nil
	}
	if row, known := conformance.Lookup(command.Code); !known || row.Auths > 0 {
		return nil
	}
	from, to := conformance.HeaderSize+4*len(command.Handles), len(step.Data)-len(command.Parameters)
	data := slices.Concat(step.Data[:from], command.Parameters)
	binary.BigEndian.PutUint16(data, uint16(conformance.NoSessions))
	binary.BigEndian.PutUint32(data[2:], uint32(len(data)))
	holes := make([]conversation.Hole, 0, len(step.Holes))
	for _, h := range step.Holes {
		if h.At >= to {
			h.At -= to - from
		} else if h.At >= from {
			continue
		}
		holes = append(holes, h)
	}
	step.Action, step.Data, step.Holes, step.Secrets = conversation.Send, data, holes, nil
	return append(slices.Clone(s[:len(s)-1]), step)
}

// needed gives the first step, the last step, and those whose answers they and
// each other have in their holes.
func needed(s conversation.Script) conversation.Script {
	last := len(s) - 1
	wanted := map[int]bool{}
	keep := make([]bool, len(s))
	for i := last; i >= 0; i-- {
		if keep[i] = i == 0 || i == last || s[i].ID > 0 && wanted[s[i].ID]; !keep[i] {
			continue
		}
		for _, h := range s[i].Holes {
			wanted[h.Step] = true
		}
	}
	var short conversation.Script
	for i, step := range s {
		if keep[i] {
			short = append(short, step)
		}
	}
	return short
}

// shows plays a script on both devices and gives the case of its last step if
// that has the signature and is not known.
func (r *run) shows(ctx context.Context, script conversation.Script, want findingKind) (*known.Case, error) {
	theirs, err := r.playTheirs(ctx, script)
	if err != nil || theirs[len(script)-1].Code() != want.theirs {
		return nil, err // whatever the device under test answers
	}
	ours, err := r.campaign.Ours.PlaySeeded(ctx, r.seeds, script)
	if err != nil {
		return nil, err
	}
	last := len(script) - 1
	c := r.examine(script, last, ours, theirs)
	if c == nil || kindOf(c) != want || r.known(c) != nil {
		return nil, nil
	}
	return c, nil
}

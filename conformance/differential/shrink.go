package differential

import "context"

// shrinkPlays bounds the attempts to shorten one script.
const shrinkPlays = 200

// shrink gives a script as short as it can find whose last step still shows
// the difference with the given signature. Ever smaller pieces are left out,
// from the end backwards; what can be left out stays out.
func (r *run) shrink(ctx context.Context, script Script, want signature) (*Case, error) {
	best, err := r.shows(ctx, script, want)
	if best == nil || err != nil {
		return best, err
	}
	plays := 0
	for piece := max(len(script)/2, 1); ; piece = max(piece/2, 1) {
		removed := false
		for end := len(best.Script) - 1; end > 0 && plays < shrinkPlays; {
			start := max(end-piece, 0)
			candidate := append(append(Script{}, best.Script[:start]...), best.Script[end:]...)
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

// shows plays a script on both devices and gives the case of its last step if
// that has the signature and is not known.
func (r *run) shows(ctx context.Context, script Script, want signature) (*Case, error) {
	theirs, err := r.campaign.Theirs.Play(ctx, script)
	if err != nil {
		return nil, err
	}
	ours, err := r.campaign.Ours.Play(ctx, script)
	if err != nil {
		return nil, err
	}
	last := len(script) - 1
	c := r.examine(script, last, ours[last], theirs[last])
	if c == nil || c.signature() != want || r.known(c) != nil {
		return nil, nil
	}
	return c, nil
}

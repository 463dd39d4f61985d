package faults

import (
	"fmt"

	"github.com/swtpmd/swtpmd/transport"
)

// SetSteps has f called between the steps of a layer that others may come between.
func SetSteps(d transport.Device, f func(point string, about any)) {
	l, _ := Of(d)
	l.seam.steps = f
}

// StateOf returns what the next steps of a layer depend on, but for the device, the
// clock and what the commands have seen: about is their eras and holds.
func StateOf(d transport.Device, about ...any) string {
	l, _ := Of(d)
	s := l.seam
	s.mu.Lock()
	defer s.mu.Unlock()
	present := s.era.Load()
	state := fmt.Sprint(present.state(), s.sending.Load(), s.resets, s.resetting.Load(), s.canceling, len(s.holds))
	for _, r := range l.set.Load().rules {
		state += fmt.Sprint(" rule ", r.disabled.Load())
	}
	for _, one := range about {
		switch one := one.(type) {
		case *era:
			state += fmt.Sprint(" came ", one == present, one.state())
		case *hold:
			select {
			case <-one.let:
				state += fmt.Sprint(" let ", one.why)
			default:
				state += " held"
			}
		}
	}
	return state
}

func (e *era) state() string {
	if !e.over.Load() {
		return fmt.Sprint("lasts ", e.asserted)
	}
	return fmt.Sprint("over ", e.end, e.asserted)
}

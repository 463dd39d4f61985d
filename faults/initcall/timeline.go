package initcall

import (
	"context"
	"fmt"
	"time"
)

// Mark says that a boot reaches Level so long after power-on.
type Mark struct {
	Level Level `json:"level"`
	// At counts from the TPM's power-on (_TPM_Init), which on most machines
	// is the machine's own reset.
	At time.Duration `json:"at_ns"`
}

// Timeline is a boot known beforehand: which level is reached when. It stands
// in for a console where none can be followed.
//
// Marks are in the order of the boot: each level at most once, after the levels
// before it, and no earlier than they. Levels without a mark are passed with
// the next one. Firmware has none, since power-on is where time starts.
type Timeline []Mark

// OrderError is the error of a Timeline whose marks cannot follow each
// other in one boot.
type OrderError struct {
	Before, After Mark
}

func (e *OrderError) Error() string {
	switch {
	case e.Before.Level == e.After.Level:
		return fmt.Sprintf("%s is marked twice, at %s and at %s; keep one", e.After.Level, e.Before.At, e.After.At)
	case e.Before.Level > e.After.Level:
		return fmt.Sprintf("%s is marked after %s, but a boot reaches it before; swap them", e.After.Level, e.Before.Level)
	}
	return fmt.Sprintf("%s at %s lies before %s at %s; times count from power-on, not from the mark before", e.After.Level, e.After.At, e.Before.Level, e.Before.At)
}

// MarkError is the error of one mark of a Timeline, wherever it stands.
type MarkError struct {
	Mark   Mark
	Reason string
}

func (e *MarkError) Error() string {
	return fmt.Sprintf("%s at %s: %s", e.Mark.Level, e.Mark.At, e.Reason)
}

// Validate answers a *MarkError or an *OrderError for the first mark that
// cannot be. An empty timeline is valid: that machine stays at Firmware.
func (t Timeline) Validate() error {
	for i := range t {
		if err := t.validate(i); err != nil {
			return err
		}
	}
	return nil
}

// validate looks at mark i and the one before it.
func (t Timeline) validate(i int) error {
	m := t[i]
	switch {
	case int(m.Level) >= levels:
		return &MarkError{Mark: m, Reason: (&UnknownLevelError{Name: m.Level.String()}).Error()}
	case m.Level == Firmware:
		return &MarkError{Mark: m, Reason: "a boot starts at firmware; the first mark is kernel or later"}
	case m.At < 0:
		return &MarkError{Mark: m, Reason: "the time is negative; it counts from power-on"}
	case i > 0 && (m.Level <= t[i-1].Level || m.At < t[i-1].At):
		return &OrderError{Before: t[i-1], After: m}
	}
	return nil
}

// powerOn is where a run of a timeline starts.
type powerOn struct {
	at time.Time
}

// Run moves clock along the timeline, from now on and anew from every NewBoot
// or PowerOn of clock: call it when the machine gets power, and tell the clock
// of every power-on that follows. Its events carry the mark's time as At and
// "timeline" as Cause. Where somebody else is ahead of the timeline, its marks
// change nothing until it is ahead again.
//
// Run returns when ctx ends, with ctx's error, and at once with Validate's
// error if there is one.
func (t Timeline) Run(ctx context.Context, clock *Clock) error {
	return t.RunSince(ctx, clock, time.Now())
}

// RunSince is Run of a machine that has got power at a time that is past. Marks before
// the clock's level change nothing.
func (t Timeline) RunSince(ctx context.Context, clock *Clock, power time.Time) error {
	if err := t.Validate(); err != nil {
		return err
	}
	current := &powerOn{at: power} // written under the clock's notify lock
	restart := make(chan *powerOn, 1)
	restart <- current
	stop := clock.Subscribe(func(e Event) {
		if e.Level != Firmware {
			return
		}
		current = &powerOn{at: time.Now()}
		select {
		case <-restart: // that boot ended before it was looked at
		default:
		}
		restart <- current
	})
	defer stop()

	timer := time.NewTimer(0)
	defer timer.Stop()
	var boot *powerOn
	next := len(t) // no timer is awaited
	for {
		var due <-chan time.Time
		if next < len(t) {
			timer.Reset(time.Until(boot.at.Add(t[next].At)))
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case boot = <-restart:
			next = 0
		case <-due:
			// An error says that somebody else is ahead.
			m := t[next]
			_ = clock.advance(Event{Level: m.Level, At: m.At, Cause: "timeline"}, func() bool { return boot == current })
			next++
		}
	}
}

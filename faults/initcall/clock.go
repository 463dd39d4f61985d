package initcall

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Event is one movement of a Clock.
type Event struct {
	// Boot counts the boots of the machine, from 1.
	Boot int `json:"boot"`
	// Level is the level reached.
	Level Level `json:"level"`
	// At is the time at which the source says it was reached: the kernel's
	// own printk time for a console, the time since power-on for a
	// timeline. Negative when the source knows none.
	At time.Duration `json:"at_ns"`
	// Cause says what showed it: a console line, a breakpoint with the kernel's
	// symbol, "timeline", or the words of the caller.
	Cause string `json:"cause"`
	// Confirmed is the console line with which Cause was believed: the return
	// of its initcall, or a later one if there were too few before. Empty where
	// nothing had to be confirmed.
	Confirmed string `json:"confirmed,omitempty"`
}

// NoTime is the At of an Event whose source knows no time.
const NoTime time.Duration = -1

// BackwardsError is the error of Advance for a level that lies
// before the one reached in this boot.
type BackwardsError struct {
	Now, Asked Level
}

func (e *BackwardsError) Error() string {
	return fmt.Sprintf("the boot has reached %s and cannot go back to %s; a new boot starts at %s", e.Now, e.Asked, Firmware)
}

// Clock holds the level that a boot has reached. The zero value is a machine at
// Firmware in its first boot, ready for use; several goroutines may use it.
//
// Within one boot a Clock only moves forward.
type Clock struct {
	mu      sync.Mutex
	last    Event         // Boot 0 stands for the first boot, before any event
	place   atomic.Uint64 // boot and level of last: level in the lowest 8 bits
	waiters map[*waiter]struct{}
	// subscribers are called in the order of their subscription, one event
	// after the other, outside mu but under notify.
	notify      sync.Mutex
	subscribers []*subscriber
}

type waiter struct {
	level   Level
	reached chan struct{}
}

type subscriber struct {
	f func(Event)
}

// Now returns the last event: which level has been reached, in which boot.
func (c *Clock) Now() Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() Event {
	if c.last.Boot == 0 {
		return Event{Boot: 1, Level: Firmware, At: NoTime, Cause: "power-on"}
	}
	return c.last
}

// Level returns the level reached, and nothing else.
func (c *Clock) Level() Level {
	_, level := c.Place()
	return level
}

// Place returns the boot, from 1, and the level reached in it. It does not wait for
// anybody: where a goroutine moves the clock at the same time, it is what was before or
// what comes.
func (c *Clock) Place() (boot int, level Level) {
	place := c.place.Load()
	return max(int(place>>8), 1), Level(place)
}

// Advance moves the clock to level, because of cause, at the source's own time
// (NoTime if it knows none). Levels in between are passed, not reported one by
// one. To the present level Advance does nothing; to an earlier one it answers
// a *BackwardsError and changes nothing.
func (c *Clock) Advance(level Level, at time.Duration, cause string) error {
	return c.advance(Event{Level: level, At: at, Cause: cause}, func() bool { return true })
}

// advance is Advance for a source that may have been overtaken: still is asked
// when no boot can start any more before the clock has moved, and if it says
// no, nothing moves. The event's Boot is the clock's.
func (c *Clock) advance(e Event, still func() bool) error {
	level := e.Level
	if int(level) >= levels {
		return &UnknownLevelError{Name: level.String()}
	}
	c.notify.Lock()
	defer c.notify.Unlock()
	if !still() {
		return nil
	}
	c.mu.Lock()
	now := c.now()
	if level <= now.Level {
		c.mu.Unlock()
		if level == now.Level {
			return nil
		}
		return &BackwardsError{Now: now.Level, Asked: level}
	}
	e.Boot = now.Boot
	c.set(e)
	return nil
}

// NewBoot puts the clock back to Firmware and counts one boot more.
func (c *Clock) NewBoot(cause string) {
	c.notify.Lock()
	defer c.notify.Unlock()
	c.mu.Lock()
	c.set(Event{Boot: c.now().Boot + 1, Level: Firmware, At: NoTime, Cause: cause})
}

// PowerOn is NewBoot for whoever sees every power-on of the machine, the first
// one included: on a clock that nobody has moved yet it starts boot 1, and
// counts one boot more from then on. Subscribers are told in both cases.
func (c *Clock) PowerOn(cause string) {
	c.notify.Lock()
	defer c.notify.Unlock()
	c.mu.Lock()
	c.set(Event{Boot: c.last.Boot + 1, Level: Firmware, At: NoTime, Cause: cause})
}

// set takes over e and tells everybody. It is called with notify and mu held
// and gives mu back: subscribers may ask the clock what time it is.
func (c *Clock) set(e Event) {
	c.last = e
	c.place.Store(uint64(e.Boot)<<8 | uint64(e.Level))
	for w := range c.waiters {
		if e.Level >= w.level {
			close(w.reached)
			delete(c.waiters, w)
		}
	}
	subscribers := c.subscribers
	c.mu.Unlock()
	for _, s := range subscribers {
		s.f(e)
	}
}

// Wait returns nil as soon as level has been reached, at once if it has been
// already, and ctx's error when that ends first. A boot that starts anew in
// between does not end the wait.
func (c *Clock) Wait(ctx context.Context, level Level) error {
	c.mu.Lock()
	if c.last.Level >= level {
		c.mu.Unlock()
		return nil
	}
	w := &waiter{level: level, reached: make(chan struct{})}
	if c.waiters == nil {
		c.waiters = make(map[*waiter]struct{})
	}
	c.waiters[w] = struct{}{}
	c.mu.Unlock()

	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiters, w)
	select {
	case <-w.reached: // reached and given up at the same time: reached wins
		return nil
	default:
		return ctx.Err()
	}
}

// Subscribe has f called with every event from now on, in order and one at a
// time. f must not move the clock or change subscriptions; it may read it. A
// call that is under way when stop is called may still end after it.
func (c *Clock) Subscribe(f func(Event)) (stop func()) {
	s := &subscriber{f: f}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscribers = append(c.subscribers[:len(c.subscribers):len(c.subscribers)], s)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		kept := make([]*subscriber, 0, len(c.subscribers))
		for _, other := range c.subscribers {
			if other != s {
				kept = append(kept, other)
			}
		}
		c.subscribers = kept
	}
}

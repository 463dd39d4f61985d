package boot

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"
)

// Limits of a run. They bound what a platform can make the simulation do.
const (
	// DefaultMaxSteps is how many times tasks may go to sleep or be woken.
	DefaultMaxSteps = 1_000_000
	// DefaultTail is how long the machine is watched after userspace has
	// begun: longer than the driver core's longest wait by default, the 10 s
	// of deferred_probe_timeout.
	DefaultTail = 15 * time.Second
	// MaxBoot is the longest boot: what lies after it is not simulated.
	MaxBoot = time.Hour
)

// LimitError reports that a run did not come to its end within a limit.
type LimitError struct {
	// Limit names it: "steps", "events" or "time".
	Limit string
	At    time.Duration
	Steps int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the boot did not end within its limit of %s: %d steps, %v of virtual time; look for initcalls or helpers that wait for one another",
		e.Limit, e.Steps, e.At)
}

// sched runs the tasks of a simulated machine one at a time, in the order of
// virtual time and, at one time, in the order in which they became ready. It
// makes the run deterministic: no task runs while another one does.
type sched struct {
	ctx      context.Context
	time     *Time
	base     time.Duration // of time: this run's power-on
	queue    []event       // a binary heap
	seq      uint64
	live     []*task
	waits    []channelWait
	steps    int
	maxSteps int
	horizon  time.Duration
	err      error
}

// event is something that happens at a time: a task goes on, or f is called.
type event struct {
	at    time.Duration
	seq   uint64
	task  *task
	token uint64
	f     func()
}

// channelWait is a task that waits for a channel that a Device closes.
type channelWait struct {
	released <-chan struct{}
	task     *task
	token    uint64
}

// task is a thread of the simulated machine. It gives the processor away only
// where it sleeps or waits.
type task struct {
	s     *sched
	name  string
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	token uint64 // of the present wait; older wake-ups are void
	// looks counts IMA's looks for a TPM that pid 1 had done when it last made
	// this task go on: they came first (race.go).
	looks int
	// killed reports that the run is over: the task must end.
	killed bool
}

// kill is the value with which a task panics to end after the run; spawn catches it.
type kill struct{}

// now is the time since this run's power-on.
func (s *sched) now() time.Duration { return s.time.Now() - s.base }

func (s *sched) setNow(at time.Duration) { s.time.set(s.base + at) }

// spawn starts a task, which runs as soon as the present one waits.
func (s *sched) spawn(name string, f func(t *task)) *task {
	t := &task{s: s, name: name}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		defer func() {
			if r := recover(); r != nil && r != (kill{}) {
				panic(r)
			}
		}()
		f(t)
	})
	s.live = append(s.live, t)
	s.push(event{at: s.now(), task: t, token: t.token})
	return t
}

// after has f called d from now, outside of any task. f must not wait.
func (s *sched) after(d time.Duration, f func()) { s.push(event{at: s.now() + d, f: f}) }

// wake makes a waiting task go on.
func (s *sched) wake(t *task) { s.push(event{at: s.now(), task: t, token: t.token}) }

// run runs tasks until nothing is left to happen or the horizon is reached.
func (s *sched) run() error {
	for len(s.queue) > 0 && s.err == nil {
		e := s.pop()
		if e.at > s.horizon {
			break
		}
		if e.task != nil && e.token != e.task.token {
			continue
		}
		s.setNow(e.at)
		if !s.step() {
			break
		}
		if e.f != nil {
			e.f()
		} else {
			s.resume(e.task)
		}
		s.poll()
	}
	s.killAll()
	return s.err
}

// step counts a step and reports whether the run may go on.
func (s *sched) step() bool {
	s.steps++
	if s.steps > s.maxSteps {
		s.err = &LimitError{Limit: "steps", At: s.now(), Steps: s.steps}
	} else if s.steps%64 == 0 && s.ctx.Err() != nil {
		s.err = s.ctx.Err()
	}
	return s.err == nil
}

func (s *sched) resume(t *task) {
	t.token++
	if _, running := t.next(); !running {
		s.remove(t)
	}
}

func (s *sched) remove(t *task) {
	if i := slices.Index(s.live, t); i >= 0 {
		s.live = slices.Delete(s.live, i, i+1)
	}
}

// poll wakes the tasks whose channels have been closed.
func (s *sched) poll() {
	for i := 0; i < len(s.waits); {
		w := s.waits[i]
		if w.token != w.task.token {
			s.waits = slices.Delete(s.waits, i, i+1)
			continue
		}
		if closed(w.released) {
			s.waits = slices.Delete(s.waits, i, i+1)
			s.push(event{at: s.now(), task: w.task, token: w.token})
			continue
		}
		i++
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// killAll ends the tasks that still wait.
func (s *sched) killAll() {
	for len(s.live) > 0 {
		t := s.live[len(s.live)-1]
		s.live = s.live[:len(s.live)-1]
		t.killed = true
		t.token++
		t.stop()
	}
}

// wait returns the processor away until somebody wakes the task.
func (t *task) wait() {
	t.park()
	if t.killed {
		panic(kill{})
	}
}

// park is wait for code that must return even if the run is over: a Device's
// Send is on the stack.
func (t *task) park() {
	if !t.killed && !t.yield(struct{}{}) {
		t.killed = true
	}
}

// sleep lets d pass.
func (t *task) sleep(d time.Duration) {
	if t.killed {
		panic(kill{})
	}
	if d <= 0 {
		return
	}
	s := t.s
	until := s.now() + d
	// If nothing else happens before, nobody needs to be asked.
	if len(s.waits) == 0 && until <= s.horizon && (len(s.queue) == 0 || s.queue[0].at > until) {
		if s.step() {
			s.setNow(until)
			return
		}
	}
	s.push(event{at: until, task: t, token: t.token})
	t.wait()
}

// await waits until released is closed or the time until has come, and reports
// whether it was released. It returns at once when the run is over.
func (t *task) await(released <-chan struct{}, until time.Duration) bool {
	s := t.s
	for !closed(released) && s.now() < until && !t.killed {
		s.push(event{at: until, task: t, token: t.token})
		if released != nil {
			s.waits = append(s.waits, channelWait{released, t, t.token})
		}
		t.park()
	}
	return closed(released)
}

// waitQueue has the tasks that wait for something to become true.
type waitQueue struct {
	tasks []*task
}

// until waits for condition, which wakeAll makes it look at.
func (q *waitQueue) until(t *task, condition func() bool) {
	for !condition() {
		q.tasks = append(q.tasks, t)
		t.wait()
	}
}

func (q *waitQueue) wakeAll(s *sched) {
	for _, t := range q.tasks {
		s.wake(t)
	}
	q.tasks = q.tasks[:0]
}

// mutex is a lock in virtual time. A Go mutex would stop the whole machine if
// its holder waited.
type mutex struct {
	held  bool
	queue waitQueue
}

func (m *mutex) lock(t *task) {
	m.queue.until(t, func() bool { return !m.held })
	m.held = true
}

func (m *mutex) unlock(s *sched) {
	m.held = false
	m.queue.wakeAll(s)
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

func (s *sched) push(e event) {
	s.seq++
	e.seq = s.seq
	s.queue = append(s.queue, e)
	q, i := s.queue, len(s.queue)-1
	for i > 0 {
		parent := (i - 1) / 2
		if !q[i].before(&q[parent]) {
			break
		}
		q[i], q[parent] = q[parent], q[i]
		i = parent
	}
}

func (s *sched) pop() event {
	q := s.queue
	top := q[0]
	last := len(q) - 1
	q[0] = q[last]
	q[last] = event{}
	q = q[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && q[child+1].before(&q[child]) {
			child++
		}
		if !q[child].before(&q[i]) {
			break
		}
		q[i], q[child] = q[child], q[i]
		i = child
	}
	s.queue = q
	return top
}

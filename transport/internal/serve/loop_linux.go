package serve

import (
	"errors"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Loop waits for what many connections send, in one thread (epoll(7)), and serves what is
// done at once there: no goroutine is woken for it. What takes longer than stuckTime is
// left to the thread that it began in, and another one waits for the other connections.
type Loop struct {
	poll   int
	wakeup int // an eventfd(2), which ends the loop
	room   int // bytes for what is read

	// turn is odd while a connection is served, and counts twice for each. Who changes it
	// from odd to even has the loop from there on.
	turn    atomic.Uint64
	current atomic.Pointer[Waiter] // that is served
	// waiting: nobody is served. watched: the watchdog comes.
	waiting, watched atomic.Bool
	seen             atomic.Uint64 // the turn that the watchdog has seen last
	watchdog         *time.Timer

	running sync.WaitGroup
	mu      sync.Mutex
	waiters map[uint64]*Waiter
	last    uint64 // the key of the newest
	closed  bool
}

// stuckTime is after which time, and up to twice that, a connection that is served loses
// the loop.
const stuckTime = 5 * time.Millisecond

// NewLoop returns a loop that reads up to room bytes at a time. Close ends it.
func NewLoop(room int) (*Loop, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wakeup, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, wakeup, &unix.EpollEvent{Events: unix.EPOLLIN})
	}
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), unix.Close(poll))
	}
	l := &Loop{poll: poll, wakeup: wakeup, room: room, waiters: map[uint64]*Waiter{}}
	l.watchdog = time.AfterFunc(time.Hour, l.watch)
	l.watchdog.Stop()
	l.running.Go(l.run)
	return l, nil
}

// Close ends the loop, when nobody waits in it.
func (l *Loop) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	_, err := unix.Write(l.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	l.running.Wait()
	l.watchdog.Stop()
	return errors.Join(err, unix.Close(l.wakeup), unix.Close(l.poll))
}

// run waits and serves until the loop ends, or somebody else does that.
func (l *Loop) run() {
	events := make([]unix.EpollEvent, 128)
	buffer := make([]byte, l.room)
	for {
		l.waiting.Store(true)
		n, err := unix.EpollWait(l.poll, events, -1)
		l.waiting.Store(false)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic("internal error: epoll_wait: " + err.Error())
		}
		if !l.watched.Load() {
			l.watched.Store(true)
			l.watchdog.Reset(stuckTime)
		}
		for i := range max(n, 0) {
			w, ended := l.of(&events[i])
			if ended {
				l.waiting.Store(true) // nothing is to be watched any more
				return
			}
			// Of what is left of the events, who goes on learns anew.
			if w != nil && !l.serve(w, buffer) {
				return
			}
		}
	}
}

// of returns the waiter of an event, nil for one that has left, and whether the loop ends.
func (l *Loop) of(e *unix.EpollEvent) (w *Waiter, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
	return l.waiters[key], key == 0 && l.closed
}

// serve has a connection served, and reports whether this goroutine still has the loop.
func (l *Loop) serve(w *Waiter, buffer []byte) (mine bool) {
	if !w.state.CompareAndSwap(parked, running) {
		return true // it was called back
	}
	l.current.Store(w)
	turn := l.turn.Add(1)
	stays := w.ready(buffer)
	mine = l.turn.CompareAndSwap(turn, turn+1)
	if !mine {
		l.mu.Lock() // the watchdog may not be done
		w.stuck = true
		l.mu.Unlock()
	}
	if !mine || !stays || !w.state.CompareAndSwap(running, parked) {
		w.release()
	}
	return mine
}

// watch takes the loop from a connection that has it too long.
func (l *Loop) watch() {
	l.watched.Store(false)
	turn := l.turn.Load()
	if turn%2 == 1 && l.seen.Swap(turn) == turn {
		l.take(turn)
	}
	if !l.waiting.Load() {
		l.watched.Store(true)
		l.watchdog.Reset(stuckTime)
	}
}

// take takes the loop from the connection that is served in a turn, if it still is.
func (l *Loop) take(turn uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.current.Load()
	if l.turn.CompareAndSwap(turn, turn+1) {
		w.forget() // what it sends meanwhile is for nobody else
		l.running.Go(l.run)
	}
}

// Waiter is a connection that can wait in a loop. One goroutine has it, and has the loop
// wait in its place.
type Waiter struct {
	loop  *Loop
	conn  syscall.RawConn
	serve Serve
	key   uint64
	state atomic.Int32
	woken chan struct{} // has room for one

	Left
	// Panicked, if set, is told what Serve has panicked with, and its stack; the waiter is
	// given back then. Without it the process ends.
	Panicked func(value any, stack []byte)

	stuck bool

	// read and write are calls of the system with bytes, whose results are n and err.
	read, write func(fd uintptr)
	bytes       []byte
	n           int
	err         error
}

// States of a waiter.
const (
	elsewhere int32 = iota // its goroutine has it
	parked                 // it is in the loop
	running                // it is served
	wanted                 // it is served, and called back
)

// Waiter returns one for a connection in non-blocking mode. Forget must be called in the
// end.
func (l *Loop) Waiter(conn syscall.RawConn, serve Serve) *Waiter {
	w := &Waiter{loop: l, conn: conn, serve: serve, woken: make(chan struct{}, 1)}
	w.read = func(fd uintptr) { w.n, w.err = unix.Read(int(fd), w.bytes) }
	w.write = func(fd uintptr) { w.n, w.err = unix.Write(int(fd), w.bytes) }
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	w.key = l.last
	l.waiters[w.key] = w
	return w
}

// Forget ends what Loop.Waiter has begun.
func (w *Waiter) Forget() {
	w.loop.mu.Lock()
	defer w.loop.mu.Unlock()
	delete(w.loop.waiters, w.key)
}

// Wait has the loop serve the connection until Serve reports that it does not stay, or
// somebody calls it back. stop is asked once the connection waits. stuck reports whether
// what Serve did has taken too long. It is false at once for a connection that is closed.
func (w *Waiter) Wait(stop func() bool) (stuck bool) {
	w.stuck, w.Left = false, Left{Got: w.Got[:0]}
	w.state.Store(parked)
	if w.control(unix.EPOLL_CTL_ADD) != nil {
		// Nobody but who has called it back has seen that it is parked.
		if !w.state.CompareAndSwap(parked, elsewhere) {
			<-w.woken
		}
		return false
	}
	if stop() {
		w.Recall()
	}
	<-w.woken
	return w.stuck
}

// Recall ends Wait, after what is served. It may be called from any goroutine.
func (w *Waiter) Recall() {
	for {
		switch w.state.Load() {
		case parked:
			if w.state.CompareAndSwap(parked, running) {
				w.release()
				return
			}
		case running:
			if w.state.CompareAndSwap(running, wanted) {
				return
			}
		default:
			return
		}
	}
}

// release gives a waiter that is running back to its goroutine.
func (w *Waiter) release() {
	w.forget()
	w.state.Store(elsewhere)
	w.woken <- struct{}{}
}

// forget takes the connection out of the loop. It is out already if it is closed, or was
// served for too long.
func (w *Waiter) forget() { _ = w.control(unix.EPOLL_CTL_DEL) }

func (w *Waiter) control(operation int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(uint32(w.key)), Pad: int32(uint32(w.key >> 32))}
	var failed error
	err := w.conn.Control(func(fd uintptr) { failed = unix.EpollCtl(w.loop.poll, operation, int(fd), &event) })
	return errors.Join(err, failed)
}

// ready reads once, has that served, and writes the answer, and reports whether the
// connection stays in the loop. What it leaves to the connection's goroutine is in Left, but
// the end of the connection and its errors, which reading shows.
//
// The descriptor is held while it is used and not longer: who closes the connection waits
// for that.
func (w *Waiter) ready(buffer []byte) (stays bool) {
	if w.Panicked != nil {
		defer w.caught(&stays)
	}
	w.bytes = buffer
	err := w.conn.Control(w.read)
	switch {
	case err != nil, w.err == nil && w.n == 0:
		return false
	case errors.Is(w.err, unix.EAGAIN), errors.Is(w.err, unix.EINTR):
		return true
	case w.err != nil:
		return false
	}
	got := buffer[:w.n]
	answer, taken, stays := w.serve(got)
	switch {
	case !taken:
		w.Got = append(w.Got, got...)
		return false
	case !stays:
		return false
	}
	w.bytes, w.n = answer, 0
	_ = w.conn.Control(w.write)
	w.Rest = answer[max(w.n, 0):]
	return len(w.Rest) == 0
}

// caught tells a panic.
func (w *Waiter) caught(stays *bool) {
	if value := recover(); value != nil {
		*stays = false
		w.Panicked(value, debug.Stack())
	}
}

package chardev

import (
	"time"

	"golang.org/x/sys/unix"
)

// The kernel's driver is not told of a response. It looks for one at once, which is too
// early, and then sleeps before each look for 700 to 1,000 µs (tpm_try_transmit in
// drivers/char/tpm/tpm-interface.c; tpm_msleep in drivers/char/tpm/tpm.h). The end of the
// window counts, unless another timer of the same processor runs out within it: its
// interrupt ends the sleep too (__hrtimer_run_queues in kernel/time/hrtimer.c).
const (
	shortestSleep = 700 * time.Microsecond
	longestSleep  = 1000 * time.Microsecond
	// sleepMargin is for what passes between a response, or a look, and the sleep after it.
	sleepMargin = 25 * time.Microsecond
)

// look is a timer that runs out when the driver may look for a response. It wakes nobody
// but the driver.
type look struct {
	fd            int
	begun, served time.Time // when the last command came, and when it had its response
	quick         bool      // the driver saw the response before the last one without a sleep
}

// newLook returns nil if the system gives no timer.
func newLook() *look {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil
	}
	return &look{fd: fd}
}

// command notes that a command has come.
func (l *look) command(now time.Time) {
	l.begun = now
	l.quick = now.Sub(l.served) < shortestSleep/2
}

// response sets the timer when a command has its response, if the driver is or will be
// in its first sleep. Without the timer the driver sleeps longer, and nothing else.
func (l *look) response(now time.Time) {
	l.served = now
	left := untilLook(now.Sub(l.begun))
	if l.quick || left == 0 {
		return
	}
	timer := unix.ItimerSpec{Value: unix.NsecToTimespec(left.Nanoseconds())}
	_ = unix.TimerfdSettime(l.fd, 0, &timer, nil)
}

// untilLook returns how long after a response the driver may look for it, if its command
// took so long; 0 if nobody knows. The first sleep can begin after a quick response.
func untilLook(took time.Duration) time.Duration {
	switch {
	case took < shortestSleep:
		return shortestSleep + sleepMargin
	case took < longestSleep:
		return sleepMargin
	}
	return 0
}

func (l *look) close() { _ = unix.Close(l.fd) }

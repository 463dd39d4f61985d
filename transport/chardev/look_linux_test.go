package chardev

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// set reports whether the timer is set, and left how long it runs.
func (l *look) set(t *testing.T) (left time.Duration, set bool) {
	t.Helper()
	var timer unix.ItimerSpec
	require.NoError(t, unix.TimerfdGettime(l.fd, &timer))
	left = time.Duration(timer.Value.Nano())
	return left, left != 0 || l.over(t, 0)
}

// over reports whether the timer has run out, within some milliseconds.
func (l *look) over(t *testing.T, milliseconds int) bool {
	t.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}, milliseconds)
	require.NoError(t, err)
	return n == 1
}

func TestUntilLook(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ took, left time.Duration }{
		// The driver can go to sleep after the response.
		{0, 725}, {30, 725}, {699, 725},
		// It slept before, and may look now.
		{700, 25}, {900, 25},
		// It may have slept more than once.
		{1000, 0}, {1700, 0}, {5300, 0},
	} {
		require.Equal(t, c.left*time.Microsecond, untilLook(c.took*time.Microsecond), "%d µs", c.took)
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	l := newLook()
	require.NotNil(t, l)
	defer l.close()
	now := time.Now()

	l.command(now)
	_, set := l.set(t)
	require.False(t, set, "before the response")
	now = now.Add(30 * time.Microsecond)
	l.response(now)
	left, set := l.set(t)
	require.True(t, set)
	require.LessOrEqual(t, left, 725*time.Microsecond)
	require.True(t, l.over(t, 60_000))

	// The next command comes when the driver has slept: so it will again.
	now = now.Add(750 * time.Microsecond)
	l.command(now)
	l.response(now)
	require.True(t, l.over(t, 60_000))
	require.NoError(t, unix.TimerfdSettime(l.fd, 0, &unix.ItimerSpec{}, nil))

	// It comes at once, so the driver did not sleep.
	now = now.Add(20 * time.Microsecond)
	l.command(now)
	l.response(now)
	_, set = l.set(t)
	require.False(t, set, "the driver does not sleep")

	// Nobody knows when it sleeps during a long command.
	now = now.Add(time.Second)
	l.command(now)
	l.response(now.Add(time.Second))
	_, set = l.set(t)
	require.False(t, set, "a long command")
}

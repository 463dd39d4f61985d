package socket

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// polled returns a connection that looks for bytes for a time, and its peer.
func polledPair(t testing.TB, limit time.Duration) (near *blocking, far net.Conn) {
	l, err := net.Listen("unix", t.TempDir()+"/s")
	require.NoError(t, err)
	defer l.Close()
	far, err = net.Dial("unix", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = far.Close() })
	accepted, err := l.Accept()
	require.NoError(t, err)
	conn, err := Adopt(accepted)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	BusyPoll(conn, limit)
	return conn.(*blocking), far
}

// Each look in vain doubles how many reads sleep at once, up to a bound; each that finds
// something lowers the count by one.
func TestLooksInVainBecomeRare(t *testing.T) {
	t.Parallel()
	var b busy
	var asleep []int
	for range 14 {
		b.learn(false)
		asleep = append(asleep, b.asleep)
	}
	assert.Equal(t, []int{1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 2047, 4095, 4095, 4095}, asleep)
	b.asleep = 0
	b.learn(true)
	assert.Zero(t, b.asleep, "the next read looks again")
	b.learn(true)
	b.learn(false)
	assert.Equal(t, 2047, b.asleep)
}

// What is there already is read, and teaches nothing; what is not, within the time, has
// the read sleep and the next one sleep at once.
func TestBusyPoll(t *testing.T) {
	t.Parallel()
	near, far := polledPair(t, 50*time.Millisecond)
	room := make([]byte, 8)
	say := func(text string) {
		_, err := far.Write([]byte(text))
		require.NoError(t, err)
	}
	hear := func(text string) {
		n, err := near.Read(room)
		require.NoError(t, err)
		require.Equal(t, text, string(room[:n]))
	}
	say("one")
	hear("one")
	assert.Equal(t, busy{limit: 50 * time.Millisecond}, near.busy)

	near.look() // nothing comes
	assert.Equal(t, busy{limit: 50 * time.Millisecond, vain: 1, asleep: 1}, near.busy)
	say("two")
	hear("two")
	assert.Equal(t, 1, near.busy.asleep, "it was there already")
	say("two")
	_, err := near.sleep(room)
	require.NoError(t, err)
	assert.Zero(t, near.busy.asleep, "that one did not look")

	near.busy.limit = time.Minute // so that it finds what the peer sends later
	wrote := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(far, make([]byte, 1)) // near is about to look
		if err == nil {
			_, err = far.Write([]byte("three"))
		}
		wrote <- err
	}()
	_, err = near.Write([]byte("?"))
	require.NoError(t, err)
	hear("three")
	require.NoError(t, transporttest.Receive(t, wrote))

	require.NoError(t, far.Close())
	_, err = near.Read(room)
	assert.ErrorIs(t, err, io.EOF)
}

// Close ends a Read that looks.
func TestCloseEndsALook(t *testing.T) {
	t.Parallel()
	near, _ := polledPair(t, time.Hour)
	ended := make(chan error, 1)
	go func() {
		_, err := near.Read(make([]byte, 1))
		ended <- err
	}()
	require.NoError(t, near.Close())
	select {
	case err := <-ended:
		assert.ErrorIs(t, err, net.ErrClosed)
	case <-time.After(time.Minute):
		t.Fatal("the read goes on after Close")
	}
}

func TestALookAllocatesNothing(t *testing.T) {
	near, _ := polledPair(t, 10*time.Microsecond)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		near.busy.asleep = 0
		near.look()
	}))
}

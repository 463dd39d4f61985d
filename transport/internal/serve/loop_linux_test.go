package serve_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/internal/serve"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func newLoop(t *testing.T) *serve.Loop {
	t.Helper()
	l, err := serve.NewLoop(64)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	return l
}

// waits is a connection whose goroutine has a loop wait, until waited gets what Wait has
// returned.
type waits struct {
	*serve.Waiter
	near   net.Conn // with the loop
	far    net.Conn
	waited chan bool
}

func never() bool { return false }

func wait(t *testing.T, l *serve.Loop, do serve.Serve) *waits {
	t.Helper()
	path := transporttest.SocketPath(t)
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer listener.Close()
	w := &waits{waited: make(chan bool, 1)}
	w.far, err = net.Dial("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.far.Close() })
	w.near, err = listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.near.Close() })
	raw, err := w.near.(*net.UnixConn).SyscallConn()
	require.NoError(t, err)
	w.Waiter = l.Waiter(raw, do)
	t.Cleanup(w.Forget)
	return w
}

func (w *waits) begin() { go func() { w.waited <- w.Wait(never) }() }

// asks sends a message and returns the answer.
func (w *waits) asks(t *testing.T, message string) string {
	t.Helper()
	require.NoError(t, w.far.SetDeadline(time.Now().Add(time.Minute)))
	_, err := io.WriteString(w.far, message)
	require.NoError(t, err)
	answer := make([]byte, 64)
	n, err := w.far.Read(answer)
	require.NoError(t, err)
	return string(answer[:n])
}

// echo takes what does not begin with "no".
func echo(got []byte) (answer []byte, taken, stays bool) {
	if len(got) > 1 && string(got[:2]) == "no" {
		return nil, false, false
	}
	return append([]byte("got "), got...), true, true
}

func TestLoop(t *testing.T) {
	t.Parallel()
	l := newLoop(t)
	one, two := wait(t, l, echo), wait(t, l, echo)
	one.begin()
	two.begin()
	for range 100 {
		assert.Equal(t, "got a", one.asks(t, "a"))
		assert.Equal(t, "got b", two.asks(t, "b"))
	}

	// What is not taken is the goroutine's.
	_, err := io.WriteString(one.far, "no, not this")
	require.NoError(t, err)
	assert.False(t, transporttest.Receive(t, one.waited))
	assert.Equal(t, "no, not this", string(one.Got))
	one.begin()
	assert.Equal(t, "got c", one.asks(t, "c"))

	// So is the end of the connection,
	require.NoError(t, one.far.Close())
	transporttest.Receive(t, one.waited)
	assert.Empty(t, one.Got)
	_, err = one.near.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)

	// and a connection that somebody wants back, or has closed.
	two.Recall()
	transporttest.Receive(t, two.waited)
	two.Recall()
	two.begin()
	assert.Equal(t, "got d", two.asks(t, "d"))
	require.NoError(t, two.near.Close())
	two.Recall()
	transporttest.Receive(t, two.waited)
	assert.False(t, two.Wait(never), "it is closed")
	three := wait(t, l, echo)
	three.Wait(func() bool { return true })
}

// A connection that is served for long keeps no other waiting, and what its client sends
// meanwhile waits.
func TestAConnectionThatTakesLong(t *testing.T) {
	t.Parallel()
	l := newLoop(t)
	let := make(chan struct{})
	var slow [3]*waits
	began := make(chan struct{}, 2*len(slow))
	for i := range slow {
		slow[i] = wait(t, l, func([]byte) ([]byte, bool, bool) {
			began <- struct{}{}
			select {
			case <-let:
			case <-t.Context().Done():
			}
			return []byte("at last"), true, true
		})
		slow[i].begin()
		_, err := io.WriteString(slow[i].far, "x")
		require.NoError(t, err)
		transporttest.Receive(t, began)
		quick := wait(t, l, echo)
		quick.begin()
		assert.Equal(t, "got y", quick.asks(t, "y"))
		_, err = io.WriteString(slow[i].far, "more")
		require.NoError(t, err)
		assert.Equal(t, "got z", quick.asks(t, "z"))
		require.NoError(t, quick.far.Close())
		transporttest.Receive(t, quick.waited)
	}
	assert.Empty(t, began, "what comes meanwhile waits")
	slow[0].Recall() // which waits for nobody
	close(let)
	for _, w := range slow {
		assert.True(t, transporttest.Receive(t, w.waited))
		answer := make([]byte, 7)
		_, err := io.ReadFull(w.far, answer)
		require.NoError(t, err)
		assert.Equal(t, "at last", string(answer))
		more := make([]byte, 4)
		_, err = io.ReadFull(w.near, more)
		require.NoError(t, err)
		assert.Equal(t, "more", string(more))
	}
}

// An answer that the client does not read is the goroutine's to write.
func TestAnAnswerThatIsNotRead(t *testing.T) {
	t.Parallel()
	large := make([]byte, 16<<20)
	w := wait(t, newLoop(t), func([]byte) ([]byte, bool, bool) { return large, true, true })
	w.begin()
	_, err := io.WriteString(w.far, "x")
	require.NoError(t, err)
	transporttest.Receive(t, w.waited)
	require.NotEmpty(t, w.Rest)
	got := make([]byte, len(large)-len(w.Rest))
	_, err = io.ReadFull(w.far, got)
	require.NoError(t, err)
	require.NoError(t, w.far.SetReadDeadline(time.Now().Add(time.Millisecond)))
	_, err = w.far.Read(got)
	require.Error(t, err, "there is more than was written")
}

func TestAPanicInTheLoop(t *testing.T) {
	t.Parallel()
	l := newLoop(t)
	w := wait(t, l, func([]byte) ([]byte, bool, bool) { panic("on purpose") })
	told := make(chan any, 1)
	w.Panicked = func(value any, stack []byte) {
		assert.Contains(t, string(stack), "loop_linux_test")
		told <- value
	}
	w.begin()
	_, err := io.WriteString(w.far, "x")
	require.NoError(t, err)
	assert.Equal(t, "on purpose", transporttest.Receive(t, told))
	transporttest.Receive(t, w.waited)
	other := wait(t, l, echo)
	other.begin()
	assert.Equal(t, "got a", other.asks(t, "a"))
	require.NoError(t, other.far.Close())
	transporttest.Receive(t, other.waited)
}

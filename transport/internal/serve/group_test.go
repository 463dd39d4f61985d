package serve_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/internal/serve"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// script is a listener that gives what it is told, and then waits.
type script struct {
	steps  []any // error or net.Conn
	closed chan struct{}
	once   atomic.Bool
}

func (s *script) Accept() (net.Conn, error) {
	if len(s.steps) == 0 {
		<-s.closed
		return nil, net.ErrClosed
	}
	step := s.steps[0]
	s.steps = s.steps[1:]
	if err, ok := step.(error); ok {
		return nil, err
	}
	return step.(net.Conn), nil
}

func (s *script) Close() error {
	if !s.once.Swap(true) {
		close(s.closed)
	}
	return nil
}

func (s *script) Addr() net.Addr { return &net.UnixAddr{} }

// closable tells when it is closed.
type closable chan struct{}

func (c closable) Close() error {
	close(c)
	return nil
}

func TestServeRidesOutShortages(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	l := &script{closed: make(chan struct{}), steps: []any{syscall.EMFILE, syscall.ENFILE, far}}
	g := serve.NewGroup(1, nil)
	served := make(chan error, 1)
	go func() {
		served <- g.Serve(l, func(c net.Conn) (io.Closer, func(), error) {
			return c, func() { _, _ = c.Write([]byte{1}) }, nil
		})
	}()
	require.NoError(t, near.SetReadDeadline(time.Now().Add(time.Minute)))
	_, err := near.Read(make([]byte, 1))
	require.NoError(t, err)
	g.Stop()
	require.NoError(t, transporttest.Receive(t, served))
	require.NoError(t, g.Wait(context.Background()))
}

func TestServeFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	g := serve.NewGroup(1, nil)
	l := &script{closed: make(chan struct{}), steps: []any{broken}}
	require.ErrorIs(t, g.Serve(l, nil), broken)
	transporttest.Receive(t, l.closed)
}

// TestOpenFails: a connection that cannot be served gives its slot back.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	var steps []any
	for range 5 {
		_, far := net.Pipe()
		steps = append(steps, far)
	}
	l := &script{closed: make(chan struct{}), steps: steps}
	g := serve.NewGroup(1, nil)
	opened := make(chan struct{}, 5)
	served := make(chan error, 1)
	go func() {
		served <- g.Serve(l, func(c net.Conn) (io.Closer, func(), error) {
			opened <- struct{}{}
			return nil, nil, errors.Join(errors.New("refused"), c.Close())
		})
	}()
	for range 5 {
		transporttest.Receive(t, opened)
	}
	g.Stop()
	require.NoError(t, transporttest.Receive(t, served))
}

func TestStopped(t *testing.T) {
	t.Parallel()
	g := serve.NewGroup(1, nil)
	g.Stop()
	g.Stop()
	never := func() { assert.Fail(t, "served after Stop") }
	for _, run := range []func(io.Closer) bool{
		func(c io.Closer) bool { return g.Go(c, never) },
		func(c io.Closer) bool { return g.Run(c, never) },
	} {
		c := make(closable)
		assert.False(t, run(c))
		transporttest.Receive(t, c)
	}
	assert.False(t, g.Background(never))
	l := &script{closed: make(chan struct{})}
	require.NoError(t, g.Serve(l, nil))
	transporttest.Receive(t, l.closed)
}

// TestWaitGivesUp: somebody who does not let go does not hold Wait for ever.
func TestWaitGivesUp(t *testing.T) {
	t.Parallel()
	g := serve.NewGroup(1, nil)
	let := make(chan struct{})
	c := make(closable)
	require.True(t, g.Background(func() { <-let }))
	require.True(t, g.Go(&once{Closer: c}, func() { <-let }))
	g.Stop()
	transporttest.Receive(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, g.Wait(ctx), context.DeadlineExceeded)
	close(let)
	require.NoError(t, g.Wait(context.Background()))
}

// once closes once, as connections do.
type once struct {
	io.Closer
	done atomic.Bool
}

func (o *once) Close() error {
	if o.done.Swap(true) {
		return net.ErrClosed
	}
	return o.Closer.Close()
}

func TestHangupsLeaveNothing(t *testing.T) {
	t.Parallel()
	transporttest.NoLeaks(t, func() {
		var h serve.Hangups
		for range 3 {
			a, b := net.Pipe()
			one := h.Watch(context.Background(), a)
			two := h.Watch(context.Background(), b)
			one.Begin()
			require.NoError(t, one.Ctx.Err())
			one.End()
			h.Forget(one)
			require.ErrorIs(t, one.Ctx.Err(), context.Canceled)
			require.NoError(t, two.Ctx.Err())
			h.Forget(two)
		}
	})
}

// TestFull: a connection too many is closed, which is told once, and again when
// one has been taken in between.
func TestFull(t *testing.T) {
	t.Parallel()
	told := make(chan int, 10)
	g := serve.NewGroup(2, func(limit int) { told <- limit })
	l, err := net.Listen("unix", transporttest.SocketPath(t))
	require.NoError(t, err)
	served := make(chan error, 1)
	taken := make(chan net.Conn, 10)
	ended := make(chan struct{}, 10)
	go func() {
		served <- g.Serve(l, func(c net.Conn) (io.Closer, func(), error) {
			return c, func() {
				taken <- c
				_, _ = c.Read(make([]byte, 1))
				ended <- struct{}{}
			}, nil
		})
	}()
	connect := func() net.Conn {
		c, err := net.Dial("unix", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	refused := func() {
		c := connect()
		require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	}
	first := connect()
	transporttest.Receive(t, taken)
	connect()
	transporttest.Receive(t, taken)
	for range 3 {
		refused()
	}
	assert.Equal(t, 2, transporttest.Receive(t, told))

	require.NoError(t, first.Close())
	transporttest.Receive(t, ended)
	// The slot is free a moment after its connection has ended.
	for free := false; !free; {
		connect()
		select {
		case <-taken:
			free = true
		case <-told:
		case <-time.After(time.Millisecond):
		}
	}
	refused()
	g.Stop()
	require.NoError(t, transporttest.Receive(t, served))
	require.NoError(t, g.Wait(context.Background()))
	assert.NotEmpty(t, told)
}

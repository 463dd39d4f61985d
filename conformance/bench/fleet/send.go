//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// counts are how many commands of each client were answered.
type counts []int

// rate is commands a second.
func (c counts) rate(d time.Duration) float64 {
	sum := 0
	for _, n := range c {
		sum += n
	}
	return float64(sum) / d.Seconds()
}

// slowest is how many times as fast as the slowest client the median one is.
func (c counts) slowest() float64 {
	sorted := slices.Sorted(slices.Values(c))
	n := len(sorted)
	middle := float64(sorted[(n-1)/2]+sorted[n/2]) / 2
	return middle / float64(max(sorted[0], 1))
}

// silence is how long all TPMs together may answer nothing.
const silence = time.Minute

// errSilent says that nobody has answered for so long.
var errSilent = errors.New("no TPM has answered for a minute")

// send has each client send PCR_Extend, one command after the answer to the other, for
// d, and counts the answers that come until then. Each client sends at least one.
func send(ctx context.Context, clients []*client, d time.Duration) (counts, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(poll)
	for i, c := range clients {
		c.answered = 0
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)}
		if err := syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, c.data, &event); err != nil {
			return nil, err
		}
	}
	end := time.Now().Add(d)
	for _, c := range clients {
		if err := c.ask(); err != nil {
			return nil, err
		}
	}
	var result counts
	events := make([]syscall.EpollEvent, 256)
	for open := len(clients); open > 0; {
		n, err := syscall.EpollWait(poll, events, int(silence.Milliseconds()))
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return nil, err
		case n == 0:
			return nil, errSilent
		}
		over := !time.Now().Before(end)
		if over && result == nil {
			result = countsOf(clients)
		}
		for _, event := range events[:n] {
			whole, err := clients[event.Fd].take()
			switch {
			case err != nil:
				return nil, err
			case whole && over:
				open--
			case whole:
				err = clients[event.Fd].ask()
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return result, nil
}

func countsOf(clients []*client) (result counts) {
	for _, c := range clients {
		result = append(result, c.answered)
	}
	return result
}

// ask sends the next command. The socket has room for it, as nothing else is under way.
func (c *client) ask() error {
	n, err := syscall.Write(c.data, extend)
	switch {
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return io.ErrUnexpectedEOF
	case err == nil && n < len(extend):
		return io.ErrShortWrite
	}
	return err
}

// take reads what has come, and reports whether that is an answer to its end.
func (c *client) take() (bool, error) {
	var buffer [256]byte
	n, err := syscall.Read(c.data, buffer[:])
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return false, nil
	case n == 0, errors.Is(err, syscall.ECONNRESET):
		return false, io.ErrUnexpectedEOF
	case err != nil:
		return false, err
	}
	c.answer = append(c.answer, buffer[:n]...)
	if len(c.answer) < transport.HeaderSize || len(c.answer) < int(binary.BigEndian.Uint32(c.answer[2:])) {
		return false, nil
	}
	if code := transport.ResponseCode(c.answer); code != transport.RCSuccess {
		return false, fmt.Errorf("PCR_Extend is answered 0x%X", code)
	}
	c.answer = c.answer[:0]
	c.answered++
	return true, nil
}

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

const (
	// readyTime is how long all TPMs together may take to be ready.
	readyTime = 5 * time.Minute
	// retry is how long a client waits before it tries a socket again that is not there.
	retry = time.Millisecond
	// starters is how many TPMs are started at a time.
	starters = 16
)

// ready starts every TPM, as soon as its sockets are there.
func (f *farm) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	var next atomic.Int64
	var running sync.WaitGroup
	errs := make([]error, starters)
	for w := range starters {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < f.n; i = int(next.Add(1)) - 1 {
				if errs[w] = f.startTPM(ctx, i); errs[w] != nil {
					cancel()
					return
				}
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// startTPM sends INIT and TPM2_Startup(CLEAR), as a machine with its firmware does.
func (f *farm) startTPM(ctx context.Context, i int) error {
	control, data := f.sockets(f.dir, i)
	for _, c := range []struct {
		path     string
		command  []byte
		want     []byte // the end of the answer
		answered int    // its bytes
	}{
		{control, initRequest, []byte{0, 0, 0, 0}, 4},
		{data, startup, []byte{0, 0, 0, 0}, transport.HeaderSize},
	} {
		fd, err := awaited(ctx, f, func() (int, error) { return dialUnix(c.path, 0) })
		if err == nil {
			var answer []byte
			if answer, err = ask(fd, c.command, c.answered); err == nil && !bytes.HasSuffix(answer, c.want) {
				err = fmt.Errorf("% x is answered % x", c.command, answer)
			}
			err = errors.Join(err, syscall.Close(fd))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
	}
	return nil
}

// INIT on swtpm's control channel, and TPM2_Startup(CLEAR).
var (
	initRequest = []byte{0, 0, 0, 2, 0, 0, 0, 0}
	startup     = []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0}
)

// answerTime is how long one TPM may take to answer when it is started.
const answerTime = time.Minute

// ask sends a command on a descriptor that waits, and returns the n bytes of the answer.
func ask(fd int, command []byte, n int) ([]byte, error) {
	limit := syscall.NsecToTimeval(answerTime.Nanoseconds())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit); err != nil {
		return nil, err
	}
	if _, err := syscall.Write(fd, command); err != nil {
		return nil, err
	}
	answer := make([]byte, n)
	for got := 0; got < n; {
		more, err := syscall.Read(fd, answer[got:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return nil, err
		case more == 0:
			return nil, io.ErrUnexpectedEOF
		}
		got += more
	}
	return answer, nil
}

// errEnded says that the processes have ended by themselves.
var errEnded = errors.New("the processes have ended")

// awaited dials until the socket is there.
func awaited[T any](ctx context.Context, f *farm, dial func() (T, error)) (conn T, err error) {
	wait := time.NewTicker(retry)
	defer wait.Stop()
	for {
		conn, err = dial()
		if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.EAGAIN) {
			return conn, err
		}
		select {
		case <-wait.C:
		case <-f.ended:
			return conn, errors.Join(errEnded, err)
		case <-ctx.Done():
			return conn, errors.Join(ctx.Err(), err)
		}
	}
}

// client has connections to the sockets of a TPM.
type client struct {
	control, data int
	answer        []byte // what has come of the answer
	answered      int    // commands
}

func (c *client) close() {
	_, _ = syscall.Close(c.control), syscall.Close(c.data)
}

// connect connects a client with each TPM.
func (f *farm) connect(ctx context.Context) error {
	for i := range f.n {
		control, data := f.sockets(f.dir, i)
		c := &client{}
		var err error
		if c.control, err = awaited(ctx, f, func() (int, error) { return dialUnix(control, syscall.SOCK_NONBLOCK) }); err != nil {
			return fmt.Errorf("%s: %w", control, err)
		}
		if c.data, err = awaited(ctx, f, func() (int, error) { return dialUnix(data, syscall.SOCK_NONBLOCK) }); err != nil {
			_ = syscall.Close(c.control)
			return fmt.Errorf("%s: %w", data, err)
		}
		f.clients = append(f.clients, c)
	}
	// A server has taken a connection when it has answered on it.
	_, err := send(ctx, f.clients, 0)
	return err
}

// dialUnix connects a descriptor. The clients of many TPMs are one thread with epoll,
// which costs less than goroutines: what the clients take, the TPMs cannot have.
func dialUnix(path string, flags int) (int, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return -1, err
	}
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		return -1, errors.Join(err, syscall.Close(fd))
	}
	return fd, nil
}

// extend is TPM2_PCR_Extend of PCR 16 of the SHA-256 bank with an empty password.
var extend = func() []byte {
	b, err := hex.DecodeString("8002" + "00000041" + "00000182" + "00000010" + "00000009" + "40000009" + "0000000000" + "00000001" + "000b" + strings.Repeat("5a", 32))
	if err != nil {
		panic(err)
	}
	return b
}()

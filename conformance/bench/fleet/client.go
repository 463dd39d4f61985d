//go:build linux

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/swtpm"
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
	power, err := awaited(ctx, f, func() (*swtpm.Client, error) { return swtpm.DialControl(ctx, "unix", control) })
	if err != nil {
		return fmt.Errorf("%s: %w", control, err)
	}
	defer power.Close()
	if err := power.Init(ctx, 0); err != nil {
		return fmt.Errorf("%s: %w", control, err)
	}
	commands, err := awaited(ctx, f, func() (*raw.Client, error) { return raw.Dial(ctx, "unix", data) })
	if err != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	defer commands.Close()
	tpm := ask.TPM{Device: commands}
	if err := tpm.Startup(ctx, wire.SUClear); err != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	return nil
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
		if c.control, err = awaited(ctx, f, func() (int, error) { return dialUnix(control) }); err != nil {
			return fmt.Errorf("%s: %w", control, err)
		}
		if c.data, err = awaited(ctx, f, func() (int, error) { return dialUnix(data) }); err != nil {
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
func dialUnix(path string) (int, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
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

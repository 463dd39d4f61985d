package transport

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// DeviceNode is a Device of the running kernel: /dev/tpm0 or /dev/tpmrm0. One write
// is one command, one read its response (drivers/char/tpm/tpm-dev-common.c). The
// kernel chooses the locality.
type DeviceNode struct {
	mu   sync.Mutex
	file *os.File
	conn syscall.RawConn
	// polled is set if reads wait for the file to be readable, and can be given up.
	polled bool
	// owed is set while the response to a command that its sender gave up has not
	// been read: the kernel takes no other command before.
	owed bool
}

// OpenDeviceNode opens a TPM of the kernel at a path below /dev.
func OpenDeviceNode(path string) (*DeviceNode, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return newDeviceNode(file)
}

func newDeviceNode(file *os.File) (*DeviceNode, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	polled := !errors.Is(file.SetReadDeadline(time.Time{}), os.ErrNoDeadline)
	return &DeviceNode{file: file, conn: conn, polled: polled}, nil
}

// Close closes the file.
func (d *DeviceNode) Close() error { return d.file.Close() }

// Send executes a command. It ignores the locality. The kernel goes on with a command
// after ctx is done; the next Send waits for that, and throws the response away.
func (d *DeviceNode) Send(ctx context.Context, _ uint8, command []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer d.until(ctx)()
	response := make([]byte, LargestBuffer)
	if d.owed {
		if _, err := d.read(ctx, response); err != nil {
			return nil, err
		}
	}
	if _, err := d.file.Write(command); err != nil {
		return nil, err
	}
	n, err := d.read(ctx, response)
	return response[:n], err
}

// until ends reads when ctx is done. The caller calls what it returns.
func (d *DeviceNode) until(ctx context.Context) (over func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = d.file.SetReadDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-ended
			_ = d.file.SetReadDeadline(time.Time{})
		}
	}
}

// read reads the response to the command that was written last. owed are the bytes of
// it that are left.
func (d *DeviceNode) read(ctx context.Context, response []byte) (int, error) {
	n, err := d.readWhenReady(response)
	d.owed = errors.Is(err, os.ErrDeadlineExceeded)
	if d.owed && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return n, err
}

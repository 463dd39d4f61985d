package transport

import (
	"context"
	"os"
	"sync"
)

// DeviceNode is a Device of the running kernel: /dev/tpm0 or /dev/tpmrm0. One write
// is one command, one read its response (drivers/char/tpm/tpm-dev-common.c). The
// kernel chooses the locality.
type DeviceNode struct {
	mu   sync.Mutex
	file *os.File
}

// OpenDeviceNode opens a TPM of the kernel at a path below /dev.
func OpenDeviceNode(path string) (*DeviceNode, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &DeviceNode{file: file}, nil
}

// Close closes the file.
func (d *DeviceNode) Close() error { return d.file.Close() }

// Send executes a command. It ignores the locality.
func (d *DeviceNode) Send(ctx context.Context, _ uint8, command []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := d.file.Write(command); err != nil {
		return nil, err
	}
	response := make([]byte, DefaultMaxCommand)
	n, err := d.file.Read(response)
	return response[:n], err
}

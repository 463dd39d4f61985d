package main

import (
	"context"
	"os"
	"sync"
)

// deviceNode is a TPM of the kernel: /dev/tpm0 or /dev/tpmrm0. One write is one
// command, one read its response (drivers/char/tpm/tpm-dev-common.c). The
// kernel chooses the locality.
type deviceNode struct {
	mu   sync.Mutex
	file *os.File
}

// maxResponse is the kernel's TPM_BUFSIZE.
const maxResponse = 4096

// Send executes a command.
func (d *deviceNode) Send(ctx context.Context, _ uint8, command []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := d.file.Write(command); err != nil {
		return nil, err
	}
	response := make([]byte, maxResponse)
	n, err := d.file.Read(response)
	return response[:n], err
}

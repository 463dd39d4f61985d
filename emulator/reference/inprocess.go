//go:build cgo && linux

package reference

import (
	"bytes"
	"context"
)

// InProcess is the TCG reference code in this process, started anew. There is one
// of it at a time; its user answers for what the commands do to the process. Only
// one goroutine may use it.
type InProcess struct{ code *simulatorCode }

// OpenInProcess waits until the one opened before has been closed.
func OpenInProcess() (*InProcess, error) {
	code, err := openSimulatorCode()
	return &InProcess{code: code}, err
}

// Send implements transport.Device for locality 0.
func (p *InProcess) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if locality != 0 {
		return nil, &LocalityError{Locality: locality}
	}
	response, err := p.code.execute(command, len(command))
	return bytes.Clone(response), err
}

// Close gives the code free for the next OpenInProcess.
func (p *InProcess) Close() error { return p.code.close() }

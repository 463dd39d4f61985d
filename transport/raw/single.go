package raw

import (
	"context"
	"errors"
)

// Single is a TPM of a server that closes a connection after one response, as
// swtpm does with --port and with --server …,disconnect: each command gets a
// connection of its own, as tcti-swtpm of tpm2-tss makes it. It is a
// transport.Device, and may be used by several goroutines.
type Single struct {
	Network string // "unix" or "tcp"
	Address string
}

// Send implements transport.Device, for locality 0.
func (s Single) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	c, err := Dial(ctx, s.Network, s.Address)
	if err != nil {
		return nil, err
	}
	response, err := c.Send(ctx, locality, command)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	// The response is whole: whether the connection ends in order does not matter.
	_ = c.Close()
	return response, nil
}

// Close does nothing: no connection outlives a command.
func (Single) Close() error { return nil }

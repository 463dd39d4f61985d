package dial

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// kept is a TPM at the end of a connection that is kept. The command with which a connection
// is lost fails, because nobody knows whether the TPM has executed it; the next one
// gets a new connection.
type kept struct {
	network, address string

	mu     sync.Mutex
	client *raw.Client // nil: none
	closed bool
}

var errClosed = errors.New("the connection to the TPM was closed by its owner")

// connection returns the connection, which it makes if there is none.
func (k *kept) connection(ctx context.Context) (*raw.Client, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, errClosed
	}
	if k.client == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, k.network, k.address)
		if err != nil {
			return nil, err
		}
		k.address = resolve(conn, k.address)
		if k.client, err = raw.NewClient(conn); err != nil {
			return nil, err
		}
	}
	return k.client, nil
}

// Send implements transport.Device, for locality 0.
func (k *kept) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	client, err := k.connection(ctx)
	if err != nil {
		return nil, err
	}
	response, err := client.Send(ctx, locality, command)
	var lost *raw.BrokenError
	if errors.As(err, &lost) {
		k.forget(client)
	}
	return response, err
}

// forget has the next command make a connection of its own.
func (k *kept) forget(client *raw.Client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.client == client {
		k.client = nil
	}
}

// Close closes the connection. A command in progress fails.
func (k *kept) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if k.client == nil {
		return nil
	}
	return k.client.Close()
}

// familyIndicator is TPM2_GetCapability of TPM_PT_FAMILY_INDICATOR, which changes nothing in
// a TPM in any state (TPM 2.0 Library Part 3, section "TPM2_GetCapability").
var familyIndicator = transport.NewCommand(transport.TagNoSessions, 0x17A, []byte{0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 0, 1})

// lasting is a data channel with a connection that is kept if the server answers a second
// command on it, and with one for each command if not.
func lasting(ctx context.Context, a Address) (swtpm.Data, error) {
	k := &kept{network: a.Network, address: a.Data}
	var lost *raw.BrokenError
	for first := true; ; first = false {
		_, err := k.Send(ctx, 0, familyIndicator)
		switch {
		case err == nil && !first:
			return k, nil
		case err != nil && (first || ctx.Err() != nil || !errors.As(err, &lost)):
			return nil, errors.Join(err, k.Close())
		case err != nil:
			return raw.Single{Network: k.network, Address: k.address}, k.Close()
		}
	}
}

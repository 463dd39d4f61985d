package swtpm

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/raw"
)

// controlTime bounds a control request of the interfaces that take no context.
// swtpm answers none while a TPM command runs, and those can take minutes.
const controlTime = 5 * time.Minute

// TPM is the TPM of a server with a control and a data channel: transport.Device,
// Power, HashSequence, Canceler, Established and BufferSize.
type TPM struct {
	control *Client
	data    Data

	mu       sync.Mutex // held while a command runs
	locality int        // set last, -1: unknown
	powered  atomic.Bool
	sizes    atomic.Pointer[Sizes]
}

var _ interface {
	transport.Device
	transport.Power
	transport.HashSequence
	transport.Canceler
	transport.Established
	transport.BufferSize
} = (*TPM)(nil)

// Dial connects to the control channel at a unix socket and passes it a data
// channel. The TPM's Close closes both.
func Dial(ctx context.Context, path string) (*TPM, error) {
	control, err := DialControl(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	conn, err := control.DataConn(ctx)
	if err != nil {
		return nil, errors.Join(err, control.Close())
	}
	data, err := raw.NewClient(conn)
	if err != nil {
		return nil, errors.Join(err, control.Close())
	}
	return NewTPM(ctx, control, data)
}

// Data is a data channel: it takes commands at locality 0, because the locality is
// the control channel's.
type Data interface {
	transport.Device
	io.Closer
}

// NewTPM returns the TPM at the other end of two channels, which it takes over. It asks the
// server for the TPM's state; on error both are closed.
func NewTPM(ctx context.Context, control *Client, data Data) (*TPM, error) {
	d := &TPM{control: control, data: data, locality: -1}
	if err := d.learn(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// learn finds out whether the TPM has power, by a request that only a running
// TPM answers, and its buffer sizes.
func (d *TPM) learn(ctx context.Context) error {
	_, err := d.control.TPMEstablished(ctx)
	var refused *ResultError
	switch {
	case err == nil:
		d.powered.Store(true)
	case errors.As(err, &refused) && refused.Result == BadOrdinal:
	default:
		return err
	}
	sizes, err := d.control.SetBufferSize(ctx, 0)
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	d.sizes.Store(&sizes)
	return nil
}

// Control returns the control channel.
func (d *TPM) Control() *Client { return d.control }

// Close closes both channels. It leaves the TPM as it is.
func (d *TPM) Close() error { return errors.Join(d.control.Close(), d.data.Close()) }

// Send implements transport.Device. The locality is set on the control channel
// where it differs from the last command's; nobody else must set it.
func (d *TPM) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locality != int(locality) {
		d.locality = -1
		if err := d.control.SetLocality(ctx, locality); err != nil {
			return nil, err
		}
		d.locality = int(locality)
	}
	return d.data.Send(ctx, 0, command)
}

func within[T any](f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(context.Background(), controlTime)
	defer cancel()
	return f(ctx)
}

func do(f func(context.Context) error) error {
	_, err := within(func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

// Init implements transport.Power.
func (d *TPM) Init() error {
	return do(func(ctx context.Context) error {
		err := d.control.Init(ctx, 0)
		d.powered.Store(err == nil)
		return err
	})
}

// PowerOff implements transport.Power.
func (d *TPM) PowerOff() error {
	return do(func(ctx context.Context) error {
		err := d.control.Stop(ctx)
		if err == nil {
			d.powered.Store(false)
		}
		return err
	})
}

// Powered implements transport.Power. It knows of Init and PowerOff, and not
// of what others do on control channels of their own.
func (d *TPM) Powered() bool { return d.powered.Load() }

// HashStart implements transport.HashSequence.
func (d *TPM) HashStart() error { return do(d.control.HashStart) }

// HashData implements transport.HashSequence.
func (d *TPM) HashData(data []byte) error {
	return do(func(ctx context.Context) error { return d.control.HashData(ctx, data) })
}

// HashEnd implements transport.HashSequence.
func (d *TPM) HashEnd() error { return do(d.control.HashEnd) }

// Cancel implements transport.Canceler. A server that refuses has nothing to
// cancel.
func (d *TPM) Cancel() { _ = do(d.control.Cancel) }

// TPMEstablished implements transport.Established. A TPM that cannot be asked
// has no flag.
func (d *TPM) TPMEstablished() bool {
	established, err := within(d.control.TPMEstablished)
	return err == nil && established
}

// ResetTPMEstablished implements transport.Established.
func (d *TPM) ResetTPMEstablished(locality uint8) error {
	return do(func(ctx context.Context) error { return d.control.ResetTPMEstablished(ctx, locality) })
}

// BufferSize implements transport.BufferSize.
func (d *TPM) BufferSize() (size, least, most uint32) {
	s := d.sizes.Load()
	return s.Size, s.Min, s.Max
}

// SetBufferSize implements transport.BufferSize.
func (d *TPM) SetBufferSize(size uint32) (uint32, error) {
	sizes, err := within(func(ctx context.Context) (Sizes, error) {
		return d.control.SetBufferSize(ctx, max(size, 1)) // 0 would only ask
	})
	if err != nil {
		return 0, err
	}
	d.sizes.Store(&sizes)
	return sizes.Size, nil
}

package transport

import (
	"context"
	"errors"
	"io"
	"time"
)

// ErrHangUp is the error of a Device that wants its client's connection closed in
// place of an answer, as a fault may. A server closes the connection; where there is none
// to close, it is an error like others.
var ErrHangUp = errors.New("the connection is closed in place of an answer")

// Delivery is the way in which a server writes the response to the command in hand. A
// server gives each connection one, and a Device may change it until its Send
// returns; what is written resets it. The zero value is one write.
type Delivery struct {
	Piece int           // bytes of each write; 0 is all of them
	Pause time.Duration // between two writes
}

type deliveryKey struct{}

// WithDelivery lets the Device change how the responses to the commands that are sent
// with the returned context are written, one after the other.
func WithDelivery(ctx context.Context, d *Delivery) context.Context {
	return context.WithValue(ctx, deliveryKey{}, d)
}

// DeliveryOf returns the Delivery of WithDelivery, nil if there is none.
func DeliveryOf(ctx context.Context) *Delivery {
	d, _ := ctx.Value(deliveryKey{}).(*Delivery)
	return d
}

// Write writes b to w and resets the Delivery. The end of ctx ends its pauses, and the
// rest is not written then.
func (d *Delivery) Write(ctx context.Context, w io.Writer, b []byte) error {
	how := *d
	*d = Delivery{}
	for how.Piece > 0 && len(b) > how.Piece {
		if _, err := w.Write(b[:how.Piece]); err != nil {
			return err
		}
		b = b[how.Piece:]
		if err := pause(ctx, how.Pause); err != nil {
			return err
		}
	}
	_, err := w.Write(b)
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

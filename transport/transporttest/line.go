package transporttest

import (
	"context"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// BadLine is an Answer for a TPM whose line is bad: of a command at locality 0 the
// response comes in pieces, with a pause of 20 ms after each; at another one the
// connection ends in place of a response.
func BadLine(ctx context.Context, locality uint8, _ []byte) ([]byte, error) {
	if locality != 0 {
		return nil, transport.ErrHangUp
	}
	if d := transport.DeliveryOf(ctx); d != nil {
		d.Piece, d.Pause = 4, BadLinePause
	}
	return transport.AppendResponse(nil, transport.RCSuccess), nil
}

// BadLinePause is the pause of BadLine.
const BadLinePause = 20 * time.Millisecond

package transport_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
)

// writes keeps what is written, and fails after some writes.
type writes struct {
	pieces []string
	fail   int
}

var errWrite = errors.New("broken pipe")

func (w *writes) Write(p []byte) (int, error) {
	if w.fail > 0 && len(w.pieces) == w.fail {
		return 0, errWrite
	}
	w.pieces = append(w.pieces, string(p))
	return len(p), nil
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d transport.Delivery
		ctx := transport.WithDelivery(t.Context(), &d)
		require.Same(t, &d, transport.DeliveryOf(ctx))
		assert.Nil(t, transport.DeliveryOf(t.Context()))
		for _, test := range []struct {
			how   transport.Delivery
			want  []string
			after time.Duration
		}{
			{transport.Delivery{}, []string{"response"}, 0},
			{transport.Delivery{Piece: 3}, []string{"res", "pon", "se"}, 0},
			{transport.Delivery{Piece: 4, Pause: time.Second}, []string{"resp", "onse"}, time.Second},
			{transport.Delivery{Piece: 8, Pause: time.Second}, []string{"response"}, 0},
		} {
			d = test.how
			var w writes
			start := time.Now()
			require.NoError(t, d.Write(ctx, &w, []byte("response")))
			assert.Equal(t, test.want, w.pieces)
			assert.Equal(t, test.after, time.Since(start))
			assert.Zero(t, d, "it is for one response")
		}
	})
}

func TestDeliveryEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	d := transport.Delivery{Piece: 1}
	w := writes{fail: 2}
	require.ErrorIs(t, d.Write(ctx, &w, []byte("response")), errWrite)
	assert.Equal(t, []string{"r", "e"}, w.pieces)
	cancel()
	for _, pause := range []time.Duration{0, time.Hour} {
		d = transport.Delivery{Piece: 1, Pause: pause}
		w = writes{}
		require.ErrorIs(t, d.Write(ctx, &w, []byte("response")), context.Canceled)
		assert.Equal(t, []string{"r"}, w.pieces)
	}
}

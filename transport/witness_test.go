package transport_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// A Witness tells everybody above it which commands have come so far.
func TestWitness(t *testing.T) {
	t.Parallel()
	tpm := new(transporttest.TPM)
	require.NoError(t, tpm.Init())
	below := transport.Witness(tpm)
	passes := false
	fault := &faulty{below, &passes}
	var seen []bool
	tap := transport.NewTap(fault, nil, func(e transport.Exchange) { seen = append(seen, !e.Unseen) })
	ctx, sight := transport.NewWatcher(tap).Watch(t.Context())
	_, err := tap.Send(ctx, 0, nil)
	require.NoError(t, err)
	assert.False(t, sight.Came())
	passes = true
	_, err = tap.Send(ctx, 0, nil)
	require.NoError(t, err)
	assert.True(t, sight.Came())
	assert.Equal(t, []bool{false, true}, seen)

	_, sight = transport.NewWatcher(tpm).Watch(t.Context())
	assert.True(t, sight.Came(), "nobody stands between")
	_, ok := transport.As[transport.Power](tap)
	assert.True(t, ok)
}

// faulty answers in the TPM's stead while it does not pass commands on.
type faulty struct {
	transport.Device
	passes *bool
}

func (f *faulty) Unwrap() transport.Device { return f.Device }

func (f *faulty) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if !*f.passes {
		return transport.AppendResponse(nil, transport.RCFailure), nil
	}
	return f.Device.Send(ctx, locality, command)
}

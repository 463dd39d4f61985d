package transport_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func TestTap(t *testing.T) {
	t.Parallel()
	device := &transporttest.TPM{}
	broken := errors.New("broken")
	device.Answer = func(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
		if locality == 4 {
			return nil, broken
		}
		return transport.AppendResponse(nil, transport.RCSuccess), nil
	}
	require.NoError(t, device.Init())
	clock := time.Unix(1000, 0)
	now := func() time.Time {
		clock = clock.Add(time.Second)
		return clock
	}
	var seen []transport.Exchange
	tap := transport.NewTap(device, now, func(e transport.Exchange) { seen = append(seen, e) })

	response, err := tap.Send(transport.WithProbe(context.Background()), 3, command(12))
	require.NoError(t, err)
	_, err = tap.Send(context.Background(), 4, command(10))
	require.ErrorIs(t, err, broken)
	assert.Equal(t, []transport.Exchange{
		{Time: time.Unix(1001, 0), Duration: time.Second, Probe: true, Locality: 3,
			Command: command(12), Response: response},
		{Time: time.Unix(1003, 0), Duration: time.Second, Locality: 4, Command: command(10), Err: broken},
	}, seen)

	power, ok := transport.As[transport.Power](tap)
	require.True(t, ok, "what the device can do is found behind the tap")
	require.NoError(t, power.PowerOff())
	assert.False(t, device.Powered())
}

func ExampleNewTap() {
	device := transporttest.Plain(func(context.Context, uint8, []byte) ([]byte, error) {
		return transport.AppendResponse(nil, transport.RCSuccess), nil
	})
	tap := transport.NewTap(device, nil, func(e transport.Exchange) {
		fmt.Printf("%x -> %x\n", e.Command, e.Response)
	})
	startup := []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0}
	_, _ = tap.Send(context.Background(), 0, startup)
	// Output:
	// 80010000000c000001440000 -> 80010000000a00000000
}

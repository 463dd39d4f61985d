package transport_test

import (
	"context"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// TestOrderly: power is taken after TPM2_Shutdown(STATE), or (CLEAR) where that is
// refused, and not twice.
func TestOrderly(t *testing.T) {
	t.Parallel()
	const (
		state, clear = "80010000000c000001450001", "80010000000c000001450000"
		read         = "80010000000a00000181"
	)
	for name, c := range map[string]struct {
		sent  string // by the guest
		codes map[string]uint32
		want  []string
	}{
		"nothing sent":      {want: []string{state}},
		"started":           {sent: read, want: []string{read, state}},
		"shut down already": {sent: clear, want: []string{clear}},
		"not started":       {codes: map[string]uint32{state: 0x100}, want: []string{state}},
		"state refused":     {codes: map[string]uint32{state: 0x1C4}, want: []string{state, clear}},
		"both refused":      {codes: map[string]uint32{state: 0x923, clear: 0x923}, want: []string{state, clear}},
	} {
		for _, end := range []string{"init", "poweroff"} {
			device := &transporttest.TPM{Answer: func(_ context.Context, _ uint8, command []byte) ([]byte, error) {
				return transport.AppendResponse(nil, c.codes[hex.EncodeToString(command)]), nil
			}}
			o := transport.NewOrderly(device)
			require.NoError(t, o.PowerOff())
			require.NoError(t, o.Init())
			if c.sent != "" {
				command, err := hex.DecodeString(c.sent)
				require.NoError(t, err)
				_, err = o.Send(context.Background(), 0, command)
				require.NoError(t, err)
			}
			if end == "init" {
				require.NoError(t, o.Init())
			} else {
				require.NoError(t, o.PowerOff())
			}
			var sent []string
			calls := device.Calls()
			for _, call := range calls {
				if call.Name == "send" {
					sent = append(sent, hex.EncodeToString(call.Data))
				}
			}
			assert.Equal(t, c.want, sent, "%s, %s", name, end)
			assert.Equal(t, end, calls[len(calls)-1].Name)
			assert.Equal(t, end == "init", o.Powered())
		}
	}
	assert.Nil(t, transport.NewOrderly(transporttest.Plain(nil)))
}

// TestOrderlyOfATPMThatHangs: power is taken all the same.
func TestOrderlyOfATPMThatHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	device := &transporttest.TPM{Answer: func(context.Context, uint8, []byte) ([]byte, error) {
		<-release
		return nil, assert.AnError
	}}
	o := transport.NewOrderly(device)
	require.NoError(t, o.Init())
	require.NoError(t, o.PowerOff())
	assert.Equal(t, []string{"init", "cancel", "send", "poweroff"}, device.Names())
}

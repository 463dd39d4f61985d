package swtpm_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// TestHostileControlClients: clients that flood without reading, that talk garbage, that
// stop in the middle and that half close cost other clients nothing, and the server
// ends all the same.
func TestHostileControlClients(t *testing.T) {
	t.Parallel()
	transporttest.NoLeaks(t, func() {
		device := running(t)
		r := serve(t, device, swtpm.Options{Description: &described})
		info := transporttest.Hex(t, "00000012 00000000000000FF 00000000 00000000")
		for range 3 { // until neither side can write
			flood := r.dialControl()
			require.NoError(t, flood.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
			for {
				if _, err := flood.Write(bytes.Repeat(info, 100)); err != nil {
					break
				}
			}
		}
		const seed = 13
		random := rand.New(rand.NewChaCha8([32]byte{seed}))
		for range 20 {
			garbage := make([]byte, 1+random.IntN(5000))
			for i := range garbage {
				garbage[i] = byte(random.Uint32())
			}
			garbage[0] = 0xFF // no SHUTDOWN
			p := r.dialControl()
			_, _ = p.Write(garbage)
			require.NoError(t, p.Close())
		}
		for _, part := range []string{"00", "0000000D 00000000 00000001 00080000 AA", "00000007 FFFFFFFF AA", "00000002 00"} {
			slow := r.dialControl()
			slow.Say(part)
			half := r.dialControl()
			half.Say(part)
			require.NoError(t, half.Conn.(*net.UnixConn).CloseWrite())
		}
		before := len(device.Calls())
		p := r.dialControl()
		assert.Equal(t, "000000000001ffff", p.Ask("00000001"))
		assert.Equal(t, "00000000", p.Ask("00000009"))
		names := slices.DeleteFunc(device.Names()[before:], func(name string) bool { return name == "hash data" })
		assert.Equal(t, []string{"cancel"}, names, "seed %d", seed)
		assert.Equal(t, rcSuccess, r.dialData().Ask(startup))
		r.close()
	})
}

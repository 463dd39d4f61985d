package emulator

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A list never grows beyond TPM_PT_MAX_CAP_BUFFER, whatever count is asked for.
func TestCapabilityListIsBounded(t *testing.T) {
	t.Parallel()
	for _, size := range []int{2, 4, 6, 8, 70} {
		c := &call{out: wire.NewWriter(nil)}
		l := newCapList(c, ^uint32(0), size)
		for range 2000 {
			if !l.room() {
				break
			}
			c.out.Bytes(make([]byte, size))
		}
		assert.True(t, l.more)
		assert.LessOrEqual(t, 4+c.out.Len(), maxCapBuffer)
		assert.Greater(t, 4+c.out.Len(), maxCapBuffer-size-1)
		assert.EqualValues(t, (c.out.Len()-4)/size, binary.BigEndian.Uint32(c.out.Data()))
	}
}

// TestParms follows the registry: it takes the keys whose algorithms and curves
// are on.
func TestTestParms(t *testing.T) {
	t.Parallel()
	command := func(list ...uint16) []byte {
		b := []byte{0x80, 1, 0, 0, 0, 0, 0, 0, 1, 0x8A}
		for _, v := range list {
			b = binary.BigEndian.AppendUint16(b, v)
		}
		binary.BigEndian.PutUint32(b[2:], uint32(len(b)))
		return b
	}
	const null = uint16(wire.AlgNull)
	for _, tc := range []struct {
		name     string
		c        []byte
		complete wire.RC // with every algorithm
		standard wire.RC // with the default ones
	}{
		{"ecc storage", command(0x23, 6, 128, 0x43, null, 3, null), wire.RCSuccess, wire.RCSuccess},
		{"rsa storage", command(1, 6, 128, 0x43, null, 2048, 0, 0), wire.RCSuccess, wire.RCSuccess},
		{"keyedhash", command(8, 5, 0xB), wire.RCSuccess, wire.RCSuccess},
		{"curve", command(0x23, 6, 128, 0x43, null, 0x10, null), wire.RCCurve.Parameter(1), wire.RCSuccess},
		{"key size", command(1, null, null, 2049, 0, 0), wire.RCValue.Parameter(1), wire.RCValue.Parameter(1)},
		{"Camellia", command(0x25, 0x26, 128, 0x43), wire.RCSuccess, wire.RCSymmetric.Parameter(1)},
		{"trailing", command(8, null, 0), wire.RCSize, wire.RCSize},
		{"short", command(8), wire.RCInsufficient.Parameter(1), wire.RCInsufficient.Parameter(1)},
		{"nothing", command(), wire.RCInsufficient.Parameter(1), wire.RCInsufficient.Parameter(1)},
		{"hash is no object", command(0xB), wire.RCType.Parameter(1), wire.RCType.Parameter(1)},
	} {
		for _, complete := range []bool{true, false} {
			tpm, err := New(Platform{}, Config{CheckErrors: true})
			require.NoError(t, err)
			want := tc.standard
			if complete {
				tpm.algs, want = crypt.Complete(), tc.complete
			}
			require.NoError(t, tpm.Init())
			_, err = tpm.Send(context.Background(), 0, []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0})
			require.NoError(t, err)
			rsp, err := tpm.Send(context.Background(), 0, tc.c)
			require.NoError(t, err)
			assert.Equal(t, want, wire.RC(binary.BigEndian.Uint32(rsp[6:])), tc.name)
		}
	}
}

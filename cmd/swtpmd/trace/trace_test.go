package trace

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]transport.Exchange{
		"TPM2_GetRandom() -> TPM_RC_SUCCESS (0x000) sent=12 received=16 took=1.5ms": exchange("8001 0000000c 0000017b 0004", "8001 00000010 00000000 0004 01020304"),
		"TPM2_PCR_Extend(PCR10) auth=TPM_RS_PW -> TPM_RC_SUCCESS (0x000) sent=31 received=19 took=1.5ms": exchange(
			"8002 0000001f 00000182 0000000a 00000009 40000009 0000 00 0000 00000000", "8002 00000013 00000000 00000000 0000 00 0000"),
		"TPM2_StartAuthSession(TPM_RH_NULL, TPM_RH_NULL) -> TPM_RC_SUCCESS (0x000) session:0x03000000 sent=24 received=16 took=1.5ms": exchange(
			"8001 00000018 00000176 40000007 40000007 000000000000", "8001 00000010 00000000 03000000 0000"),
		"TPM2_FlushContext(object:0x80000001) -> TPM_RC_SUCCESS (0x000) sent=14 received=10 took=1.5ms": exchange("8001 0000000e 00000165 80000001", "8001 0000000a 00000000"),
		"TPM2_NV_Read(TPM_RH_OWNER, NV:0x01c00002) auth=session:0x02000000 -> TPM_RC_NV_LOCKED (0x148) sent=35 received=10 took=1.5ms": exchange(
			"8002 00000023 0000014e 40000001 01c00002 00000009 02000000 0000 01 0000 00080000", "8001 0000000a 00000148"),
		"TPM2_GetRandom() -> TPM_RC_COMMAND_SIZE (0x142) sent=11 received=10 took=1.5ms malformed":     exchange("8001 0000000c 0000017b 00", "8001 0000000a 00000142"),
		"TPM_CC(0x20001000)() -> TPM_RC_COMMAND_CODE (0x143) sent=11 received=10 took=1.5ms malformed": exchange("8001 0000000b 20001000 00", "8001 0000000a 00000143"),
	} {
		got := Line(&e)
		require.True(t, strings.HasPrefix(got, "2026-11-29T12:00:00.000001Z "), got)
		assert.Equal(t, want, got[len("2026-11-29T12:00:00.000001Z "):])
	}
}

func exchange(command, response string) transport.Exchange {
	plain := func(digits string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			panic(err)
		}
		return b
	}
	return transport.Exchange{
		Time: time.Date(2026, 11, 29, 12, 0, 0, 1000, time.UTC), Duration: 1500 * time.Microsecond,
		Command: plain(command), Response: plain(response),
	}
}

// Marks follow, and a command of our own has one.
func TestMarks(t *testing.T) {
	t.Parallel()
	tpm := new(transporttest.TPM)
	require.NoError(t, tpm.Init())
	var out bytes.Buffer
	tracer := &Tracer{Out: &out, Now: func() time.Time { return time.Unix(0, 0) }}
	startup := exchange("8001 0000000c 00000144 0000", "").Command
	_, err := tracer.Own(tpm).Send(t.Context(), 0, startup)
	require.NoError(t, err)
	broken := errors.New("gone")
	tpm.Fail = func(string) error { return broken }
	_, err = tracer.Device(transport.Witness(tpm)).Send(transport.WithProbe(t.Context()), 3, startup)
	require.ErrorIs(t, err, broken)
	assert.Equal(t, `1970-01-01T00:00:00.000000Z TPM2_Startup() -> TPM_RC_SUCCESS (0x000) sent=12 received=10 took=0s own
1970-01-01T00:00:00.000000Z TPM2_Startup() -> no answer: gone sent=12 received=0 took=0s locality=3 probe
`, out.String())
}

package ask

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The client asks as go-tpm and the emulator's own tests do.
func TestClientReadsAndExtends(t *testing.T) {
	ctx := t.Context()
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	c := TPM{tpm}
	_, err = c.Banks(ctx)
	require.ErrorIs(t, err, wire.RCInitialize)
	require.NoError(t, c.Startup(ctx, wire.SUClear))
	banks, err := c.Banks(ctx)
	require.NoError(t, err)
	require.Len(t, banks, 4)
	largest, err := c.Property(ctx, wire.PTMaxDigest)
	require.NoError(t, err)
	assert.EqualValues(t, 64, largest)
	_, err = c.Property(ctx, 0x1ff)
	var missing *PropertyError
	assert.ErrorAs(t, err, &missing)
	assert.NoError(t, c.TestParms(ctx, []byte{0, 1, 0, 0x10, 0, 0x10, 8, 0, 0, 0, 0, 0})) // RSA 2048
	assert.ErrorIs(t, c.TestParms(ctx, []byte{0, 1, 0, 0x10, 0, 0x10, 8, 1, 0, 0, 0, 0}), wire.RCValue)

	digest := make([]byte, 32)
	require.NoError(t, c.Extend(ctx, 16, []wire.HA{{Hash: wire.AlgSHA256, Digest: digest}}))
	values, err := c.ReadPCRs(ctx, Select(wire.AlgSHA256, 0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 23))
	require.NoError(t, err)
	assert.Len(t, values, 11)
	assert.Equal(t, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b", hex.EncodeToString(values[16]))
	assert.Equal(t, digest, values[23])
	assert.ErrorIs(t, c.Extend(ctx, 16, []wire.HA{{Hash: wire.AlgSHA3_256, Digest: digest}}), wire.RCHash)
}

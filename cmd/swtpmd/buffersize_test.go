package main

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// A client of the control channel makes the buffers of a TPM of 8,192 bytes smaller, as a
// QEMU does whose TIS has 4,096, and not larger; commands and signatures then have to fit.
func TestBufferSizeOfTheProfile185(t *testing.T) {
	t.Parallel()
	d := daemonWith(t, "--profile=v185")
	ctx := t.Context()
	c, err := swtpm.DialControl(ctx, "unix", d.ready.Control)
	require.NoError(t, err)
	defer c.Close()
	data, err := raw.Dial(ctx, "unix", d.ready.Data)
	require.NoError(t, err)
	defer data.Close()
	send := func(command []byte) []byte {
		t.Helper()
		response, err := data.Send(ctx, 0, command)
		require.NoError(t, err)
		return response
	}

	const least, most = 3210, 8192 // a saved context fits, and the profile's buffer
	for _, ask := range []struct{ size, want uint32 }{
		{0, most}, {1, least}, {0, least}, {least, least}, {3968, 3968}, {4096, 4096}, {0, 4096}, {8191, 8191}, {8192, most}, {8193, most}, {1 << 31, most},
	} {
		sizes, err := c.SetBufferSize(ctx, ask.size)
		require.NoError(t, err)
		assert.Equal(t, swtpm.Sizes{Size: ask.want, Min: least, Max: most}, sizes, "asked for %d", ask.size)
	}

	// A restricted ML-DSA key in the owner hierarchy.
	key := wire.Public{NameAlg: wire.AlgSHA256, Attributes: wire.ObjectFixedTPM | wire.ObjectFixedParent | wire.ObjectSensitiveDataOrigin |
		wire.ObjectUserWithAuth | wire.ObjectRestricted | wire.ObjectSignEncrypt, Parms: wire.PublicParms{Type: wire.AlgMLDSA}}
	quote := func(set wire.MLDSAParameterSet) wire.RC {
		t.Helper()
		key.Parms.MLDSA = set
		var public wire.Writer
		public.SizedPublic(&key)
		made := send(emulatortest.Command(wire.CCCreatePrimary, []wire.Handle{wire.RHOwner}, emulatortest.NoAuth(),
			emulatortest.Sized(make([]byte, 4)), public.Data(), emulatortest.Sized(nil), emulatortest.U32(0)))
		require.Equal(t, wire.RCSuccess, emulatortest.ResponseCode(made))
		h := emulatortest.ResponseHandle(made)
		rc := emulatortest.ResponseCode(send(emulatortest.Command(wire.CCQuote, []wire.Handle{h}, emulatortest.NoAuth(),
			emulatortest.Sized(nil), emulatortest.U16(uint16(wire.AlgNull)), emulatortest.Selection(wire.AlgSHA256, 10))))
		require.Equal(t, wire.RCSuccess, emulatortest.ResponseCode(send(emulatortest.Command(wire.CCFlushContext, nil, nil, emulatortest.U32(uint32(h))))))
		return rc
	}
	largest := func() uint32 {
		r := send(emulatortest.Command(wire.CCGetCapability, nil, nil, emulatortest.U32(uint32(wire.CapTPMProperties)), emulatortest.U32(uint32(wire.PTMaxCommandSize)), emulatortest.U32(1)))
		return binary.BigEndian.Uint32(r[len(r)-4:])
	}
	for _, size := range []struct {
		bytes         uint32
		mldsa87, long wire.RC
	}{{4096, wire.RCSize, wire.RCCommandSize}, {8192, wire.RCSuccess, wire.RCCommandCode}} {
		_, err := c.SetBufferSize(ctx, size.bytes)
		require.NoError(t, err)
		require.NoError(t, c.Init(ctx, 0))
		require.Equal(t, wire.RCSuccess, emulatortest.ResponseCode(send(emulatortest.Command(wire.CCStartup, nil, nil, emulatortest.U16(0)))))
		assert.Equal(t, size.bytes, largest())
		assert.Equal(t, wire.RCSuccess, quote(wire.MLDSA65), size.bytes)
		assert.Equal(t, size.mldsa87, quote(wire.MLDSA87), size.bytes)
		assert.Equal(t, size.long, emulatortest.ResponseCode(send(emulatortest.Command(0x2FF, nil, nil, make([]byte, 5000)))), size.bytes)

		var refused *swtpm.ResultError
		_, err = c.SetBufferSize(ctx, 4096)
		require.ErrorAs(t, err, &refused, "with power")
		assert.Equal(t, swtpm.BadOrdinal, refused.Result)
		sizes, err := c.SetBufferSize(ctx, 0)
		require.NoError(t, err)
		assert.Equal(t, swtpm.Sizes{Size: size.bytes, Min: least, Max: most}, sizes, "asked only")
		require.NoError(t, c.Stop(ctx))
	}
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}

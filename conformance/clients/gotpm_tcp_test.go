package clients_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport/tcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// openTCP returns go-tpm's client of a server of the simulator's protocol, whose TPM has no
// power.
func openTCP(t *testing.T) *tcp.TPM {
	t.Helper()
	device, err := emulator.New(emulator.Platform{}, emulator.Config{CheckErrors: true})
	require.NoError(t, err)
	server := mssim.NewServer(device, mssim.Options{})
	ports, err := mssim.ListenTCP(t.Context(), 0, "127.0.0.1")
	require.NoError(t, err)
	served := make(chan error, 2)
	go func() { served <- server.ServeCommand(ports.Command[0]) }()
	go func() { served <- server.ServePlatform(ports.Platform[0]) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		assert.NoError(t, server.Close(ctx))
		for range 2 {
			assert.NoError(t, transporttest.Receive(t, served))
		}
	})
	client, err := tcp.Open(tcp.Config{
		CommandAddress: ports.Command[0].Addr().String(), PlatformAddress: ports.Platform[0].Addr().String(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

// overTCP is the emulator as go-tpm's transport/tcp reaches it.
func overTCP(t *testing.T) *emulatortest.Channel {
	client := openTCP(t)
	require.NoError(t, client.PowerOn())
	channel := &emulatortest.Channel{TPM: client}
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(channel)
	require.NoError(t, err)
	return channel
}

// go-tpm switches the power by what it calls PowerOn, PowerOff and Reset.
func TestGoTPMSwitchesThePower(t *testing.T) {
	t.Parallel()
	client := openTCP(t)
	startup := tpm2.Startup{StartupType: tpm2.TPMSUClear}
	_, err := startup.Execute(client)
	require.ErrorIs(t, err, tcp.ErrEmptyResponse)
	require.NoError(t, client.Reset(), "it has no effect")
	for range 2 {
		require.NoError(t, client.PowerOn())
		_, err = startup.Execute(client)
		require.NoError(t, err)
		require.NoError(t, client.PowerOn(), "it has no effect")
		_, err = startup.Execute(client)
		require.ErrorIs(t, err, tpm2.TPMRCInitialize)
		require.NoError(t, client.Reset())
		_, err = startup.Execute(client)
		require.NoError(t, err)
		require.NoError(t, client.PowerOff())
		_, err = startup.Execute(client)
		require.ErrorIs(t, err, tcp.ErrEmptyResponse)
	}
}

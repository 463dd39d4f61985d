package clients_test

import (
	"context"
	"errors"
	"os/exec"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/reference"
	"github.com/swtpmd/swtpmd/transport"
)

// devices are what every flow runs on, new and started.
var devices = []struct {
	name string
	open func(*testing.T) *emulatortest.Channel
}{
	{"emulator", func(t *testing.T) *emulatortest.Channel { return emulatortest.New(t).Channel() }},
	{"emulator over go-tpm's TCP", overTCP},
	{"simulator", simulator},
	{"swtpm", swtpm},
}

// each runs a flow on every device.
func each(t *testing.T, flow func(t *testing.T, tpm *emulatortest.Channel)) {
	t.Helper()
	t.Parallel()
	for _, device := range devices {
		t.Run(device.name, func(t *testing.T) {
			t.Parallel()
			flow(t, device.open(t))
		})
	}
}

func simulator(t *testing.T) *emulatortest.Channel {
	device, err := reference.OpenSimulator()
	if errors.Is(err, reference.ErrNoSimulator) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, device.Close()) })
	return started(t, device)
}

func swtpm(t *testing.T) *emulatortest.Channel {
	if _, err := exec.LookPath("swtpm"); err != nil {
		t.Skip("swtpm is not installed (Debian package swtpm); scripts/test installs it")
	}
	device, err := reference.StartSWTPM("swtpm", t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, device.Close()) })
	return started(t, device)
}

// sender is a device as a go-tpm transport.
type sender struct{ transport.Device }

func (s sender) Send(command []byte) ([]byte, error) {
	return s.Device.Send(context.Background(), 0, command)
}

func started(t *testing.T, device transport.Device) *emulatortest.Channel {
	channel := &emulatortest.Channel{TPM: sender{device}}
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(channel)
	require.NoError(t, err)
	return channel
}

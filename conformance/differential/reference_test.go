//go:build linux

package differential_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/known"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/reference"
	"github.com/swtpmd/swtpmd/transport"
)

// -seed has the campaigns of another seed; 0 draws one. The default is the same
// every time, so that a red test is about the change and not about luck: to look
// for new differences is the task of scripts/differential.
var seedFlag = flag.Uint64("seed", 2026, "seed of the campaigns against references; 0 draws one")

func drawnSeed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return rand.Uint64()
}

// TestEmulatorAgainstSimulator and TestEmulatorAgainstSWTPM are short forms of
// scripts/differential.
func TestEmulatorAgainstSimulator(t *testing.T) {
	t.Parallel()
	compare(t, simulated, differential.Campaign{Packets: 4000, Sequences: 80, Power: 30})
}

func TestEmulatorAgainstSWTPM(t *testing.T) {
	t.Parallel()
	compare(t, swtpm, differential.Campaign{Packets: 1500, Sequences: 15, Power: 15})
}

// compare plays the layers of a campaign at the same time, each with a reference of
// its own. The scripts of a layer do not depend on the others.
func compare(t *testing.T, reference func(*testing.T) conversation.Target, campaign differential.Campaign) {
	t.Helper()
	campaign.Seed, campaign.Known = drawnSeed(), known.Differences()
	for name, layer := range layersOf(campaign) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layer.Theirs = reference(t)
			// Physical presence is always asserted to the simulator, and never to swtpm.
			present := layer.Theirs.Name == "simulator"
			layer.Ours = configured(emulator.Platform{PhysicalPresence: func() bool { return present }}, emulator.Config{CheckErrors: true})
			report, err := layer.Run(t.Context())
			var text strings.Builder
			require.NoError(t, report.WriteText(&text))
			require.NoError(t, err, "-seed=%d\n%s", layer.Seed, text.String())
			assert.Zero(t, report.Unexplained(), "-seed=%d\n%s", layer.Seed, text.String())
			require.Len(t, report.Layers, 1)
			assert.Greater(t, report.Layers[0].Equal, report.Layers[0].Steps/2, "too little was compared, -seed=%d\n%s", layer.Seed, text.String())
		})
	}
}

// layersOf gives a campaign for each layer of one.
func layersOf(campaign differential.Campaign) map[string]differential.Campaign {
	packets, sequences, power := campaign, campaign, campaign
	packets.Sequences, packets.Power = 0, 0
	sequences.Packets, sequences.Power = 0, 0
	power.Packets, power.Sequences = 0, 0
	return map[string]differential.Campaign{"packets": packets, "sequences": sequences, "power": power}
}

// TestSimulatorAgainstItself shows that the comparison does not take what is
// random or in time for a difference.
func TestSimulatorAgainstItself(t *testing.T) {
	t.Parallel()
	campaign := differential.Campaign{
		OneDevice: true, Seed: drawnSeed(), Packets: 1500, Sequences: 30, Power: 10,
		Known: known.Differences(), // the reset count goes on from device to device
	}
	for name, layer := range layersOf(campaign) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			simulator := simulated(t)
			layer.Ours, layer.Theirs = simulator, simulator
			report, err := layer.Run(t.Context())
			require.NoError(t, err)
			var text strings.Builder
			require.NoError(t, report.WriteText(&text))
			assert.Zero(t, report.Unexplained(), "-seed=%d\n%s", layer.Seed, text.String())
		})
	}
}

// TestCatalogueIsThatOfTheSimulator holds our list of commands against the
// attributes a TPM reports: number of handles, and response handle.
func TestCatalogueIsThatOfTheSimulator(t *testing.T) {
	t.Parallel()
	device, err := simulated(t).Fresh(context.Background())
	require.NoError(t, err)
	ask := func(p conformance.Packet) []byte {
		raw, err := device.Send(context.Background(), 0, p.Bytes())
		require.NoError(t, err)
		response, err := conformance.ParseResponse(p.Code, raw)
		require.NoError(t, err)
		require.Zero(t, response.Code)
		return response.Parameters
	}
	ask(conformance.Packet{Code: 0x144, Parameters: []byte{0, 0}})
	list := ask(conformance.Packet{Code: 0x17a, Parameters: []byte{0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0}})[9:]
	require.NotEmpty(t, list)
	for ; len(list) > 0; list = list[4:] {
		if list[0]&0x20 != 0 {
			continue // vendor command
		}
		code := uint32(list[2])<<8 | uint32(list[3])
		command, ok := conformance.Lookup(code)
		require.True(t, ok, "%#x", code)
		assert.Len(t, command.Handles, int(list[0]>>1&7), command.Name)
		assert.Equal(t, list[0]&0x10 != 0, command.ResponseHandle, command.Name)
	}
}

// simulated makes devices of a simulator.
func simulated(t *testing.T) conversation.Target {
	t.Helper()
	device, err := reference.OpenSimulator()
	if errors.Is(err, reference.ErrNoSimulator) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, device.Close()) })
	return conversation.Target{
		Name: "simulator", Ended: reference.Ended,
		Fresh: func(context.Context) (transport.Device, error) { return device, device.Manufacture() },
		Seeded: func(_ context.Context, seeds conversation.Seeds) (transport.Device, error) {
			return device, device.ManufactureWith(reference.Seeds(seeds))
		},
	}
}

func swtpm(t *testing.T) conversation.Target {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		t.Skip("no swtpm program in PATH; install the package swtpm")
	}
	device, err := reference.StartSWTPM("swtpm", t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, device.Close()) })
	return conversation.Target{
		Name: "swtpm", Ended: reference.Ended, Localities: []uint8{0, 1, 2, 3, 4}, MinCommand: conformance.HeaderSize, Retries: true,
		Fresh: func(context.Context) (transport.Device, error) { return device, device.Manufacture() },
		Seeded: func(_ context.Context, seeds conversation.Seeds) (transport.Device, error) {
			return device, device.ManufactureWith(reference.Seeds(seeds))
		},
	}
}

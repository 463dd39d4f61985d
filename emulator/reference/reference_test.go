//go:build linux

package reference_test

import (
	"context"
	"encoding/hex"
	"errors"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/reference"
	"github.com/swtpmd/swtpmd/transport"
)

// tpm is what both references can do.
type tpm interface {
	transport.Device
	transport.Power
	transport.HashSequence
	Manufacture() error
	ManufactureWith(reference.Seeds) error
	Close() error
}

func open(t *testing.T, name string) tpm {
	t.Helper()
	var (
		device tpm
		err    error
	)
	switch name {
	case "simulator":
		device, err = reference.OpenSimulator()
		if errors.Is(err, reference.ErrNoSimulator) {
			t.Skip(err)
		}
	case "swtpm":
		if _, err := exec.LookPath("swtpm"); err != nil {
			t.Skip("no swtpm program in PATH; install the package swtpm")
		}
		device, err = reference.StartSWTPM("swtpm", t.TempDir())
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, device.Close()) })
	return device
}

func send(t *testing.T, device transport.Device, command string) string {
	t.Helper()
	raw, err := hex.DecodeString(command)
	require.NoError(t, err)
	response, err := device.Send(context.Background(), 0, raw)
	require.NoError(t, err)
	return hex.EncodeToString(response)
}

const (
	startupClear  = "80010000000c000001440000"
	startupState  = "80010000000c000001440001"
	shutdownState = "80010000000c000001450001"
	success       = "80010000000a00000000"
	initialize    = "80010000000a00000100"
	valueP1       = "80010000000a000001c4"
	readPCR0      = "8001000000140000017e00000001000b03010000"
	extendPCR0    = "80020000004100000182000000000000000940000009000000000000000001000b" +
		"1111111111111111111111111111111111111111111111111111111111111111"
)

// digest cuts the header and the update counter off a PCR_Read response.
func digest(response string) string { return response[28:] }

func TestReferencesKeepTheDeviceContract(t *testing.T) {
	for _, name := range []string{"simulator", "swtpm"} {
		t.Run(name, func(t *testing.T) {
			device := open(t, name)
			require.True(t, device.Powered())

			assert.Equal(t, initialize, send(t, device, readPCR0), "a new TPM wants TPM2_Startup first")
			assert.Equal(t, valueP1, send(t, device, startupState), "there is no saved state yet")
			assert.Equal(t, success, send(t, device, startupClear))

			zero := send(t, device, readPCR0)
			send(t, device, extendPCR0)
			assert.NotEqual(t, digest(zero), digest(send(t, device, readPCR0)))

			t.Run("a power cut is not a shutdown", func(t *testing.T) {
				require.NoError(t, device.Init())
				assert.Equal(t, valueP1, send(t, device, startupState))
				assert.Equal(t, success, send(t, device, startupClear))
			})
			t.Run("saved PCRs survive", func(t *testing.T) {
				send(t, device, extendPCR0)
				before := send(t, device, readPCR0)
				assert.Equal(t, success, send(t, device, shutdownState))
				require.NoError(t, device.PowerOff())
				require.NoError(t, device.PowerOff(), "PowerOff is idempotent")
				assert.False(t, device.Powered())
				_, err := device.Send(context.Background(), 0, []byte{0})
				assert.ErrorIs(t, err, reference.ErrNoPower)
				assert.ErrorIs(t, device.HashStart(), reference.ErrNoPower)
				require.NoError(t, device.Init())
				assert.Equal(t, success, send(t, device, startupState))
				assert.Equal(t, digest(before), digest(send(t, device, readPCR0)))
			})
			t.Run("an H-CRTM measurement goes into PCR 0", func(t *testing.T) {
				require.NoError(t, device.Manufacture())
				require.NoError(t, device.HashStart())
				require.NoError(t, device.HashData([]byte("crtm")))
				require.NoError(t, device.HashEnd())
				assert.Equal(t, success, send(t, device, startupClear))
				assert.NotEqual(t, digest(zero), digest(send(t, device, readPCR0)))
			})
			t.Run("a done context sends nothing", func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				_, err := device.Send(ctx, 0, []byte{0})
				assert.ErrorIs(t, err, context.Canceled)
			})
		})
	}
}

func TestSimulatorHasOnlyLocality0(t *testing.T) {
	device := open(t, "simulator")
	_, err := device.Send(context.Background(), 3, []byte{0})
	var locality *reference.LocalityError
	require.ErrorAs(t, err, &locality)
	assert.Equal(t, uint8(3), locality.Locality)
	assert.ErrorContains(t, err, "locality 3")
	assert.Equal(t, "80010000000a0000009a", send(t, device, ""), "an empty command is answered too")
	assert.Equal(t, "80010000000a00000142", send(t, device, "800100000000"), "and a short one")
}

// TestManufactureForgetsEverything compares the state of a device that has been
// through something with that of a new one.
func TestManufactureForgetsEverything(t *testing.T) {
	for _, name := range []string{"simulator", "swtpm"} {
		t.Run(name, func(t *testing.T) {
			device := open(t, name)
			state := func() []string {
				assert.Equal(t, success, send(t, device, startupClear))
				return []string{
					send(t, device, "8001000000160000017a000000060000020000000040"), // variable properties
					send(t, device, "8001000000160000017a000000050000000000000008"), // PCR banks
					send(t, device, "80010000000a00000181")[52:],                    // reset and restart count, safe
				}
			}
			first := state()
			for range 3 {
				require.NoError(t, device.Init())
				send(t, device, startupClear)
			}
			setAlgorithmSet := "80020000001f0000013f4000000c0000000940000009000000000000000007"
			send(t, device, setAlgorithmSet)
			send(t, device, "80020000001f0000012b4000000c00000009400000090000000000000000000000")
			assert.NotEqual(t, first, func() []string {
				require.NoError(t, device.Init())
				return state()
			}())
			require.NoError(t, device.Manufacture())
			assert.Equal(t, first, state())
		})
	}
}

// TestSeedsMakeTheKeys makes a primary key with both references: the same from
// the same seeds, also after a loss of power.
func TestSeedsMakeTheKeys(t *testing.T) {
	// TPM2_CreatePrimary(owner) of a P-256 storage key
	const createPrimary = "800200000043000001314000000100000009400000090000000000000400000000001a" +
		"0023000b00030472000000060080004300100003001000000000" + "0000" + "00000000"
	seeds := func(b byte) (s reference.Seeds) {
		for i := range s.Storage {
			s.Endorsement[i], s.Storage[i], s.Platform[i] = 1, b, 2
		}
		return s
	}
	made := map[string][]string{}
	for _, name := range []string{"simulator", "swtpm"} {
		t.Run(name, func(t *testing.T) {
			device := open(t, name)
			make := func(b byte) string {
				require.NoError(t, device.ManufactureWith(seeds(b)))
				require.NoError(t, device.Init())
				assert.Equal(t, success, send(t, device, startupClear))
				response := send(t, device, createPrimary)
				require.Greater(t, len(response), 300, response)
				return response[36:220] // outPublic
			}
			made[name] = []string{make(3), make(4), make(3)}
			assert.Equal(t, made[name][0], made[name][2])
			assert.NotEqual(t, made[name][0], made[name][1])
		})
	}
	if len(made) == 2 {
		assert.Equal(t, made["simulator"], made["swtpm"])
	}
}

func TestSWTPMKnowsLocalities(t *testing.T) {
	device := open(t, "swtpm")
	raw, err := hex.DecodeString(startupClear)
	require.NoError(t, err)
	response, err := device.Send(context.Background(), 2, raw)
	require.NoError(t, err)
	assert.Equal(t, "80010000000a00000907", hex.EncodeToString(response))
	assert.Equal(t, success, send(t, device, startupClear))
}

func TestStartSWTPMSaysWhatIsMissing(t *testing.T) {
	_, err := reference.StartSWTPM("no-such-swtpm", t.TempDir())
	assert.ErrorContains(t, err, "no-such-swtpm")
}

func TestClosedReferencesRefuse(t *testing.T) {
	for _, name := range []string{"simulator", "swtpm"} {
		t.Run(name, func(t *testing.T) {
			device := open(t, name)
			require.NoError(t, device.Close())
			require.NoError(t, device.Close())
			assert.ErrorIs(t, device.Init(), reference.ErrClosed)
		})
	}
}

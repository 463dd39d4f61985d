package emulator_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func TestCommandsOfTheConfig(t *testing.T) {
	t.Parallel()
	codes := []wire.CC{wire.CCSelfTest, wire.CCGetCapability, wire.CCGetTestResult, wire.CCStartup, wire.CCGetRandom}
	tpm := et.New(t, et.WithConfig(emulator.Config{Commands: codes}))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCGetRandom, nil, nil, et.U16(8))))
	assert.Equal(t, wire.RCCommandCode, send(t, tpm, et.Command(wire.CCReadClock, nil, nil)))
	entries, more := list(t, tpm, wire.CapCommands, 0, 1000, 4)
	assert.False(t, more)
	var got []wire.CC
	for _, e := range entries {
		got = append(got, wire.CC(binary.BigEndian.Uint32(e)&0xFFFF))
	}
	assert.ElementsMatch(t, codes, got)
	assert.EqualValues(t, len(codes), property(t, tpm, wire.PTTotalCommands))
	assert.EqualValues(t, len(codes), property(t, tpm, wire.PTLibraryCommands))
	presence, _ := list(t, tpm, wire.CapPPCommands, 0, 1000, 4)
	assert.Empty(t, presence)
}

func TestCommandsGoTogether(t *testing.T) {
	t.Parallel()
	least := []wire.CC{wire.CCSelfTest, wire.CCGetCapability, wire.CCGetTestResult, wire.CCStartup}
	for text, codes := range map[string][]wire.CC{
		"":                           least,
		"without Startup":            {},
		"without SelfTest":           {wire.CCStartup, wire.CCGetCapability, wire.CCGetTestResult},
		"TPM_CC(0x00000001)":         append([]wire.CC{1}, least...),
		"ACT_SetTimeout":             append([]wire.CC{wire.CCACTSetTimeout}, least...),
		"name each command once":     append([]wire.CC{wire.CCStartup}, least...),
		"choose among those of Comm": append([]wire.CC{0xFFFFFFFF}, least...),
	} {
		_, err := emulator.New(emulator.Platform{}, emulator.Config{Commands: codes})
		if text == "" {
			assert.NoError(t, err)
			continue
		}
		var bad *emulator.ConfigError
		if assert.ErrorAs(t, err, &bad, text) {
			assert.Equal(t, "Commands", bad.Field)
			assert.Contains(t, bad.Error(), text)
		}
	}
}

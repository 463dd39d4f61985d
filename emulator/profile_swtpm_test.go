//go:build linux

package emulator_test

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/reference"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// recorded are the answers of swtpm 0.7.1 to TPM2_GetCapability, by command.
func recorded(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/swtpm-0.7.1.capabilities")
	require.NoError(t, err)
	answers := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 {
			answers[words[0]] = words[1]
		}
	}
	require.NotEmpty(t, answers)
	return answers
}

// What was recorded is what the program answers, where that version is at hand.
func TestTheRecordOfSWTPM(t *testing.T) {
	version, err := exec.Command("swtpm", "--version").Output()
	if err != nil || !strings.Contains(string(version), " 0.7.1,") {
		t.Skip("no swtpm 0.7.1 in PATH: it is Debian 12's")
	}
	device, err := reference.StartSWTPM("swtpm", t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, device.Close()) })
	_, err = device.Send(t.Context(), 0, et.Command(wire.CCStartup, nil, nil, et.U16(uint16(wire.SUClear))))
	require.NoError(t, err)
	for command, want := range recorded(t) {
		raw, err := hex.DecodeString(command)
		require.NoError(t, err)
		response, err := device.Send(t.Context(), 0, raw)
		require.NoError(t, err)
		assert.Equal(t, want, hex.EncodeToString(response), command)
	}
}

// capEntries are the entries of a list in a response to TPM2_GetCapability.
func capEntries(t *testing.T, response string, size int) (entries []string) {
	t.Helper()
	raw, err := hex.DecodeString(response)
	require.NoError(t, err)
	for raw = raw[10+1+4+4:]; len(raw) > 0; raw = raw[size:] {
		entries = append(entries, string(raw[:size]))
	}
	return entries
}

// capDifference names the entries of a list that one TPM has and the other lacks.
func capDifference(in, out []string, name func([]byte) string) (names []string) {
	for _, entry := range in {
		if !slices.Contains(out, entry) {
			names = append(names, name([]byte(entry)))
		}
	}
	return names
}

// differentProperties are the fixed properties whose values are the emulator's own.
var differentProperties = map[wire.PT]string{
	wire.PTManufacturer: "MANUFACTURER", wire.PTFirmwareVersion1: "FIRMWARE_VERSION_1", wire.PTFirmwareVersion2: "FIRMWARE_VERSION_2",
	wire.PTMaxObjectContext: "MAX_OBJECT_CONTEXT", wire.PTTotalCommands: "TOTAL_COMMANDS", wire.PTLibraryCommands: "LIBRARY_COMMANDS",
}

func entryName(t *testing.T, c wire.Cap) (size int, name func([]byte) string) {
	switch c {
	case wire.CapAlgs:
		return 6, func(e []byte) string { return wire.AlgID(binary.BigEndian.Uint16(e)).String() }
	case wire.CapECCCurves:
		return 2, func(e []byte) string { return wire.Curve(binary.BigEndian.Uint16(e)).String() }
	case wire.CapTPMProperties:
		return 8, func(e []byte) string {
			pt := wire.PT(binary.BigEndian.Uint32(e))
			assert.Contains(t, differentProperties, pt)
			return differentProperties[pt]
		}
	}
	return 4, func(e []byte) string {
		for _, c := range emulator.Commands() {
			if c.Code == wire.CC(binary.BigEndian.Uint16(e[2:])) {
				assert.Greater(t, c.Since, "1.64")
				return c.Name
			}
		}
		return hex.EncodeToString(e)
	}
}

// The default profile says in what it differs from swtpm; the rest is equal, byte
// for byte.
func TestTheDefaultProfileSaysHowItDiffers(t *testing.T) {
	t.Parallel()
	tpm, answers := et.New(t), recorded(t)
	var said strings.Builder
	say := func(what string, names []string) {
		line := "#   " + what + ":"
		for i, name := range names {
			if len(line)+1+len(name) > 80 {
				said.WriteString(line + "\n")
				line = "#    "
			}
			line += " " + name
			if i == len(names)-1 {
				said.WriteString(line + "\n")
			}
		}
	}
	for _, list := range []struct {
		c               wire.Cap
		property        uint32
		lacking, having string
	}{
		{wire.CapAlgs, 0, "algorithms it lacks", "algorithms of its own"},
		{wire.CapECCCurves, 0, "curves it lacks", "curves of its own"},
		{wire.CapCommands, 0, "commands it lacks", "commands newer than its revision"},
		{wire.CapTPMProperties, uint32(wire.PTFixed), "", "fixed properties with values of its own"},
	} {
		command := getCapability(list.c, list.property, 0x400)
		size, name := entryName(t, list.c)
		theirs := capEntries(t, answers[hex.EncodeToString(command)], size)
		ours := capEntries(t, hex.EncodeToString(tpm.Execute(0, command)), size)
		if lacks := capDifference(theirs, ours, name); list.lacking != "" {
			say(list.lacking, lacks)
		}
		say(list.having, capDifference(ours, theirs, name))
		delete(answers, hex.EncodeToString(command))
	}
	// They came with PolicyTransportSPDM.
	delete(answers, hex.EncodeToString(getCapability(wire.CapPubKeys, 0, 0x400)))
	delete(answers, hex.EncodeToString(getCapability(wire.CapSPDMSessions, 0, 0x400)))
	assert.NotEmpty(t, answers)
	for command, answer := range answers {
		raw, err := hex.DecodeString(command)
		require.NoError(t, err)
		assert.Equal(t, answer, hex.EncodeToString(tpm.Execute(0, raw)), command)
	}

	text, err := emulator.ProfileFile("default")
	require.NoError(t, err)
	assert.Contains(t, string(text), "gives the numbers here but for these:\n"+said.String()+"profile default")
}

package commands

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator"
)

// called runs the subcommand and returns exit code, stdout and stderr.
func called(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := cli.Main(t.Context(), "swtpmd", []cli.Command{Command}, args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	return code, out.String(), errs.String()
}

func commandsJSON(t *testing.T, args ...string) []row {
	t.Helper()
	code, out, errs := called(t, append([]string{"commands", "--format=json"}, args...)...)
	require.Equal(t, cli.ExitOK, code)
	require.Empty(t, errs)
	var rows []row
	require.NoError(t, json.Unmarshal([]byte(out), &rows))
	return rows
}

// Both formats have every row of the table.
func TestCommandsListsTheTable(t *testing.T) {
	table := emulator.Commands()
	rows := commandsJSON(t)
	require.Len(t, rows, len(table))
	code, out, _ := called(t, "commands")
	require.Equal(t, cli.ExitOK, code)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 1+len(table))
	for i, c := range table {
		row := rows[i]
		assert.Equal(t, c.Name, row.Name)
		assert.EqualValues(t, c.Code, row.Code)
		assert.Equal(t, c.Since, row.Since)
		assert.Equal(t, c.Chapter, row.Chapter)
		assert.Equal(t, c.Implemented(), row.Implemented)
		assert.Equal(t, c.Implemented(), row.Enabled)
		assert.EqualValues(t, c.Attributes(), row.TPMACC)
		assert.Len(t, row.Handles, len(c.Handles))
		fields := strings.Fields(lines[1+i])
		assert.Equal(t, c.Name, fields[1])
		assert.Equal(t, map[bool]string{true: "yes", false: "no"}[c.Implemented()], fields[3], c.Name)
		assert.True(t, strings.HasSuffix(lines[1+i], "  "+c.Chapter), lines[1+i])
	}
}

func TestCommandsSaysWhatARowIs(t *testing.T) {
	rows := map[string]row{}
	for _, row := range commandsJSON(t) {
		rows[row.Name] = row
	}
	assert.Equal(t, row{
		Code: 0x11F, Name: "NV_UndefineSpaceSpecial", Chapter: "Non-volatile Storage", Since: "1.16", Implemented: true, Enabled: true,
		Handles:    []handle{{"TPMI_RH_NV_INDEX", "ADMIN"}, {"TPMI_RH_PLATFORM", "USER"}},
		Attributes: []string{"nv", "pp", "read-only"}, TPMACC: 0x0440011F, Timeout: "2m0s", TimeoutNS: 120e9,
	}, rows["NV_UndefineSpaceSpecial"])
	assert.Equal(t, []string{"flushed", "decrypt", "encrypt"}, rows["SequenceComplete"].Attributes)
	assert.Equal(t, "750ms", rows["SequenceComplete"].Timeout)
	assert.Equal(t, []string{"no-sessions"}, rows["ContextSave"].Attributes)
	assert.Equal(t, []string{"rhandle", "no-sessions"}, rows["ContextLoad"].Attributes)
	assert.Contains(t, rows["PP_Commands"].Attributes, "pp-must")
	assert.Equal(t, []handle{}, rows["GetRandom"].Handles)
}

// The other subcommands take --json.
func TestCommandsTakeJSON(t *testing.T) {
	_, want, _ := called(t, "commands", "--format=json")
	code, out, errs := called(t, "commands", "--json")
	require.Equal(t, cli.ExitOK, code, errs)
	assert.Equal(t, want, out)
	assert.Contains(t, out, `"timeout":"750ms","timeout_ns":750000000`)
}

func TestCommandsOfAProfile(t *testing.T) {
	enabled := 0
	for _, row := range commandsJSON(t, "--profile=tiny") {
		if row.Enabled {
			enabled++
			assert.True(t, row.Implemented)
		}
		if row.Name == "ClockSet" {
			assert.True(t, row.Implemented)
			assert.False(t, row.Enabled)
		}
	}
	p, err := emulator.ProfileByName("tiny")
	require.NoError(t, err)
	assert.Equal(t, len(p.Config.Commands), enabled)
	_, out, _ := called(t, "commands", "--profile=tiny")
	assert.Regexp(t, `(?m)^0x00000128  ClockSet +1\.16 +off `, out)
}

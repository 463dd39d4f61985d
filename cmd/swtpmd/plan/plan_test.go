package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults"
)

// called runs swtpmd plan.
func called(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = cli.Main(context.Background(), "swtpmd", []cli.Command{Command}, append([]string{"plan"}, args...), cli.Streams{Out: &o, Err: &e})
	return code, o.String(), e.String()
}

func written(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.plan")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func TestCheck(t *testing.T) {
	good := written(t, "# late\nseed 7\nPCR_Extend#3: rc=TPM_RC_FAILURE\nname=slow level=kernel..late: hold=1s\n")
	code, out, errs := called(t, "check", good)
	assert.Equal(t, cli.ExitOK, code, errs)
	assert.Equal(t, good+": 2 rules, seed 7\n", out)

	for text, says := range map[string]string{
		"*: rc=RETRY\nGetRandom: pass\n":           ":2:1: it is never asked",
		"\n  GetRandom: rc=NOT_A_CODE\n":           ":2:14: ",
		"PCR_Xtend: pass":                          ":1:1: there is no command",
		"level=late..kernel: pass\n":               ":1:1: it ends at kernel",
		"after=nobody: rc=RETRY\n":                 ":1:1: it waits for a rule",
		"GetRandom: pass\nseed 7\n":                ":2:1: the seed stands before",
		"GetRandom: fly\n":                         "the faults are ",
		"name=a GetRandom: pass\nname=a *: pass\n": ":2:1: rule 1 has that name too",
	} {
		bad := written(t, text)
		code, out, _ := called(t, "check", good, bad)
		assert.Equal(t, cli.ExitFailed, code, text)
		assert.Contains(t, out, says)
		assert.True(t, strings.HasPrefix(out, good+": 2 rules"), out)

		_, out, _ = called(t, "check", "--json", bad)
		var c Checked
		require.NoError(t, json.Unmarshal([]byte(out), &c))
		require.NotNil(t, c.Error, text)
		assert.Positive(t, c.Error.Line)

		code, _, _ = called(t, "explain", bad)
		assert.Equal(t, cli.ExitFailed, code, text)
	}

	code, _, errs = called(t, "check", filepath.Join(t.TempDir(), "none.plan"))
	assert.Equal(t, cli.ExitFailed, code)
	assert.Contains(t, errs, "none.plan")
}

func TestWrongCommandLines(t *testing.T) {
	for _, args := range [][]string{nil, {"check"}, {"explain"}, {"look", "x"}, {"list", "x"}, {"list", "--fault=*: pass"}, {"check", "--fault=*: pass", "x"}, {"explain", "--fault=pass"}} {
		code, out, errs := called(t, args...)
		assert.Equal(t, cli.ExitUsage, code, args)
		assert.Empty(t, out)
		assert.NotEmpty(t, errs)
	}
}

func TestExplain(t *testing.T) {
	for rule, says := range map[string]string{
		"PCR_Extend#3: rc=TPM_RC_FAILURE": "The third TPM2_PCR_Extend: ",
		"*: pass":                         "Each command: ",
		"*#2-: pass":                      "Each command from the second on: ",
		"GetRandom,PCR_Read/10 p=0.5 times=2: rc=RETRY":        "Every tenth TPM2_GetRandom or TPM2_PCR_Read, with a probability of 0.5, 2 times at most: ",
		"level=kernel..late_sync boot=1: hold=30s":             "Each command from level kernel until late_sync is reached in the first boot: ",
		"level=late: pass":                                     "Each command at level late: ",
		"pcr=10 locality=0,3 session=no client=data: rc=RETRY": `Each command of PCR 10 at locality 0 or 3 without sessions from the client "data": `,
		"handle=0x81000001 time=1s..2s after=x: rc=RETRY":      `Each command with the handle 0x81000001 from 1s to 2s after power-on after the rule "x" has fired: `,
		"*#11-22/2: pass":                                      "Every second command, counted from the 11th to the 22nd: ",
	} {
		code, out, errs := called(t, "explain", "--fault", rule)
		assert.Equal(t, cli.ExitOK, code, errs)
		assert.True(t, strings.HasPrefix(out, says), "%s: %s", rule, out)
		assert.Equal(t, 1, strings.Count(out, "\n"))
	}
	_, out, _ := called(t, "explain", "--fault=level=kernel..late: hold=30s", "--json")
	var e Explained
	require.NoError(t, json.Unmarshal([]byte(out), &e))
	assert.Contains(t, e.Does, "Here MAX is 30s.")
	assert.Equal(t, "The rules after this one are asked too.", e.Later)

	file := written(t, "\nPCR_Extend#3: rc=TPM_RC_FAILURE\n")
	_, out, _ = called(t, "explain", file)
	assert.True(t, strings.HasPrefix(out, file+":2: The third"), out)
	assert.Contains(t, out, "CODE is TPM_RC_FAILURE.")
	assert.Contains(t, out, "No rule after this one sees the command.")
}

// A plan of the library can be named wherever a file can.
func TestLibrary(t *testing.T) {
	code, out, errs := called(t, "list")
	assert.Equal(t, cli.ExitOK, code, errs)
	assert.Equal(t, len(faults.NamedPlans()), strings.Count(out, "\n"))
	assert.Contains(t, out, "@field-upgrade        A chip that was left in field upgrade mode: ")

	_, out, _ = called(t, "list", "--json")
	first, _, _ := strings.Cut(out, "\n")
	var l Listed
	require.NoError(t, json.Unmarshal([]byte(first), &l))
	assert.Equal(t, faults.NamedPlans()[0].Name, l.Name)
	assert.Contains(t, strings.ReplaceAll(l.Doc, "\n", " "), l.Summary)

	var named []string
	for _, p := range faults.NamedPlans() {
		named = append(named, "@"+p.Name)
	}
	code, out, errs = called(t, append([]string{"check"}, named...)...)
	assert.Equal(t, cli.ExitOK, code, errs)
	assert.Contains(t, out, "@slow-nv: 1 rule, seed 40159\n")
	code, out, errs = called(t, append([]string{"explain"}, named...)...)
	assert.Equal(t, cli.ExitOK, code, errs)
	assert.Contains(t, out, "Here: duplicate/PCRS.")
	code, _, errs = called(t, "check", "@none")
	assert.Equal(t, cli.ExitFailed, code)
	assert.Contains(t, errs, "the plans are ci-timeouts, ")
}

// The example of each kind is explained with its own sentence.
func TestEveryKindIsExplained(t *testing.T) {
	for _, k := range faults.Kinds() {
		code, out, errs := called(t, "explain", "--fault", k.Example)
		assert.Equal(t, cli.ExitOK, code, errs)
		assert.Contains(t, out, k.Doc, k.Word)
	}
}

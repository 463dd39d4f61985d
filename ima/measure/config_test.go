package measure_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima/measure"
)

func TestCommandLineWords(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"":                            nil,
		" quiet\tro \n":               {"quiet", "ro"},
		`ima_policy="tcb|a b" quiet`:  {"ima_policy=tcb|a b", "quiet"},
		`"ima-policy=tcb foo" x`:      {"ima_policy=tcb foo", "x"},
		"ima-template=ima-ng a-b=c-d": {"ima_template=ima-ng", "a_b=c-d"},
		"initcall-debug":              {"initcall_debug"},
		"quiet -- ima_policy=tcb":     {"quiet"},
		"a --b -- c":                  {"a", "__b"},
		"a=b=c-d":                     {"a=b=c-d"},
	} {
		assert.Equal(t, want, slices.Collect(measure.CommandLineWords(line)), line)
	}
	for range measure.CommandLineWords("a b") {
		break
	}
}

// What the kernel makes of its own options: dashes are underscores, an option
// without a value is known by how it begins, one with a value needs it, and what
// stands after -- is for init.
func TestCommandLineOptions(t *testing.T) {
	t.Parallel()
	for line, tcb := range map[string]bool{
		"ima_policy=tcb":               true,
		"ima-policy=tcb":               true,
		"ima-tcb":                      true,
		"ima_tcb=1":                    true,
		"ima_tcbx":                     true,
		"ima_policy":                   false,
		"IMA_POLICY=tcb":               false,
		"quiet -- ima_policy=tcb":      false,
		"-- ima_tcb":                   false,
		"ima_policy=tcb -- ima_policy": true,
	} {
		m := start(t, measure.Config{Kernel: kernel(t, "6.1"), CommandLine: line}, nil)
		m.BprmCheck(file("/bin/x", "x"), rootCred)
		assert.Equal(t, tcb, m.Count() == 2, line)
	}
	m := start(t, measure.Config{Kernel: kernel(t, "6.1"), CommandLine: "ima-template=ima-sig ima-hash=sha512 ima_template"}, nil)
	assert.Equal(t, "ima-sig", m.Records()[0].Template().Name())
	assert.True(t, strings.HasPrefix(m.Records()[0].FieldText("d-ng"), "sha512:"))
}

// The empty name of a template is found, has no fields, and IMA does not start.
func TestEmptyTemplate(t *testing.T) {
	t.Parallel()
	for _, release := range []string{"6.1", "6.12", "7.3"} {
		for _, line := range []string{"ima_policy=tcb ima_template=", "ima_policy=tcb ima-template= ima_template=ima-sig"} {
			var log logLines
			m, err := measure.New(measure.Config{Kernel: kernel(t, release), CommandLine: line, Log: log.log})
			require.NoError(t, err)
			assert.ErrorIs(t, m.Init(noTPM), measure.EINVAL)
			assert.Equal(t, []string{
				"ima: No TPM chip found, activating TPM-bypass!",
				"ima: Allocated hash algorithm: sha256",
				"ima: Invalid field with length 0",
				"ima: template  init failed, result: -22",
			}, log.lines, release)
			m.BprmCheck(file("/bin/x", "x"), rootCred)
			assert.Zero(t, m.Count(), "nothing is measured")
			assert.Empty(t, m.SecurityFiles(), "there is no list")
		}
	}
	// A format that came first holds, and fills the entry in.
	m := start(t, measure.Config{Kernel: kernel(t, "6.1"), CommandLine: "ima_template_fmt=d-ng|n-ng|sig ima_template="}, nil)
	assert.Equal(t, "d-ng|n-ng|sig", m.Records()[0].Template().Name())
}

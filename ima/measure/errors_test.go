package measure_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// Each error names what is wrong, and where there is a remedy, that too.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		`no kernel release "six"; one begins with two numbers, as 6.12 or 6.1.0-56-amd64 do`: &measure.UnknownKernelError{Release: "six", Malformed: true},
		`unknown template "x"; there are ima, ima-ng`:                                        &measure.UnknownNameError{What: "template", Name: "x", Known: []string{"ima", "ima-ng"}},
		`policy line 3: "foo": no`:                                                           &measure.RuleError{Line: 3, Token: "foo", Reason: "no"},
		`policy line 3: no`:                                                                  &measure.RuleError{Line: 3, Reason: "no"},
		`x_staged: request "A\n": EEXIST`:                                                    &measure.StageError{Name: "x_staged", Request: "A\n", Errno: measure.EEXIST},
		`errno 7`:                                                                            measure.Errno(7),
		`the kernel cannot allocate hash algorithm sha384 when IMA starts; sha1 and that of ima_hash= have to be built in`: &measure.AllocationError{Algo: ima.SHA384},
	} {
		assert.EqualError(t, err, want)
	}
}

// What CheckPolicyOption lets through the kernel knows, and the other way round.
func TestCheckPolicyOption(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"tcb", "tcb|critical_data", "appraise_tcb secure_boot", "fail_securely", "tcbx", "TCB", "tcb|", "critical-data"} {
		var log []string
		_, err := measure.New(measure.Config{Kernel: measure.Kernels()[1], CommandLine: `ima_policy="` + value + `"`, Log: func(line string) { log = append(log, line) }})
		require.NoError(t, err)
		err = measure.CheckPolicyOption(value)
		assert.Equal(t, len(log) == 0, err == nil, "%s: %v", value, log)
		var unknown *measure.UnknownNameError
		if err != nil && assert.ErrorAs(t, err, &unknown) {
			assert.Contains(t, log[0], unknown.Name)
			assert.Contains(t, err.Error(), "tcb, appraise_tcb, secure_boot, critical_data, fail_securely")
		}
	}
}

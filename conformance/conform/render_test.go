package conform

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sample() *Report {
	section := Section{Document: "Part 3", Clause: "31.13", Title: "TPM2_NV_Read"}
	return &Report{
		Target: "unix:/tpm", TPM: Identity{Manufacturer: "SWMD", Revision: "1.64"}, Duration: time.Second, Commands: 7, Compared: true,
		Results: []Result{
			{Case: &Case{Name: "one <is right>", Section: section}, Status: Pass},
			{Case: &Case{Name: "two", Section: section}, Status: Fail, Step: 2, Command: "TPM2_NV_Read", Want: []tpm2.TPMRC{tpm2.TPMRCNVUninitialized}},
			{Case: &Case{Name: "three", Section: section}, Status: NotSupported, Why: "no TPM2_NV_Read"},
			{Case: &Case{Name: "four", Section: section}, Status: Refused, Why: Clears.String()},
		},
	}
}

func TestReports(t *testing.T) {
	var text, junit, page, object bytes.Buffer
	report := sample()
	require.NoError(t, report.WriteText(&text, false))
	require.NoError(t, report.WriteJUnit(&junit))
	require.NoError(t, report.WriteHTML(&page))
	require.NoError(t, report.WriteJSON(&object))

	const finding = "step 2, TPM2_NV_Read: expected TPM_RC_NV_UNINITIALIZED, 0x14a, got TPM_RC_SUCCESS"
	assert.Contains(t, text.String(), finding)
	assert.Contains(t, text.String(), "Part 3, 31.13, TPM2_NV_Read (rev 1.16)")
	assert.Contains(t, text.String(), "4 cases: 1 pass, 1 fail, 1 not supported, 1 refused; 7 commands in 1s, 0s of it waiting for the TPM\nthe TPM is as it was found\n")

	var suite junitSuite
	require.NoError(t, xml.Unmarshal(junit.Bytes(), &suite))
	assert.Equal(t, []int{4, 1, 2}, []int{suite.Tests, suite.Failures, suite.Skipped})
	assert.Equal(t, "one <is right>", suite.Cases[0].Name)
	assert.Equal(t, finding, suite.Cases[1].Failure.Message)
	assert.Equal(t, "not supported: no TPM2_NV_Read", suite.Cases[2].Skipped.Message)

	assert.Contains(t, page.String(), "one &lt;is right&gt;")
	assert.Contains(t, page.String(), finding)

	var file File
	require.NoError(t, json.Unmarshal(object.Bytes(), &file))
	assert.True(t, file.AsFound)
	assert.Equal(t, 1, file.Totals[Refused])
	assert.Equal(t, "TPM_RC_SUCCESS", file.Cases[1].Got)
}

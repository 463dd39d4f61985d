package boot_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// strange is the minimal machine with a kernel and lines of its own.
func strange(t *testing.T, kernel, lines string) *boot.Platform {
	t.Helper()
	text := minimal("firmware startup measure=0\ndriver tpm kind=tis latency=1ms\n" + lines)
	return parse(t, strings.Replace(text, "kernel 6.12 ", "kernel "+kernel+" ", 1))
}

// A TPM that is reset without the kernel has another null primary. Kernels that
// look switch it off (015fb29a7483), or go on without a key.
func TestResetWithoutTheKernel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kernel            string
		noticed, disabled bool
		result            string // of the extend after the reset
	}{
		{"7.3 hmac=yes", true, true, "ima: Error Communicating to TPM chip, result: -19"},
		{"6.18 hmac=yes", true, false, "ima: Error Communicating to TPM chip, result: 388"},
		{"7.3", false, false, ""},
		{"6.1", false, false, ""},
	} {
		t.Run(test.kernel, func(t *testing.T) {
			t.Parallel()
			r := machine{platform: strange(t, test.kernel, "tpm reset=late_sync")}.boot(t)
			s := r.Summary
			assert.False(t, s.Bypass)
			assert.Equal(t, test.noticed, s.NullKeyChanged)
			assert.Equal(t, test.disabled, s.TPMDisabled)
			var result string
			for _, e := range logs(r, "ima: Error Communicating to TPM chip") {
				result = e.Text
			}
			assert.Equal(t, test.result, result)
			assert.Len(t, find(r, boot.TPMReset, "tpm0"), 1)
			if test.noticed {
				assert.NotEmpty(t, logs(r, "tpm tpm0: null key integrity check failed"))
				assert.Equal(t, 1, s.Extended, "the boot aggregate, before the reset")
				assert.Equal(t, s.Kept-1, s.Unextended)
				assert.Equal(t, make([]byte, 32), []byte(r.PCRs[ima.SHA256][10]), "as the reset left it")
				return
			}
			assert.Empty(t, logs(r, "null key"))
			assert.Equal(t, s.Kept, s.Extended, "into a PCR that had been reset")
			assert.NotEqual(t, make([]byte, 32), []byte(r.PCRs[ima.SHA256][10]))
		})
	}
}

// A null primary that stays the same costs commands and changes nothing.
func TestNullPrimaryOfATPMThatWasNotReset(t *testing.T) {
	t.Parallel()
	with := machine{platform: strange(t, "7.3 hmac=yes", "")}.boot(t)
	without := machine{platform: strange(t, "7.3", "")}.boot(t)
	assert.Len(t, find(with, boot.TPMCommand, "CreatePrimary"), 1)
	assert.NotEmpty(t, find(with, boot.TPMCommand, "ContextLoad"))
	assert.Len(t, find(with, boot.TPMCommand, "FlushContext"), len(find(with, boot.TPMCommand, "ContextLoad"))+1, "no slot stays taken")
	for _, e := range find(with, boot.TPMCommand, "") {
		assert.Zero(t, e.Code, e.Name)
	}
	assert.Empty(t, find(without, boot.TPMCommand, "CreatePrimary"))
	assert.Equal(t, without.PCRs, with.PCRs)
	assert.False(t, with.Summary.NullKeyChanged)
}

// A TPM that lists a bank twice does not register with the newest kernels
// (c680e7e7ce4e); others take both.
func TestBankThatIsListedTwice(t *testing.T) {
	t.Parallel()
	r := machine{platform: strange(t, "7.4", "tpm twice=sha256")}.boot(t)
	failed := find(r, boot.ProbeFailed, "tpm0")
	require.Len(t, failed, 1)
	assert.Equal(t, -22, failed[0].Code)
	assert.True(t, r.Summary.Bypass)
	require.NotNil(t, r.Summary.Missed)
	assert.Equal(t, boot.Failed, r.Summary.Missed.Cause)
	assert.NotEmpty(t, find(r, boot.FirmwareMeasured, ""), "it is the kernel that refuses")

	old := machine{platform: strange(t, "7.3", "tpm twice=sha256")}.boot(t)
	assert.True(t, old.Summary.TPMRegistered)
	assert.False(t, old.Summary.Bypass)
	assert.Zero(t, old.Summary.Extended, "the TPM does not take a digest more than it has banks")

	none := machine{platform: strange(t, "7.4", "tpm twice=sm3")}.boot(t)
	assert.False(t, none.Summary.Bypass, "the TPM has no such bank")
}

func TestStrangeTPMsInPlatformFiles(t *testing.T) {
	t.Parallel()
	p := strange(t, "7.3 hmac=yes", "tpm twice=sha256 reset=late_sync")
	assert.Equal(t, boot.TPM{ListsTwice: ima.SHA256, ResetAt: initcall.LateSync}, p.TPM)
	assert.True(t, p.Kernel.HMAC)
	again := parse(t, p.String())
	assert.Equal(t, p.String(), again.String())
	assert.Equal(t, p.TPM, again.TPM)
	for lines, says := range map[string]string{
		"tpm twice=crc32":  "crc32",
		"tpm reset=latest": "latest",
		"tpm again=yes":    `"again"`,
		"tpm\ntpm":         "a second time",
	} {
		_, err := boot.ParsePlatform("test", strings.NewReader(minimal("driver tpm kind=tis\n"+lines)))
		require.ErrorContains(t, err, says, lines)
	}
	_, err := boot.ParsePlatform("test", strings.NewReader(strings.Replace(minimal("driver tpm kind=tis"), "kernel 6.12", "kernel 6.1 hmac=yes", 1)))
	require.ErrorContains(t, err, "CONFIG_TCG_TPM2_HMAC, which Linux 6.1 does not have")
}

package lab

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// failedBefore is the probe that had failed before IMA looked.
func failedBefore(log []Line, device Device) *FailedProbe {
	looked, _, ok := imaLooked(log)
	if !ok {
		return nil
	}
	return failedProbe(ownProbes(log, device), looked)
}

// What matters is the last that the kernel did about the TPM before IMA looked.
func TestFailedProbe(t *testing.T) {
	t.Parallel()
	const failed = "[    1.000000] probe of MSFT0101:00 returned 19 after 10 usecs\n"
	const other = "[    1.100000] probe of MSFT0101:00 returned 19 after 1 usecs\n"
	const deferred = "[    0.900000] probe of MSFT0101:00 returned -517 after 0 usecs\n"
	const bound = "[    1.050000] probe of MSFT0101:00 returned 0 after 10 usecs\n"
	const looked = "[    2.000000] calling  init_ima+0x0/0x1 @ 1\n[    2.000001] ima: No TPM chip found, activating TPM-bypass!\n"
	const newer = "[    1.000000] probe of MSFT0101:00 with driver tpm_tis returned 19 after 10 usecs\n"
	want := &FailedProbe{At: Seconds(time.Second), Code: 19}
	for log, want := range map[string]*FailedProbe{
		failed + looked:                  want,
		newer + looked:                   want,
		failed + other + looked:          want,
		looked:                           nil,
		deferred + looked:                nil,
		failed + deferred + looked:       nil,
		deferred + failed + looked:       want,
		failed + bound + looked:          nil,
		looked + "[    3.0" + failed[8:]: nil,
		failed:                           nil,
	} {
		assert.Equal(t, want, failedBefore(parseLog([]byte(log)), TIS), log)
	}
}

// IMA finds a TPM that is registered, whose asynchronous probe may end after the look has
// begun.
func TestTheProbeThatEndsAfterTheLook(t *testing.T) {
	t.Parallel()
	const (
		looked = "[    2.000000] calling  init_ima+0x0/0x1 @ 1\n"
		bypass = "[    2.000001] ima: No TPM chip found, activating TPM-bypass!\n"
		hash   = "[    2.000003] ima: Allocated hash algorithm: sha256\n"
	)
	boot := &Boot{Reports: []Report{{Label: AtInit, Items: map[string][]byte{itemTPMClass: []byte("tpm0\n")}}}}
	before, after := Seconds(1500*time.Millisecond), Seconds(2500*time.Millisecond)
	for _, c := range []struct {
		log  string
		at   Seconds
		want Bound
	}{
		{looked + hash, before, BoundInTime},
		{looked + hash, after, BoundInTime},
		{looked + bypass + hash, after, BoundLater},
		{looked, after, BoundLater},
	} {
		assert.Equal(t, c.want, boundHow(boot, &c.at, parseLog([]byte(c.log))), c.log)
	}
}

// Both drivers are offered the one ACPI device. What the driver of the other
// interface says of it is not the TPM's probe.
func TestTheOtherDriversRefusal(t *testing.T) {
	t.Parallel()
	const (
		tis    = "[    1.000000] calling  init_tis+0x0/0xda @ 1\n"
		tisEnd = "[    1.100000] initcall init_tis+0x0/0xda returned 0 after 100000 usecs\n"
		crb    = "[    1.200000] calling  crb_acpi_driver_init+0x0/0x11 @ 1\n"
		crbEnd = "[    1.300000] initcall crb_acpi_driver_init+0x0/0x11 returned 0 after 100000 usecs\n"
		looked = "[    2.000000] calling  init_ima+0x0/0x1 @ 1\n"
	)
	ended := func(at, code, usecs string) string {
		return "[    " + at + "0000] probe of MSFT0101:00 returned " + code + " after " + usecs + " usecs\n"
	}
	probes := func(log string, device Device) (got []string) {
		for _, p := range ownProbes(parseLog([]byte(log)), device) {
			got = append(got, p.at.String())
		}
		return got
	}
	for _, c := range []struct {
		name     string
		log      string
		tis, crb []string
	}{
		{"in turn", tis + ended("1.05", "19", "40000") + tisEnd + crb + ended("1.25", "19", "600") + crbEnd,
			[]string{"1.05s"}, []string{"1.25s"}},
		{"not the other's refusal", tis + ended("1.05", "0", "40000") + tisEnd + crb + ended("1.25", "62", "600") + crbEnd,
			[]string{"1.05s", "1.25s"}, []string{"1.05s", "1.25s"}},
		{"asynchronous, still waiting", tis + tisEnd + crb + ended("1.25", "19", "600") + crbEnd,
			nil, []string{"1.25s"}},
		{"asynchronous, failed in between", tis + tisEnd + crb + ended("1.22", "19", "150000") + ended("1.25", "19", "600") + crbEnd,
			[]string{"1.22s"}, nil},
		{"asynchronous, begun and failed in between", tis + tisEnd + crb + ended("1.25", "19", "600") + ended("1.26", "19", "20000") + crbEnd,
			[]string{"1.26s"}, nil},
		{"asynchronous, timed out in between", tis + tisEnd + crb + ended("1.22", "62", "15000") + ended("1.25", "19", "600") + crbEnd,
			[]string{"1.22s"}, nil},
		{"cut off", tis + ended("1.05", "19", "40000"), []string{"1.05s"}, []string{"1.05s"}},
	} {
		assert.Equal(t, c.tis, probes(c.log+looked, TIS), c.name)
		if c.crb != nil {
			assert.Equal(t, c.crb, probes(c.log+looked, CRB), c.name)
		}
	}
	assert.Nil(t, failedBefore(parseLog([]byte(tis+tisEnd+crb+ended("1.25", "19", "600")+crbEnd+looked)), TIS))
}

// Real boots: a driver that waits for its TPM in the background while the other
// one refuses it, and a tpm-crb, which tpm_tis refuses first.
func TestTheOtherDriversRefusalInRealBoots(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dir    string
		device Device
		bound  Bound
		failed *FailedProbe
		says   string
	}{
		{"bypass-hold-async", TIS, BoundLater, nil, "1.56 s before IMA looked for it at late (16.86 s); tpm_tis bound to it by itself, after IMA had looked (18.45 s)."},
		{"bypass-crb", CRB, NeverBound, &FailedProbe{At: Seconds(9740447 * time.Microsecond), Code: 19},
			"its probe had failed already (9.74 s, returned 19), which the kernel does not retry; no driver bound to it."},
		{"bypass-init", TIS, NeverBound, &FailedProbe{At: Seconds(1719256 * time.Microsecond), Code: 19}, "(1.72 s, returned 19)"},
	} {
		r := report(AtInit, c.dir)
		v, err := Judge(&Record{Machine: Machine{Device: c.device}, Boots: []Boot{{Reports: []Report{r}, View: deferred(t, report(AfterBind, "bypass-rebind"), 15300*time.Millisecond)}}})
		require.NoError(t, err)
		b := v.Last()
		assert.Equal(t, Bypass, b.Word, c.dir)
		assert.Equal(t, c.bound, b.Driver.Bound, c.dir)
		assert.Equal(t, c.failed, b.Driver.Failed, c.dir)
		assert.Contains(t, b.Sentence, c.says, c.dir)
	}
}

// Since Linux 6.19 the security framework calls init_ima, in late or in late_sync.
func TestWhereIMALookedInNewerKernels(t *testing.T) {
	t.Parallel()
	const log = `<7>[    0.500000] initcall_level: level=late
<7>[    0.600000] calling  security_initcall_late+0x0/0x50 @ 1
%s<7>[    0.610000] initcall security_initcall_late+0x0/0x50 returned 0 after 12 usecs
<7>[    0.700000] calling  security_initcall_late_sync+0x0/0x50 @ 1
%s<7>[    0.710000] initcall security_initcall_late_sync+0x0/0x50 returned 0 after 12 usecs
`
	const line = "<6>[    0.605000] ima: No TPM chip found, activating TPM-bypass!\n"
	for want, text := range map[time.Duration]string{
		600 * time.Millisecond: fmt.Sprintf(log, line, ""),
		700 * time.Millisecond: fmt.Sprintf(log, "", line),
	} {
		at, level, ok := imaLooked(parseLog([]byte(text)))
		require.True(t, ok)
		assert.Equal(t, want, at)
		require.NotNil(t, level)
		assert.Equal(t, "late", level.String())
	}
}

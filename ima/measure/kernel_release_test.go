package measure_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima/measure"
)

// Each profile is found by releases from its first one on, as distributions and
// the kernel's own build write them.
func TestKernelByRelease(t *testing.T) {
	t.Parallel()
	for release, first := range map[string]string{
		"6.1":                         "6.1",
		"6.1.0-56-amd64":              "6.1",
		"6.1.57-android14-11-g1b2c3d": "6.1",
		"6.12":                        "6.12",
		"6.12.23":                     "6.12",
		"6.12.38+deb13-amd64":         "6.12.24",
		"6.12.117":                    "6.12.94",
		"6.6.140-android15-8":         "6.6.107",
		"6.12~rc6-amd64":              "6.12",
		"6.12.0-0.rc1.12.fc42.x86_64": "6.12",
		"6.12.0-55.9.1.el10_0.x86_64": "6.12",
		"7.3":                         "7.3",
		"7.3-rc1":                     "7.3-rc1",
		"7.3.0-rc1":                   "7.3-rc1",
		"7.3.0-rc1+":                  "7.3-rc1",
		"7.3-rc2":                     "7.3",
		"7.3.0-rc6-next-20261005":     "7.3",
	} {
		k, err := measure.KernelByRelease(release)
		require.NoError(t, err, release)
		assert.Equal(t, first, k.Release, release)
	}
	// Between profiles it is the older one, and after the last change the last.
	profiles := measure.Kernels()
	for release, newest := range map[string]string{"6.8.0-31-generic": "6.8", "6.2.16": "6.2", "7.2.9-arch1-1": "7.2", "99.1.0": "99.1"} {
		k, err := measure.KernelByRelease(release)
		require.NoError(t, err, release)
		n, err := measure.KernelByRelease(newest)
		require.NoError(t, err)
		assert.Equal(t, n, k, release)
	}
	last, err := measure.KernelByRelease("99.1.0")
	require.NoError(t, err)
	assert.Equal(t, "7.4", last.Release, "what is queued for the next release")
	for _, k := range profiles {
		found, err := measure.KernelByRelease(k.Release)
		require.NoError(t, err)
		assert.Equal(t, k, found, "a profile is found by its own name")
	}
}

func TestUnknownReleases(t *testing.T) {
	t.Parallel()
	var unknown *measure.UnknownKernelError
	for _, release := range []string{"", "6", "six", "6.", ".1", "6.x", "-6.1", "6.1 ", "6.1.0-56 amd64", "6.1\n", "123456.1", "Linux 6.1", "v6.1"} {
		_, err := measure.KernelByRelease(release)
		require.ErrorAs(t, err, &unknown, "%q", release)
		assert.True(t, unknown.Malformed, "%q", release)
	}
	for _, release := range []string{"2.4", "5.4", "5.15.90.1-microsoft-standard-WSL2", "6.0.99"} {
		_, err := measure.KernelByRelease(release)
		require.ErrorAs(t, err, &unknown, release)
		assert.False(t, unknown.Malformed, release)
		assert.ErrorContains(t, err, "older than the oldest one; there are 6.1, ", release)
	}
}

func FuzzKernelByRelease(f *testing.F) {
	f.Add("6.1.0-56-amd64")
	f.Add("7.3-rc1")
	f.Fuzz(func(t *testing.T, name string) {
		k, err := measure.KernelByRelease(name)
		if err != nil {
			var unknown *measure.UnknownKernelError
			require.ErrorAs(t, err, &unknown)
			require.Less(t, len(err.Error()), 512)
			return
		}
		again, err := measure.KernelByRelease(k.Release)
		require.NoError(t, err)
		require.Equal(t, k, again, "a profile is found by its own name")
	})
}

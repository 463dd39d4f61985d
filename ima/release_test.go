package ima_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
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
		k, err := ima.KernelByRelease(release)
		require.NoError(t, err, release)
		assert.Equal(t, first, k.Release, release)
	}
	// Between profiles it is the older one, and after the last change the last.
	profiles := ima.Kernels()
	for release, newest := range map[string]string{"6.8.0-31-generic": "6.8", "6.2.16": "6.2", "7.2.9-arch1-1": "7.2", "99.1.0": "99.1"} {
		k, err := ima.KernelByRelease(release)
		require.NoError(t, err, release)
		n, err := ima.KernelByRelease(newest)
		require.NoError(t, err)
		assert.Equal(t, n, k, release)
	}
	last, err := ima.KernelByRelease("99.1.0")
	require.NoError(t, err)
	assert.Equal(t, "7.4", last.Release, "what is queued for the next release")
	for _, k := range profiles {
		found, err := ima.KernelByRelease(k.Release)
		require.NoError(t, err)
		assert.Equal(t, k, found, "a profile is found by its own name")
	}
}

func TestUnknownReleases(t *testing.T) {
	t.Parallel()
	var unknown *ima.UnknownKernelError
	for _, release := range []string{"", "6", "six", "6.", ".1", "6.x", "-6.1", "6.1 ", "6.1.0-56 amd64", "6.1\n", "123456.1", "Linux 6.1", "v6.1"} {
		_, err := ima.KernelByRelease(release)
		require.ErrorAs(t, err, &unknown, "%q", release)
		assert.True(t, unknown.Malformed, "%q", release)
	}
	for _, release := range []string{"2.4", "5.4", "5.15.90.1-microsoft-standard-WSL2", "6.0.99"} {
		_, err := ima.KernelByRelease(release)
		require.ErrorAs(t, err, &unknown, release)
		assert.False(t, unknown.Malformed, release)
		assert.ErrorContains(t, err, "older than the oldest one; there are 6.1, ", release)
	}
}

func TestSameRelease(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		recorded, wanted string
		same             bool
	}{
		{"6.1.0-56-amd64", "6.1.0-56-amd64", true},
		{"6.1.0-56-amd64", "6.1", true},
		{"6.1.0-56-amd64", "6.12", false},
		{"6.12.0-56-amd64", "6.1", false},
		{"6.1.0-56-amd64", "6.1.0-57-amd64", false},
		{"6.1.0-56-amd64", "6.1.0", false}, // the uname -r of another build
		{"6.1.0", "6.1", true},
		{"7.3.0-rc1+", "7.3-rc1", true},
		{"7.3.0-rc1+", "7.3", true},
		{"7.3.0-rc1+", "7.3.0-rc1", false},
		{"7.3.0-rc2", "7.3-rc1", false},
		{"7.3.0", "7.3-rc1", false},
		{"7.3", "7.3", true},
		{"anything", "7.3", false},
	} {
		assert.Equal(t, c.same, ima.SameRelease(c.recorded, c.wanted), "%s recorded, %s wanted", c.recorded, c.wanted)
	}
}

func FuzzRelease(f *testing.F) {
	f.Add("6.1.0-56-amd64", "6.1")
	f.Add("7.3.0-rc1+", "7.3-rc1")
	f.Fuzz(func(t *testing.T, recorded, wanted string) {
		require.True(t, ima.SameRelease(recorded, recorded))
		if _, err := ima.KernelByRelease(wanted); err != nil {
			var unknown *ima.UnknownKernelError
			require.ErrorAs(t, err, &unknown)
			require.Less(t, len(err.Error()), 512)
		}
		ima.SameRelease(recorded, wanted)
	})
}

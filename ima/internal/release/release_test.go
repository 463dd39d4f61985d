package release_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima/internal/release"
)

func TestSame(t *testing.T) {
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
		assert.Equal(t, c.same, release.Same(c.recorded, c.wanted), "%s recorded, %s wanted", c.recorded, c.wanted)
	}
}

func FuzzSame(f *testing.F) {
	f.Add("6.1.0-56-amd64", "6.1")
	f.Add("7.3.0-rc1+", "7.3-rc1")
	f.Fuzz(func(t *testing.T, recorded, wanted string) {
		require.True(t, release.Same(recorded, recorded))
		v, ok := release.Parse(wanted)
		if release.Same(recorded, wanted) && recorded != wanted {
			r, _ := release.Parse(recorded)
			require.True(t, ok && v.SameSeries(r), "%q and %q", recorded, wanted)
		}
	})
}

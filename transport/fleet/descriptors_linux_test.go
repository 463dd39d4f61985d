package fleet_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// A fleet says how many TPMs fit under the limit of open files, so it has to know how many
// one takes. Not parallel: it counts those of the process.
func TestATPMTakesTheDescriptorsThatAreCounted(t *testing.T) {
	dir := transporttest.Dir(t)
	f := open(t, fleet.Options{Dir: dir, State: dir + "/state"})
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	none := count()
	require.NoError(t, f.Add(t.Context(), "plain", fleet.Config{}))
	s, _ := f.Status("plain")
	g := connect(t, s)
	g.power(t)
	require.Zero(t, g.code(t), "which is stored before it is answered")
	const guest = 2 * 2 // both ends of two connections
	plain := count() - guest
	assert.Equal(t, fleet.StartedDescriptors, plain-none, "of a TPM that is started and stored")

	require.NoError(t, f.Add(t.Context(), "late", fleet.Config{Rules: []faults.Rule{faults.Defer(initcall.Late, faults.Hold)}}))
	assert.Equal(t, 2+fleet.ConsoleDescriptors-1, count()-guest-plain, "of one without power, with a console that nobody is connected to")
}

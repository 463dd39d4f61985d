package fleet_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

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

	require.NoError(t, f.Add(t.Context(), "memory", fleet.Config{State: fleet.InMemory}))
	const clients = 3
	assert.Equal(t, fleet.StartedDescriptors+clients, f.Descriptors("plain"))
	assert.Equal(t, fleet.StartedDescriptors+clients+fleet.ConsoleDescriptors, f.Descriptors("late"))
	assert.Equal(t, 2+clients, f.Descriptors("memory"))
}

// Where not every TPM could have all that a TPM may have, those that there are count with what they
// have. Not parallel: it sets the limit of the process.
func TestDescriptorsThatATPMHasAreCounted(t *testing.T) {
	var before unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	t.Cleanup(func() { assert.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) })
	f := open(t, fleet.Options{Dir: transporttest.Dir(t)})
	const own, inMemory = 64, 5
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: own + 3*inMemory + 1, Max: before.Max}))
	for _, name := range []string{"a", "b", "c"} {
		require.NoError(t, f.Add(t.Context(), name, fleet.Config{State: fleet.InMemory}))
	}
	var limit *fleet.LimitError
	require.ErrorAs(t, f.Add(t.Context(), "d", fleet.Config{State: fleet.InMemory}), &limit)
	assert.Equal(t, fleet.LimitError{TPMs: 3, Needs: own + 4*inMemory, Limit: own + 3*inMemory + 1}, *limit)
	require.NoError(t, f.Remove(t.Context(), "a", false))
	require.ErrorAs(t, f.Add(t.Context(), "d", fleet.Config{Rules: []faults.Rule{faults.Defer(initcall.Late, faults.Hold)}}), &limit)
	assert.Equal(t, own+3*inMemory+fleet.ConsoleDescriptors, limit.Needs)
	assert.NoError(t, f.Add(t.Context(), "d", fleet.Config{}))
}

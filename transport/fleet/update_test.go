package fleet_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// A TPM whose clients are there is not made anew under them; one that stays what it is
// does not mind.
func TestUpdateOfATPMInUse(t *testing.T) {
	t.Parallel()
	f := open(t, fleet.Options{Dir: transporttest.Dir(t)})
	g := connect(t, add(t, f, "web", fleet.Config{}))
	g.power(t)
	other := fleet.Config{Profile: "tiny"}
	require.ErrorIs(t, f.Update(t.Context(), "web", other), fleet.ErrInUse)
	require.NoError(t, f.Update(t.Context(), "web", fleet.Config{}))
	assert.Zero(t, g.code(t), "the TPM goes on")
	s, _ := f.Status("web")
	assert.Empty(t, s.Profile)

	g.close()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.NoError(c, f.Update(t.Context(), "web", other))
	}, time.Minute, time.Millisecond)
	s, _ = f.Status("web")
	assert.Equal(t, "tiny", s.Profile)
	assert.False(t, s.Powered)
}

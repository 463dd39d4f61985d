package capture

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The clock gives the time between two looks at time.Now, whenever it looks itself.
func TestClock(t *testing.T) {
	t.Parallel()
	c := new(clock)
	for begun := time.Now(); time.Since(begun) < 3*baseTime; {
		before := time.Now()
		now := c.now()
		after := time.Now()
		require.False(t, now.Before(before) || now.After(after), "%v, %v, %v", before, now, after)
	}
}

package boot

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The TPM of a simulated boot registers before IMA's look if it did so in the log, and
// after it if it did so then, whatever its probe's time is corrected by.
func TestSameSide(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	found := []string{"ima: Allocated hash algorithm: sha256"}
	bypass := []string{"ima: No TPM chip found, activating TPM-bypass!"}
	for _, c := range []struct {
		name       string
		lines      []string
		bound      time.Duration // in the log, where IMA looks at 100 ms
		registered time.Duration // in the simulation, where it does so too
		by, want   time.Duration
	}{
		{"found, and stays early", found, 90 * ms, 80 * ms, 10 * ms, 10 * ms},
		{"found, though the probe ended later", found, 103 * ms, 95 * ms, 8 * ms, 5*ms - 2*precision},
		{"found, and registered later before", found, 103 * ms, 102 * ms, 0, -2*ms - 2*precision},
		{"bypass, and stays late", bypass, 110 * ms, 105 * ms, 5 * ms, 5 * ms},
		{"bypass, and registered earlier before", bypass, 103 * ms, 99 * ms, 0, ms + 2*precision},
	} {
		a := &attempt{console: &console{
			isTold: true, told: &tpmStory{probes: []loggedProbe{{at: c.bound}}},
			calls: []loggedCall{{at: 100 * ms}}, ima: loggedIMA{lines: c.lines},
		}}
		s := &Summary{Started: true, StartedAt: 100 * ms, TPMRegistered: true, TPMAt: c.registered}
		assert.Equal(t, c.want, a.sameSide(s, c.by), c.name)
	}
}

package faults_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/transport"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]transport.Delivery{
		"*: split=4":      {Piece: 4},
		"*: split=1/10ms": {Piece: 1, Pause: 10 * time.Millisecond},
		"*: split=3/10s":  {Piece: 3, Pause: time.Second}, // 30 bytes with what a protocol adds
		"*: split=14":     {},
	} {
		var journal told
		d := wrap(t, new(four), faults.Plan{Rules: rules(t, text), Journal: journal.tell})
		var delivery transport.Delivery
		response, err := d.Send(transport.WithDelivery(t.Context(), &delivery), 0, getRandom)
		require.NoError(t, err)
		assert.Equal(t, unhex(fourBytes), response)
		assert.Equal(t, want, delivery, text)
		outcome, detail := journal.last()
		if want == (transport.Delivery{}) {
			assert.Equal(t, faults.Passed, outcome)
			continue
		}
		assert.Equal(t, faults.Changed, outcome)
		assert.Contains(t, detail, "in pieces of ")
	}
	refused(t, "split", []string{"0", "4097", "4/", "4/0s", "4/11s", "4/x", "/1s"}, faults.Split{}, faults.Split{Piece: 1, Pause: time.Hour})
}

// A sender without a connection has the response whole, and the journal says so.
func TestSplitWithoutConnection(t *testing.T) {
	t.Parallel()
	journal := new(told)
	d := wrap(t, new(four), faults.Plan{Rules: rules(t, "*: split=4"), Journal: journal.tell})
	assert.Equal(t, fourBytes, send(t, d, getRandom))
	outcome, detail := journal.last()
	assert.Equal(t, faults.Passed, outcome)
	assert.Equal(t, "whole: the sender has no connection", detail)
}

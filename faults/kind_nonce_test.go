package faults_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
)

func TestStaleNonce(t *testing.T) {
	t.Parallel()
	taken, journal := audited(t, "GetRandom: nonce")
	assert.Equal(t, "+--", taken, "go-tpm does not take a nonce twice")
	require.Len(t, journal, 3)
	assert.Equal(t, faults.Passed, journal[0].Outcome)
	assert.Equal(t, faults.Changed, journal[1].Outcome)
	assert.Equal(t, "1 stale", journal[1].Detail)
}

// The nonce is that of the response before, and each session has its own.
func TestStaleNonces(t *testing.T) {
	t.Parallel()
	of := func(session, nonce string) (command, response string) {
		return "80020000001b0000017b" + "00000009" + session + "0000000000" + "0008" + "0000",
			"80020000001d00000000" + "00000004" + "00020102" + "0004" + nonce + "010001ff"
	}
	var journal told
	device := new(script)
	d := wrap(t, device, faults.Plan{Rules: rules(t, "*: nonce"), Journal: journal.tell})
	for _, step := range []struct{ session, nonce, want string }{
		{"02000000", "aaaaaaaa", "aaaaaaaa"},
		{"02000001", "bbbbbbbb", "bbbbbbbb"},
		{"02000000", "cccccccc", "aaaaaaaa"},
		{"02000001", "dddddddd", "bbbbbbbb"},
		{"02000000", "eeeeeeee", "cccccccc"},
	} {
		command, response := of(step.session, step.nonce)
		_, want := of(step.session, step.want)
		device.response = unhex(response)
		got, err := d.Send(t.Context(), 0, unhex(command))
		require.NoError(t, err)
		assert.Equal(t, want, hex.EncodeToString(got))
	}
}

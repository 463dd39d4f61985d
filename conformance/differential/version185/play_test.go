package version185_test

import (
	"context"
	"errors"
	"flag"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/version185"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/transport"
)

var (
	seed          = flag.Uint64("seed", 185, "seed of the first conversation and of the sweeps")
	conversations = flag.Int("conversations", 6, "conversations of the model of version 185")
)

// target makes TPMs of the profile v185 that answer the same commands with the same bytes,
// and check themselves after every error.
func target(t *testing.T) *conversation.Target {
	t.Helper()
	profile, err := emulator.ProfileByName("v185")
	require.NoError(t, err)
	profile.Config.CheckErrors = true
	return &conversation.Target{
		Name: "emulator",
		Fresh: func(context.Context) (transport.Device, error) {
			tpm, err := emulator.New(emulator.Platform{Entropy: emulatortest.NewEntropy(185), Clock: &emulatortest.Clock{}}, profile.Config)
			if err != nil {
				return nil, err
			}
			return tpm, tpm.Init()
		},
	}
}

const packets = 150

// Conversations go as the model says. A longer run:
//
//	go test ./conformance/differential/version185 -run TestConversations -conversations=10000 -seed=1
func TestConversations(t *testing.T) {
	t.Parallel()
	from := *seed
	var tally version185.Tally
	for i := range uint64(*conversations) {
		counted, err := version185.Play(t.Context(), target(t), from+i, packets)
		tally.Add(counted)
		var finding *version185.Finding
		if errors.As(err, &finding) {
			t.Fatalf("-seed=%d -conversations=1: packet %d, %s: %s\n%s", finding.Seed, finding.Packet, finding.Command, finding.Detail, finding.Script[len(finding.Script)-1])
		}
		require.NoError(t, err)
	}
	t.Logf("%d packets of %d conversations from seed %d", tally.Packets, *conversations, from)
	for name, n := range tally.Sent {
		t.Logf("%-24s %7d sent %7d succeeded", name, n, tally.Succeeded[name])
	}
	assert.GreaterOrEqual(t, tally.Packets, packets**conversations)
}

var share = flag.Float64("share", 0.005, "share of the sweeps over attributes and lengths; 1 is all")

// swept plays a sweep, and names the seed and the share with which it can be played again.
func swept(t *testing.T, sweep func(context.Context, *conversation.Target, uint64, float64) (version185.Tally, error)) version185.Tally {
	t.Helper()
	from := *seed
	tally, err := sweep(t.Context(), target(t), from, *share)
	var finding *version185.Finding
	if errors.As(err, &finding) {
		t.Fatalf("-seed=%d -share=%g: packet %d, %s: %s\n%s", from, *share, finding.Packet, finding.Command, finding.Detail, finding.Script)
	}
	require.NoError(t, err)
	t.Logf("%d packets from seed %d", tally.Packets, from)
	return tally
}

// Each attribute of keys of all kinds is flipped, and what is accepted is used.
func TestAttributes(t *testing.T) {
	t.Parallel()
	tally := swept(t, version185.Attributes)
	assert.NotZero(t, tally.Succeeded["LoadExternal"])
}

// The eight commands are cut to all lengths.
func TestTruncations(t *testing.T) {
	t.Parallel()
	tally := swept(t, version185.Truncations)
	for code := uint32(0x1a3); code <= 0x1aa; code++ {
		assert.NotZero(t, tally.Succeeded[conformance.CommandName(code)], conformance.CommandName(code))
	}
}

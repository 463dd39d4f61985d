package differential_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/known"
	"github.com/swtpmd/swtpmd/transport"
)

// seed of the campaigns against ourselves: what they find is planted, so they
// need not vary.
const seed = 20

func TestEqualDevicesHaveNoDifferences(t *testing.T) {
	t.Parallel()
	report, err := differential.Campaign{
		Ours: checked(), Theirs: emulated(), Seed: seed, Packets: 1500, Sequences: 20, Power: 10,
		Known: known.Differences(),
	}.Run(context.Background())
	require.NoError(t, err)
	assert.Empty(t, report.Findings)
	assert.Empty(t, report.Explained)
	require.Len(t, report.Layers, 3)
	for _, layer := range report.Layers {
		assert.Equal(t, layer.Steps, layer.Equal, layer.Name)
		assert.Greater(t, layer.Succeeded, layer.Steps/5, "%s: a campaign of nothing but errors proves little", layer.Name)
	}
	for _, command := range []string{"PCR_Extend", "PCR_Read", "SequenceComplete", "EventSequenceComplete", "HierarchyChangeAuth", "ClockSet", "Hash"} {
		assert.NotZero(t, report.Commands[command].Succeeded, command)
	}
	assert.Greater(t, len(report.Codes), 30, "the error ladder is climbed")
}

func TestPlantedDifferencesAreFoundAndShrunk(t *testing.T) {
	t.Parallel()
	// command plants a change in the answers to one command.
	command := func(code uint32, change func(response []byte)) conversation.Target {
		return answering(func(_ uint8, command, response []byte) []byte {
			if c, ok := conformance.CommandCode(command); ok && c == code {
				change(response)
			}
			return response
		})
	}
	last := func(response []byte) { response[len(response)-1] ^= 1 }
	for name, c := range map[string]struct {
		ours     conversation.Target
		campaign differential.Campaign
		command  string
		steps    int
		inDetail string
	}{
		"a bit of a PCR": {
			ours:    command(0x17e, func(r []byte) { flipLongTail(r, last) }),
			command: "PCR_Read", steps: 2, inDetail: "parameters", campaign: differential.Campaign{Packets: 6000},
		},
		"an error code": {
			ours: command(0x17b, func(r []byte) {
				if len(r) == 10 {
					last(r)
				}
			}),
			command: "GetRandom", steps: 2, inDetail: "TPM_RC", campaign: differential.Campaign{Packets: 3000},
		},
		"the size of a random answer": {
			ours: answering(func(_ uint8, command, response []byte) []byte {
				if c, _ := conformance.CommandCode(command); c == 0x17b && command[1] == 1 && len(response) > 13 { // without sessions
					return append([]byte{0x80, 1, 0, 0, 0, 13, 0, 0, 0, 0, 0, 1}, 7)
				}
				return response
			}),
			command: "GetRandom", steps: 2, inDetail: "size", campaign: differential.Campaign{Packets: 8000},
		},
		"a handle": {
			ours: command(0x186, func(r []byte) {
				if len(r) > 13 {
					r[13] += 7
				}
			}),
			command: "HashSequenceStart", steps: 2, inDetail: "handle", campaign: differential.Campaign{Sequences: 3},
		},
		"a malformed answer": {
			ours: command(0x181, func(r []byte) { r[5]++ }), command: "ReadClock", steps: 3,
			inDetail: "malformed", campaign: differential.Campaign{Packets: 6000},
		},
		"the restart count": {
			ours: command(0x181, func(r []byte) {
				if len(r) == 35 {
					r[33] ^= 1
				}
			}),
			command: "ReadClock", steps: 2, inDetail: "parameters", campaign: differential.Campaign{Packets: 6000},
		},
		"deaf to hash signals": {
			ours: planted(func(d *twisted) { d.deaf = true }), command: "PCR_Read", steps: 7,
			inDetail: "parameters", campaign: differential.Campaign{Power: 15},
		},
		"a shutdown at power loss": {
			ours: planted(func(d *twisted) { d.forgetful = true }), command: "GetCapability", steps: 6,
			inDetail: "capability", campaign: differential.Campaign{Power: 25},
		},
		"a locality": {
			ours: answering(func(locality uint8, command, response []byte) []byte {
				if c, _ := conformance.CommandCode(command); c == 0x182 && locality == 3 {
					response[9] ^= 1
				}
				return response
			}),
			command: "PCR_Extend", steps: 4, inDetail: "ours", campaign: differential.Campaign{Power: 40},
		},
		"an authorization area": {
			ours: command(0x182, func(r []byte) {
				if len(r) == 19 {
					r[16] ^= 2
				}
			}),
			command: "PCR_Extend", steps: 2, inDetail: "session", campaign: differential.Campaign{Packets: 6000},
		},
		"a capability list cut short": {
			ours: answering(func(_ uint8, command, response []byte) []byte {
				// GetCapability(COMMANDS) from the middle on
				if len(command) == 22 && command[9] == 0x7a && command[13] == 2 && command[17] > 0x20 && len(response) > 23 {
					response[10], response[18] = 0, 1
					response = response[:23]
					response[5] = 23
					response[4] = 0
				}
				return response
			}),
			command: "GetCapability", steps: 2, inDetail: "ours: ", campaign: differential.Campaign{Packets: 8000},
		},
		"a property": {
			ours: command(0x17a, func(r []byte) {
				if len(r) > 27 && r[14] == 6 { // TPM_PROPERTIES: a value
					r[26] ^= 0x40
				}
			}),
			command: "GetCapability", steps: 2, inDetail: "capability 6", campaign: differential.Campaign{Packets: 8000},
		},
		"a clock that is hours ahead": {
			ours: command(0x181, func(r []byte) {
				if len(r) == 35 {
					r[23]++
				}
			}),
			command: "ReadClock", steps: 2, inDetail: "clock", campaign: differential.Campaign{Packets: 6000},
		},
		"the hierarchy of a ticket": {
			ours: command(0x17d, func(r []byte) {
				if len(r) > 82 {
					r[len(r)-67] ^= 1
				}
			}),
			command: "Hash", steps: 2, inDetail: "", campaign: differential.Campaign{Packets: 6000},
		},
		"a panic": {
			ours: command(0x17d, func(r []byte) { panic("planted") }), command: "Hash", steps: 3, // the first may have a session
			inDetail: "only one of them answered", campaign: differential.Campaign{Packets: 6000},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			campaign := c.campaign
			campaign.Ours, campaign.Theirs, campaign.Seed = c.ours, emulated(), seed
			report := runUntil(t, campaign, func(f differential.Finding) bool {
				return f.Command == c.command && strings.Contains(f.Detail, c.inDetail)
			})
			finding := findingOf(report, c.command, c.inDetail)
			require.NotNil(t, finding, "%+v", report.Findings)
			assert.NotZero(t, report.Unexplained())
			script, err := conversation.ReadScript(strings.NewReader(finding.Transcript))
			require.NoError(t, err)
			assert.LessOrEqual(t, len(script), c.steps, "the script is not short:\n%s", finding.Transcript)

			var out strings.Builder
			equal, err := differential.Replay(context.Background(), c.ours, emulated(), nil, script, &out)
			require.NoError(t, err)
			assert.False(t, equal, "the transcript does not show the difference again")
			assert.Contains(t, out.String(), "! ")
		})
	}
}

// runUntil ends a campaign at the first finding that is enough, or as it ends itself.
func runUntil(t *testing.T, campaign differential.Campaign, enough func(differential.Finding) bool) *differential.Report {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	campaign.Found = func(f differential.Finding) {
		if enough(f) {
			cancel()
		}
	}
	report, err := campaign.Run(ctx)
	if err != nil && !errors.Is(err, differential.ErrTooManyFindings) {
		require.ErrorIs(t, err, context.Canceled)
	}
	return report
}

// flipLongTail changes a PCR_Read answer that has a digest in it.
func flipLongTail(response []byte, change func([]byte)) {
	if len(response) > 50 {
		change(response)
	}
}

func findingOf(report *differential.Report, command, detail string) *differential.Finding {
	for i := range report.Findings {
		if f := &report.Findings[i]; f.Command == command && strings.Contains(f.Detail, detail) {
			return f
		}
	}
	return nil
}

// TestAFindingHidesNothingBehindIt plants two faults in one script.
func TestAFindingHidesNothingBehindIt(t *testing.T) {
	t.Parallel()
	report, err := differential.Campaign{
		Ours: answering(func(_ uint8, command, response []byte) []byte {
			switch c, _ := conformance.CommandCode(command); c {
			case 0x128, 0x181: // ClockSet is second in every script, ReadClock last
				response[9] ^= 4
			}
			return response
		}),
		Theirs: emulated(), Seed: seed, Packets: 100, MaxFindings: 1000,
	}.Run(context.Background())
	require.NoError(t, err)
	assert.NotNil(t, findingOf(report, "ClockSet", ""))
	assert.NotNil(t, findingOf(report, "ReadClock", ""))
	layer := report.Layers[0]
	assert.Equal(t, layer.Steps, layer.Equal+layer.OneSided+layer.Explained+layer.Unexplained+layer.Uncompared)
}

func TestSeedsReplayIdentically(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) []string {
		var log journal
		_, err := differential.Campaign{
			Ours: emulated(), Theirs: recorded(determined(), &log), Seed: seed, Packets: 450, Sequences: 4, Power: 4,
		}.Run(context.Background())
		require.NoError(t, err)
		return log.lines
	}
	first := run(seed)
	assert.Equal(t, first, run(seed))
	assert.NotEqual(t, first, run(seed+1))
}

func TestKnownDifferences(t *testing.T) {
	t.Parallel()
	wrong := answering(func(_ uint8, command, response []byte) []byte {
		if c, _ := conformance.CommandCode(command); c == 0x145 { // Shutdown
			response[9] ^= 1
		}
		return response
	})
	always := func(c *known.Case) bool { return c.Command() == 0x145 }
	run := func(known ...known.Difference) *differential.Report {
		report, err := differential.Campaign{
			Ours: wrong, Theirs: emulated(), Seed: seed, Packets: 900, Known: known,
		}.Run(context.Background())
		require.NoError(t, err)
		return report
	}

	t.Run("explains", func(t *testing.T) {
		t.Parallel()
		report := run(known.Difference{ID: "shutdown", Against: []string{"emulator"}, Match: always})
		assert.Empty(t, report.Findings)
		assert.NotZero(t, report.Explained["shutdown"])
		assert.Equal(t, report.Explained["shutdown"], report.Layers[0].Explained)
		assert.Empty(t, report.Unused)
	})
	t.Run("ends the script if the states differ", func(t *testing.T) {
		t.Parallel()
		report := run(known.Difference{ID: "shutdown", Diverges: true, Match: always})
		assert.Empty(t, report.Findings)
		assert.NotZero(t, report.Layers[0].Uncompared)
	})
	t.Run("is reported if it never fires", func(t *testing.T) {
		t.Parallel()
		report := run(
			known.Difference{ID: "shutdown", Match: always},
			known.Difference{ID: "stale", Match: func(*known.Case) bool { return false }},
			known.Difference{ID: "elsewhere", Against: []string{"swtpm"}, Match: always},
		)
		assert.Equal(t, []string{"stale"}, report.Unused)
		var text strings.Builder
		require.NoError(t, report.WriteText(&text))
		assert.Contains(t, text.String(), "known difference stale: never seen")
	})
	t.Run("is for one reference", func(t *testing.T) {
		t.Parallel()
		report := run(known.Difference{ID: "elsewhere", Against: []string{"swtpm"}, Match: always})
		assert.NotNil(t, findingOf(report, "Shutdown", ""))
	})
}

func TestKnownListIsComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, d := range known.Differences() {
		assert.NotEmpty(t, d.ID)
		assert.False(t, seen[d.ID], "%s twice", d.ID)
		seen[d.ID] = true
		assert.Greater(t, len(d.Reason), 40, "%s needs a reason", d.ID)
		assert.NotNil(t, d.Match, d.ID)
	}
}

func TestCommandsOnlyOneDeviceHas(t *testing.T) {
	t.Parallel()
	const stirRandom, commandCode, failure = 0x146, 0x143, 0x101
	campaign := differential.Campaign{Theirs: emulated(), Seed: seed, Packets: 2000}
	t.Run("are counted where the other one refuses them", func(t *testing.T) {
		t.Parallel()
		campaign := campaign
		campaign.Ours = without(stirRandom, commandCode)
		report, err := campaign.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"StirRandom"}, report.Unshared)
		assert.Empty(t, report.Findings)
		assert.NotZero(t, report.Layers[0].OneSided, "they are counted, not passed over")
	})
	t.Run("are a finding where it answers something else", func(t *testing.T) {
		t.Parallel()
		campaign := campaign
		campaign.Ours = without(stirRandom, failure)
		report := runUntil(t, campaign, func(f differential.Finding) bool {
			return f.Command == "StirRandom" && strings.Contains(f.Detail, "does not list")
		})
		assert.NotNil(t, findingOf(report, "StirRandom", "does not list"))
	})
}

// A reference that ends is started again, its script goes on without the command,
// and the report counts that, with the seed and number of the script.
func TestAReferenceThatEnds(t *testing.T) {
	t.Parallel()
	const stirRandom = 0x146
	theirs := planted(func(d *twisted) { d.fatal = stirRandom })
	theirs.Name = "mortal"
	theirs.Ended = func(err error) bool { return errors.Is(err, errGone) }
	campaign := differential.Campaign{Ours: emulated(), Theirs: theirs, Seed: 7, Packets: 1500, Sequences: 3, Known: known.Differences()}
	report, err := campaign.Run(t.Context())
	require.NoError(t, err)
	assert.Zero(t, report.Unexplained())
	assert.NotContains(t, report.Commands, "StirRandom", "left out of the scripts")
	assert.NotEmpty(t, report.Stops)
	ended := 0
	for _, stop := range report.Stops {
		ended += stop.Ended
		assert.Zero(t, stop.Failed)
	}
	assert.Positive(t, ended)
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	assert.Contains(t, text.String(), fmt.Sprintf("\nmortal ended %d times, seed 7: packets %d", ended, report.Stops[0].Script))
}

// When only the device that plays a script again ends, there is nothing to compare
// any more, and nothing found.
func TestAReferenceThatEndsWhenItPlaysAgain(t *testing.T) {
	t.Parallel()
	const startup = 0x144
	devices := 0
	theirs := planted(func(d *twisted) {
		if devices++; devices > 3 { // two are asked what they are, one draws the script
			d.fatal = startup
		}
	})
	theirs.Ended = func(err error) bool { return errors.Is(err, errGone) }
	campaign := differential.Campaign{
		Ours: without(0x181, 0x101), Theirs: theirs, Seed: 7, Sequences: 1, Known: known.Differences(), OneDevice: true,
	}
	report, err := campaign.Run(t.Context())
	require.NoError(t, err)
	assert.NotEmpty(t, report.Findings, "what made it play again")
	assert.NotEmpty(t, report.Stops)
	for _, finding := range report.Findings {
		assert.NotContains(t, finding.Theirs, errGone.Error())
	}
}

func TestMaxFindingsStopsACampaign(t *testing.T) {
	t.Parallel()
	report, err := differential.Campaign{
		Ours: answering(func(_ uint8, command, response []byte) []byte {
			response[9] ^= command[9]
			return response
		}),
		Theirs: conversation.Target{Name: "emulator", Fresh: emulated().Fresh}, Seed: seed, Packets: 100000,
	}.Run(context.Background())
	// Startup is wrong as well, so the campaign cannot even begin.
	require.Error(t, err)
	assert.NotNil(t, report)
	assert.Empty(t, report.Layers)

	var told []string
	report, err = differential.Campaign{
		Ours: answering(func(_ uint8, command, response []byte) []byte {
			if c, _ := conformance.CommandCode(command); c != 0x144 && c != 0x17a {
				response[9] ^= 1
			}
			return response
		}),
		Theirs: emulated(), Seed: seed, Packets: 100000, MaxFindings: 3,
		Found: func(f differential.Finding) { told = append(told, f.Command) },
	}.Run(context.Background())
	require.ErrorIs(t, err, differential.ErrTooManyFindings)
	var found []string
	for _, f := range report.Findings {
		found = append(found, f.Command)
	}
	assert.ElementsMatch(t, found, told, "each kind once, as it was found")
	assert.GreaterOrEqual(t, len(report.Findings), 3)
	assert.Less(t, len(report.Findings), 10)
}

func TestContextEndsACampaign(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	_, err := differential.Campaign{
		Ours: emulated(), Theirs: emulated(), Seed: seed, Packets: 1 << 30,
		Progress: func(string, int, int, int) {
			if calls++; calls == 2 {
				cancel()
			}
		},
	}.Run(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 2, calls)
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	report, err := differential.Campaign{Ours: emulated(), Theirs: emulated(), Seed: seed, Packets: 20}.Run(context.Background())
	require.NoError(t, err)
	encoded, err := json.Marshal(report)
	require.NoError(t, err)
	var decoded differential.Report
	require.NoError(t, json.Unmarshal(encoded, &decoded))
	assert.Equal(t, report, &decoded)
	assert.Contains(t, string(encoded), fmt.Sprintf(`"seed":%d`, seed))
}

// bare is a device that only takes commands.
type bare struct{ transport.Device }

func TestDevicesWithoutPowerSwitch(t *testing.T) {
	t.Parallel()
	target := emulated()
	fresh := target.Fresh
	target.Fresh = func(ctx context.Context) (transport.Device, error) {
		device, err := fresh(ctx)
		return bare{device}, err
	}
	for _, action := range []conversation.Action{conversation.Init, conversation.HashStart} {
		_, err := target.Play(context.Background(), conversation.Script{{Action: action}})
		var unsupported *conversation.UnsupportedError
		require.ErrorAs(t, err, &unsupported)
		assert.ErrorContains(t, err, "emulator cannot do "+action.String())
	}
	campaign := differential.Campaign{Ours: target, Theirs: emulated(), Seed: seed, Sequences: 20}
	report, err := campaign.Run(context.Background())
	require.NoError(t, err, "sequences do without restarts then")
	assert.Zero(t, report.Unexplained())
	campaign.Power = 1
	_, err = campaign.Run(context.Background())
	assert.ErrorContains(t, err, "set Power to 0")
}

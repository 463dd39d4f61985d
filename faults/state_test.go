package faults_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
)

func layer(t *testing.T, plan faults.Plan) *faults.Layer {
	t.Helper()
	l, ok := faults.Of(wrap(t, new(chip), plan))
	require.True(t, ok)
	return l
}

// A layer that gets the state of another one counts on: the rule for the third GetRandom
// fires at the first that the new layer is sent, and a rule that was taken out of force
// stays so.
func TestALayerCountsOn(t *testing.T) {
	t.Parallel()
	rules := func() (list []faults.Rule) {
		for _, text := range []string{"GetRandom#3: rc=TPM_RC_FAILURE", "GetRandom: rc=TPM_RC_RETRY"} {
			rule, err := faults.ParseRule(text)
			require.NoError(t, err)
			list = append(list, rule)
		}
		return list
	}
	one := layer(t, faults.Plan{Rules: rules()})
	require.NoError(t, one.Enable(one.Rules()[1].Name, false))
	for range 2 {
		require.Equal(t, success, send(t, one, getRandom))
	}
	state := one.State()
	assert.EqualValues(t, 2, state.Commands)

	parsed, err := state.ParseRules()
	require.NoError(t, err)
	var decisions []faults.Decision
	other := layer(t, faults.Plan{Rules: parsed, Journal: func(d faults.Decision) { decisions = append(decisions, d) }})
	require.NoError(t, other.SetState(state))
	assert.Equal(t, state.Rules, other.State().Rules)
	assert.Equal(t, "80010000000a00000101", send(t, other, getRandom))
	require.NotEmpty(t, decisions)
	assert.EqualValues(t, 3, decisions[len(decisions)-1].Number)

	fewer := layer(t, faults.Plan{Rules: rules()[:1]})
	require.ErrorIs(t, fewer.SetState(state), faults.ErrOtherRules)
	assert.Zero(t, fewer.State().Commands)
}

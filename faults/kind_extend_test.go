package faults_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
)

func TestExtend(t *testing.T) {
	t.Parallel()
	send, _, journal := dangerous(t, "*: extend=3")
	first, err := send()
	require.NoError(t, err)
	require.Len(t, first, len(fourBytes)+6)
	assert.Equal(t, fourBytes, first[:len(fourBytes)])
	outcome, detail := journal.last()
	assert.Equal(t, faults.Changed, outcome)
	assert.Equal(t, first[len(fourBytes):]+" appended", detail)
	second, err := send()
	require.NoError(t, err)
	assert.NotEqual(t, first, second, "each command has bytes of its own")

	again, _, _ := dangerous(t, "*: extend=3")
	same, err := again()
	require.NoError(t, err)
	assert.Equal(t, first, same, "the same seed gives the same bytes")
	refused(t, "extend", []string{"0", "4097", "+1"}, faults.Extend{}, faults.Extend{By: -1})
}

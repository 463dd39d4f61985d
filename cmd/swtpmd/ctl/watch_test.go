package ctl

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
)

// However much there is, the view fits into the smallest terminal, and nothing that a
// client or a rule is called moves its cursor.
func TestTheViewFits(t *testing.T) {
	var v view
	v.status.Now.Cause = strings.Repeat("é", 100)
	for i := range 100 {
		v.status.Rules = append(v.status.Rules, control.RuleStatus{Name: fmt.Sprintf("rule %d \x1b[2J %s", i, strings.Repeat("x", 100)), Enabled: i%2 == 0})
		v.status.Held = append(v.status.Held, faults.Decision{Number: uint64(i), Rule: "\x1b[H"})
		v.see(&control.Event{Kind: control.CommandEvent, Command: &control.Command{Command: 0x17B, Client: strings.Repeat("c", 100)}})
		v.see(&control.Event{Kind: control.LostEvent, Lost: 1})
	}
	lines := v.lines()
	assert.Less(t, len(lines), viewHeight)
	for _, line := range lines {
		assert.LessOrEqual(t, utf8.RuneCountInString(line), viewWidth)
		assert.NotContains(t, line, "\x1b")
	}
	text := strings.Join(lines, "\n")
	for _, says := range []string{"and 92 more rules", "HELD 100", "LAST COMMANDS", "TPM2_GetRandom", "disabled"} {
		assert.Contains(t, text, says)
	}
	var out bytes.Buffer
	require.NoError(t, v.draw(&out))
	assert.Equal(t, len(lines), strings.Count(out.String(), "\r\n"))
}

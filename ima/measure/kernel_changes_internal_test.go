package measure

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima/internal/release"
)

// The table of docs/measure.md is this one.
func TestKernelChangesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/measure.md")
	require.NoError(t, err)
	var table strings.Builder
	for _, c := range kernelChanges {
		stable := strings.TrimRight(" "+strings.Join(c.stable, ", "), " ")
		fmt.Fprintf(&table, "| %s |%s | %s | %s | %s |\n", c.since, stable, c.what, c.commit, c.file)
	}
	assert.Contains(t, string(text), table.String())
}

// The table is in the order of the releases, and each change is one that the
// oldest profile does not have.
func TestKernelChangesInOrder(t *testing.T) {
	t.Parallel()
	var before release.Version
	for _, c := range kernelChanges {
		since := mustVersion(c.since)
		assert.False(t, before.After(since), c.since)
		before = since
		var k Kernel
		c.set(&k)
		assert.NotEqual(t, Kernel{}, k, c.what)
		assert.Len(t, c.commit, 12)
		for _, stable := range c.stable {
			assert.True(t, since.After(mustVersion(stable)), "%s is older than %s", stable, c.since)
		}
	}
}

package docs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
)

// theFaults is the tables of the kinds of faults.
func theFaults() string {
	var b strings.Builder
	kinds := faults.Kinds()
	for _, group := range []faults.Group{faults.Availability, faults.Answers, faults.Bytes, faults.Inside} {
		heading := fmt.Sprintf("**%s**\n\n| fault | what it does | example |\n|---|---|---|\n", group)
		for _, k := range kinds {
			if k.Group == group {
				fmt.Fprintf(&b, "%s| %s | %s | `%s` |\n", heading, codeCell(spelling(k)), k.Doc, k.Example)
				heading = ""
			}
		}
		if heading == "" {
			b.WriteString("\n")
		}
	}
	b.WriteString("Those that leave the protocol, and what clients have done:\n\n| fault | danger |\n|---|---|\n")
	for _, k := range kinds {
		if k.Dangerous != "" {
			fmt.Fprintf(&b, "| `%s` | %s |\n", k.Word, k.Dangerous)
		}
	}
	return b.String()
}

// spelling is how a plan spells faults of a kind.
func spelling(k faults.Kind) string {
	switch {
	case k.Value == "":
		return k.Word
	case strings.HasPrefix(k.Value, "["):
		return k.Word + "[=" + k.Value[1:]
	}
	return k.Word + "=" + k.Value
}

// codeCell is code in a table, where a bar would end the cell.
func codeCell(code string) string { return "`" + strings.ReplaceAll(code, "|", `\|`) + "`" }

// library is the table of the named plans.
func library() string {
	var b strings.Builder
	b.WriteString("| plan | what it is about |\n|---|---|\n")
	for _, p := range faults.NamedPlans() {
		fmt.Fprintf(&b, "| [`@%s`](../faults/plans/%s.plan) | %s |\n", p.Name, p.Name, p.Summary())
	}
	return b.String()
}

// partOfFaults compares the part of the page of faults with a name, or writes it anew.
func partOfFaults(t *testing.T, name, want string) {
	t.Helper()
	page, begin, end := "faults.md", "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	before, rest, ok := strings.Cut(pages(t)["docs/"+page], begin)
	require.True(t, ok)
	part, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(before+begin+want+end+after), 0o644))
		return
	}
	assert.Equal(t, want, part, "go test ./docs -update writes it anew")
}

func TestThePageOfFaultsListsThePlans(t *testing.T) { partOfFaults(t, "library", library()) }

func TestThePageOfFaultsListsTheKinds(t *testing.T) {
	tables := theFaults()
	partOfFaults(t, "kinds", tables)
	listed := 0
	for _, k := range faults.Kinds() {
		listed += strings.Count(tables, "| `"+k.Example+"` |\n")
	}
	assert.Equal(t, len(faults.Kinds()), listed, "a group of kinds has no table")
}

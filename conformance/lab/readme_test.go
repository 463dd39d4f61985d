package lab

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readmeFlags are the daemon's flags of the boot in the README.
var readmeFlags = []string{"--defer-until=late_sync"}

// readmeBoot is the boot that the README shows: scripts/qemu-boot with its
// defaults.
func readmeBoot() bootCase {
	return bootCase{
		name:  "as the README shows",
		flags: readmeFlags,
		setup: func(c *Config) { c.Machine.IMAPolicy, c.Policy = "tcb", nil },
		check: func(t *testing.T, v *Verdict) {
			var text strings.Builder
			require.NoError(t, v.WriteText(&text))
			printed := timeless(text.String())
			for _, line := range readmeLines(t) {
				// In the order of the README, and each line whole.
				_, rest, found := strings.Cut("\n"+printed, "\n"+timeless(line)+"\n")
				assert.True(t, found, "the boot does not print the README's line %q; it prints\n%s", line, text.String())
				if found {
					printed = rest
				}
			}
		},
	}
}

// readmeLines are the lines that the README says the command prints.
func readmeLines(t *testing.T) []string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)<!-- boot: (.*?) -->\n```\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, block, "the README shows no boot")
	assert.Equal(t, strings.Join(readmeFlags, " "), string(block[1]))
	lines := strings.Split(strings.TrimSuffix(string(block[2]), "\n"), "\n")
	require.Greater(t, len(lines), 5)
	return lines
}

var (
	seconds = regexp.MustCompile(` *[0-9]+\.[0-9]+ ?`)
	release = regexp.MustCompile(`Linux [0-9]\S*`)
	usecs   = regexp.MustCompile(`[0-9]+ usecs`)
	size    = regexp.MustCompile(`\+0x0/0x[0-9a-f]+`)
)

// timeless leaves out what differs from machine to machine and from kernel to
// kernel: times, the release, the sizes of functions.
func timeless(text string) string {
	text = size.ReplaceAllString(text, "+#")
	text = usecs.ReplaceAllString(text, "# usecs")
	text = release.ReplaceAllString(text, "Linux #")
	return seconds.ReplaceAllString(text, "#")
}

func TestTimeless(t *testing.T) {
	assert.Equal(t, "[#] ima: at#s Linux #", timeless("[    3.495231] ima: at 4.05 s Linux 6.1.0-56-amd64"))
	assert.Equal(t, "returned 19 after # usecs", timeless("returned 19 after 13510 usecs"))
	assert.Equal(t, "init_ima+#", timeless("init_ima+0x0/0x4f"))
	assert.NotEqual(t, timeless("zeros"), timeless("ones"))
}

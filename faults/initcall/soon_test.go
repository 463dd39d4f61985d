package initcall_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// soon is how many initcalls of a level a kernel may call before the clock has
// noticed the level.
const soon = 2

// A level must be noticed with its first initcalls, whatever the kernel has
// built in: a TPM that is released at device must be there for the drivers.
func TestLevelsAreNoticedSoon(t *testing.T) {
	calling := regexp.MustCompile(`^\[[ 0-9.]+\] calling  (\w+)\+0x0/0x[0-9a-f]+ @ 1`)
	source := registered(t, "6.1")
	for _, name := range logs(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			console := newConsole(t)
			late := make(map[initcall.Level][]string)
			for line := range bytes.Lines(text) {
				console.print(string(line))
				m := calling.FindSubmatch(line)
				if m == nil {
					continue
				}
				// A name that is used at several levels tells nothing.
				if at := source[string(m[1])]; len(at) == 1 && console.clock.Level() < at[0] {
					late[at[0]] = append(late[at[0]], string(m[1]))
				}
			}
			require.Equal(t, initcall.Userspace, console.clock.Level())
			for level, functions := range late {
				assert.LessOrEqual(t, len(functions), soon, "%s is noticed after %v", level, functions)
			}
		})
	}
}

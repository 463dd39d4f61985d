//go:build unix

package faulty

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
)

var update = flag.Bool("update", false, "write the table of docs/faults.md anew")

// faultRows are the rows of the table: rules, with the same clients before them.
var faultRows = []string{
	"*#1: rc=TPM_RC_RETRY",
	"*: rc=TPM_RC_RETRY",
	"*: rc=TPM_RC_YIELDED",
	"*: rc=TPM_RC_TESTING",
	"*: rc=TPM_RC_INITIALIZE",
	"*: rc=TPM_RC_FAILURE",
	"*: rc=TPM_RC_REBOOT",
	"*: rc=TPM_RC_CANCELED",
	"*: rc=TPM_RC_NV_RATE",
	"*: rc=TPM_RC_LOCKOUT",
	"CreatePrimary: rc=TPM_RC_OBJECT_MEMORY",
	"StartAuthSession: rc=TPM_RC_SESSION_MEMORY",
	"ContextLoad: rc=TPM_RC_CONTEXT_GAP",
	"*: hold=300ms",
	"*: delay=50ms..150ms",
	"*/2: gone=1",
	"*#2: failure",
	"*#3: power=cycle,startup=clear",
	"session=yes: hmac",
	"session=yes: nonce",
	"CreatePrimary: identity",
	"GetCapability: capability=reverse",
	"GetCapability: capability=duplicate",
	"*#1: entropy=fail",
	"*: store=fail",
	"*#1: lockout",
	"*#1: fill=objects",
	"*#1: fill=sessions",
	"PCR_Read: bank=sha256:wrong",
	"*#1: pcr-extend=7",
	"*: split=4/20ms",
	"*: close",
}

const page = "../../../docs/faults.md"

// The marks around the table.
const begin, finish = "<!-- clients -->\n", "<!-- /clients -->"

// TestClientsUnderFaults runs every client under every fault and compares with the table of
// docs/faults.md. A client of another version than the table's is left out.
func TestClientsUnderFaults(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok, "%s has no %s", page, begin)
	written, after, ok := strings.Cut(rest, finish)
	require.True(t, ok, "%s has no %s", page, finish)
	table := parse(written)

	made := map[string]map[string]string{}
	t.Run("run", func(t *testing.T) {
		for i := range clients {
			c := &clients[i]
			version, missing := c.version()
			cells := map[string]string{}
			if missing == "" {
				cells["version"] = version
				made[c.name] = cells
			}
			t.Run(c.name, func(t *testing.T) {
				switch {
				case missing != "":
					t.Skip(missing)
				case !*update && version != table[c.name]["version"]:
					t.Skipf("the table is of %s, and this is %s", table[c.name]["version"], version)
				}
				t.Parallel()
				for _, row := range faultRows {
					cells[row] = c.under(t, row)
					if !*update {
						assert.Equal(t, table[c.name][row], cells[row], "under %s; -update writes the table anew", row)
					}
				}
			})
		}
	})
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(before+begin+format(made)+finish+after), 0o644))
	}
}

// version returns the Debian packages and their versions, or what is missing.
func (c *client) version() (version, missing string) {
	if c.inProcess != nil {
		return c.module, ""
	}
	var versions []string
	for _, p := range c.programs {
		if _, err := os.Stat(p.path); err != nil {
			return "", fmt.Sprintf("%s is not there (Debian package %s); scripts/test installs it", p.path, p.debian)
		}
		out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", p.debian).Output()
		if err != nil {
			return "", fmt.Sprintf("dpkg-query knows no package %s: %v", p.debian, err)
		}
		versions = append(versions, p.debian+" "+string(out))
	}
	return strings.Join(versions, ", "), ""
}

// under runs the client under a fault and returns the cell: whether it works, and which
// code it names after how many faults.
func (c *client) under(t *testing.T, row string) string {
	t.Helper()
	m := newMachine(t)
	if c.prepare != "" {
		exit, output := m.run(t, c.prepare)
		require.Zero(t, exit, output)
	}
	fired := m.fault(t, []string{row})
	if c.inProcess != nil {
		if err := c.inProcess(emulatortest.Client{TPM: m.switchable}); err != nil {
			return fmt.Sprintf("error %s after %d", codeOf(err.Error()), fired())
		}
		return works(fired())
	}
	exit, output := m.run(t, c.script)
	switch {
	case exit == 0:
		return works(fired())
	case exit < 0:
		return fmt.Sprintf("no end in %s, after %d", limit, fired())
	}
	return fmt.Sprintf("exit %d, %s after %d", exit, codeOf(output), fired())
}

func works(fired uint64) string {
	if fired == 0 {
		return "not met"
	}
	return fmt.Sprintf("works after %d", fired)
}

var (
	hexCode  = regexp.MustCompile(`\b0x0*([1-9a-fA-F][0-9a-fA-F]{0,5})\b`)
	codeName = regexp.MustCompile(`TPM_RC_[A-Z_]+`)
	decimal  = regexp.MustCompile(`:(\d+) tpm:`)
)

// codeOf returns the last response code that a client names, "no code" if none.
func codeOf(output string) string {
	if all := hexCode.FindAllStringSubmatch(output, -1); len(all) > 0 {
		return "0x" + strings.ToLower(all[len(all)-1][1])
	}
	if name := codeName.FindString(output); name != "" {
		return name
	}
	if number := decimal.FindStringSubmatch(output); number != nil {
		if n, err := strconv.Atoi(number[1]); err == nil {
			return fmt.Sprintf("%#x", n)
		}
	}
	return "no code"
}

// format writes the table: a client in a column.
func format(made map[string]map[string]string) string {
	var b strings.Builder
	line := func(first string, cell func(c *client) string) {
		fmt.Fprintf(&b, "| %s |", first)
		for i := range clients {
			if made[clients[i].name] != nil {
				fmt.Fprintf(&b, " %s |", cell(&clients[i]))
			}
		}
		b.WriteString("\n")
	}
	line("rule", func(c *client) string { return "`" + c.name + "`" })
	line("---", func(*client) string { return "---" })
	for _, row := range append([]string{"version"}, faultRows...) {
		first := row
		if row != "version" {
			first = "`" + row + "`"
		}
		line(first, func(c *client) string { return made[c.name][row] })
	}
	return b.String()
}

// parse reads what format writes.
func parse(text string) map[string]map[string]string {
	table := map[string]map[string]string{}
	var names []string
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		switch {
		case names == nil:
			names = cells
		case len(cells) == len(names):
			for i, cell := range cells[1:] {
				name := names[i+1]
				if table[name] == nil {
					table[name] = map[string]string{}
				}
				table[name][cells[0]] = cell
			}
		}
	}
	return table
}

package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every flag that a help lists is one that the command takes.
func TestHelpListsFlagsThatAreThere(t *testing.T) {
	for _, c := range subcommands(nil) {
		f := flag.NewFlagSet(c.Name, flag.ContinueOnError)
		c.New(f)
		page := c.Page()
		for name := range page.Flags() {
			if name != "help" {
				assert.NotNil(t, f.Lookup(name), "%s --%s", c.Name, name)
			}
		}
	}
}

// completed has bash complete a line, and returns what it would offer.
func completed(t *testing.T, place *shell, line string) []string {
	t.Helper()
	out := place.runBy(t, "bash", `. <(swtpmd completion bash)
compopt() { echo "option $2"; }
COMP_LINE='`+line+`'
COMP_POINT=${#COMP_LINE}
_swtpmd
printf '%s\n' "${COMPREPLY[@]}"`)
	return strings.Fields(out)
}

func TestBashCompletes(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	place := newShell(t)
	for _, c := range []struct {
		line string
		want []string
		not  string
	}{
		{"swtpmd ", []string{"boot", "commands", "completion", "ctl", "socket", "verify"}, "swtpmd"},
		{"swtpmd ver", []string{"verify"}, "boot"},
		{"swtpmd --defer-", []string{"--defer-until=", "--defer-from=", "--defer-boots="}, "--daemon"},
		{"swtpmd --defer-until=late", []string{"late", "late_sync"}, "--defer-until=late"},
		{"swtpmd --daemon --profile=r", []string{"roomy"}, "tiny"},
		{"swtpmd --levels=gdb:", []string{"unix:"}, "gdb"},
		{"swtpmd socket --tpm2 --ctrl=type=unixio,", []string{"unixio,path="}, "port"},
		{"swtpmd ctl advance core", []string{"core", "core_sync"}, "late"},
		{"swtpmd boot --strategy=de", []string{"deny"}, "late"},
		{"swtpmd verify --policy=", []string{"strict", "option", "default"}, "tcb"},
		{"swtpmd measure ", []string{"option", "default"}, "tcb"},
	} {
		got := completed(t, place, c.line)
		for _, word := range c.want {
			assert.Contains(t, got, word, c.line)
		}
		assert.NotContains(t, got, c.not, c.line)
	}
}

// The scripts of the other shells are ones that they read, and offer the same.
func TestOtherShellsComplete(t *testing.T) {
	place := newShell(t)
	for shell, script := range map[string]string{
		"zsh": `autoload -U compinit && compinit -D -u
eval "$(swtpmd completion zsh)"
_describe() { shift 2; print -rl -- ${(P)1}; }
_files() { print files; }
words=(swtpmd --profile=r) CURRENT=2 PREFIX=--profile=r
compset() { :; }
_swtpmd`,
		"fish": `swtpmd completion fish | source
complete -C 'swtpmd --profile=r'`,
	} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("%s is not installed", shell)
			}
			assert.Contains(t, place.runBy(t, shell, script), "--profile=roomy")
		})
	}
}

// Every page is one that man shows without a complaint, and has what the help has.
func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	code, _, errs := called(t, "man", "--dir="+dir)
	require.Equal(t, exitOK, code, errs)
	var pages []string
	for _, c := range subcommands(nil) {
		name := strings.TrimSuffix("swtpmd-"+c.Name, "-")
		pages = append(pages, filepath.Join(dir, name+".1"))
		text, err := os.ReadFile(pages[len(pages)-1])
		require.NoError(t, err)
		_, printed, _ := called(t, append([]string{"man"}, strings.Fields(c.Name)...)...)
		assert.Equal(t, string(text), printed)
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "SEE ALSO"} {
			assert.Contains(t, printed, "\n.SH "+section+"\n", c.Name)
		}
		page := c.Page()
		for flag := range page.Flags() {
			assert.Contains(t, printed, strings.ReplaceAll("-"+flag, "-", `\-`), c.Name)
		}
	}
	t.Run("man", func(t *testing.T) {
		if _, err := exec.LookPath("groff"); err != nil {
			t.Skip("groff is not installed")
		}
		for _, page := range pages {
			cmd := exec.CommandContext(t.Context(), "man", "--warnings", "-E", "UTF-8", "-l", page)
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANROFFSEQ=", "MANWIDTH=80", "MANPAGER=cat")
			var warned strings.Builder
			cmd.Stderr = &warned
			shown, err := cmd.Output()
			require.NoError(t, err, "%s", warned.String())
			assert.Empty(t, warned.String(), page)
			assert.Contains(t, string(shown), "EXIT STATUS")
		}
	})
	t.Run("mandoc", func(t *testing.T) {
		if _, err := exec.LookPath("mandoc"); err != nil {
			t.Skip("mandoc is not installed")
		}
		// The date is missing: pages are made of the program, whose date is nobody's.
		out, _ := exec.CommandContext(t.Context(), "mandoc", append([]string{"-Tlint", "-Wwarning"}, pages...)...).Output()
		for line := range strings.Lines(string(out)) {
			assert.Contains(t, line, "missing date", line)
		}
	})
}

// Help texts have the form of which pages are made: see cli.Page.
func TestHelpHasTheFormOfAPage(t *testing.T) {
	for _, c := range subcommands(nil) {
		page := c.Page()
		require.NotEmpty(t, page.Usage, c.Name)
		assert.True(t, strings.HasPrefix(page.Usage[0].Term, "swtpmd"), c.Name)
		for _, b := range page.Blocks {
			for _, i := range b.Items {
				assert.True(t, i.Text != "" || strings.HasPrefix(i.Term, "--"), "%s: %s", c.Name, i.Term)
			}
		}
	}
	code, _, errs := called(t, "man", "nonsense")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, `"nonsense" is no command`)
	code, _, errs = called(t, "completion", "tcsh")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "name bash, zsh or fish")
}

package completion

import (
	"bytes"
	"context"
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// table has what commands have: switches, values, hidden flags, arguments.
func table() []cli.Command {
	run := func(context.Context, []string, cli.Streams) error { return nil }
	return []cli.Command{
		{Help: "Usage: swtpmd [flags]\n       swtpmd ctl COMMAND   ask a daemon\n\nRuns.\n\nFlags:\n  --daemon, -d           go to the background\n  --profile=P            the kind\n                         of TPM\n\nExit codes: 0.\n",
			New: func(f *flag.FlagSet) cli.Run {
				f.Bool("daemon", false, "")
				f.Bool("d", false, "")
				f.String("profile", "", "")
				f.String("state", "", "")
				f.String("defer-until", "", "")
				f.String("secret", "", cli.Hidden)
				return run
			}},
		{Name: "ctl", Args: cli.ArgsAmongFlags, Help: "Usage: swtpmd ctl COMMAND\n\nAsks.\n", New: func(f *flag.FlagSet) cli.Run {
			f.String("admin", "", "")
			f.Bool("json", false, "")
			return run
		}},
		{Name: "verify", Help: "Usage: swtpmd verify LIST\n\nTells.\n", New: func(f *flag.FlagSet) cli.Run {
			f.String("policy", "", "")
			return run
		}},
	}
}

func TestWords(t *testing.T) {
	all := strings.Join(levels(), " ")
	require.Contains(t, all, initcall.LateSync.String())
	for _, c := range []struct {
		line string // a bar is an empty last word
		want string
	}{
		{"|", "ctl verify"},
		{"c", "ctl"},
		{"--", "--daemon --defer-until= --profile= --state= --help"},
		{"--d", "--daemon --defer-until="},
		{"--profile=ro", "--profile=roomy :files"},
		{"--profile ro", "roomy :files"},
		{"--state=|", ":files"},
		{"--state /var", ":files"},
		{"--daemon |", ""},
		{"--daemon --p", "--profile="},
		{"--defer-until=late", "--defer-until=late --defer-until=late_sync"},
		{"ctl |", "add advance disable enable events fleet journal level pcrs power remove restore rules snapshot status watch"},
		{"ctl --json l", "level"},
		{"ctl --admin /x/admin.sock advance late", "late late_sync"},
		{"ctl --admin |", ":files"},
		{"ctl advance late |", ""},
		{"ctl -", "--admin= --json --help"},
		{"verify --policy=acc", "--policy=accept-late :files"},
		{"verify |", ":files"},
		{"nonsense --", ""},
		{"--fault=PCR_Ext", "--fault=PCR_Extend"},
	} {
		words := strings.Split(strings.ReplaceAll(c.line, "|", ""), " ")
		var out bytes.Buffer
		require.NoError(t, printWords(&out, table(), words))
		var got []string
		for line := range strings.Lines(out.String()) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got = append(got, word)
		}
		assert.Equal(t, c.want, strings.Join(got, " "), c.line)
	}
}

// A flag or a command is explained by the first words of its help.
func TestWordsHaveTheirMeaning(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, printWords(&out, table(), []string{"--"}))
	assert.Contains(t, out.String(), "--daemon\tgo to the background\n")
	assert.Contains(t, out.String(), "--profile=\tthe kind\n")
	assert.NotContains(t, out.String(), "secret")
	out.Reset()
	require.NoError(t, printWords(&out, table(), nil))
	assert.Contains(t, out.String(), "ctl\task a daemon\n")
}

// The last word of a rule is completed: what it is for, and after the colon the fault.
func TestWordsOfARule(t *testing.T) {
	for text, want := range map[string]string{
		"level=late PCR_Ex": "PCR_Extend",
		"PCR_Extend: pas":   "pass",
		"PCR_Extend: rc":    "rc=",
		"cli":               "client=",
	} {
		found := valuesLike("", "fault", "--fault=", text)
		var words []string
		for _, c := range found.words {
			words = append(words, c.word)
		}
		kept := text[:strings.LastIndex(text, " ")+1]
		assert.Equal(t, []string{"--fault=" + kept + want}, words, text)
	}
}

// Files follow the words of swtpmd plan.
func TestWordsBeforeFiles(t *testing.T) {
	assert.Equal(t, candidates{words: []candidate{{word: "check"}}}, argumentsLike("plan", nil, "ch"))
	assert.Equal(t, candidates{files: true}, argumentsLike("plan", []string{"check"}, ""))
}

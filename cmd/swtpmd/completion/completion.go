// Package completion is the subcommand completion: it prints what a shell needs to
// complete the command lines of swtpmd, and completes them.
package completion

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

const help = `Usage: swtpmd completion SHELL
       swtpmd completion words [WORD]...

Prints the script that has SHELL complete commands, flags and their values: bash, zsh
or fish. The script asks this program for the words, so it holds for every version.

  words                  the words that can stand in the place of the last WORD, one a
                         line, with a tab and what it means after it; a last line of
                         ":files" allows the names of files too

Examples:
  . <(swtpmd completion bash)
  swtpmd completion bash >/usr/share/bash-completion/completions/swtpmd
  swtpmd completion zsh >/usr/share/zsh/vendor-completions/_swtpmd
  swtpmd completion fish >/usr/share/fish/vendor_completions.d/swtpmd.fish

Exit codes: 0; 1 writing failed; 2 usage.
`

// The scripts ask swtpmd completion words.
var (
	//go:embed swtpmd.bash
	bash string
	//go:embed swtpmd.zsh
	zsh string
	//go:embed swtpmd.fish
	fish string
)

var scripts = map[string]string{"bash": bash, "zsh": zsh, "fish": fish}

// Command returns the subcommand for the commands of a table.
func Command(table func() []cli.Command) cli.Command {
	return cli.Command{Name: "completion", Help: help, Args: cli.ArgsAfterFlags, New: func(*flag.FlagSet) cli.Run {
		return func(_ context.Context, args []string, s cli.Streams) error {
			switch {
			case len(args) > 0 && args[0] == "words":
				return printWords(s.Out, table(), args[1:])
			case len(args) == 1 && scripts[args[0]] != "":
				_, err := io.WriteString(s.Out, scripts[args[0]])
				return err
			}
			return cli.Usage(fmt.Errorf("no shell in %q", args), "name bash, zsh or fish")
		}
	}}
}

// printWords prints what completes the last of words.
func printWords(out io.Writer, commands []cli.Command, words []string) error {
	if len(words) == 0 {
		words = []string{""}
	}
	found := complete(commands, words)
	for _, c := range found.words {
		if _, err := fmt.Fprintf(out, "%s\t%s\n", c.word, c.means); err != nil {
			return err
		}
	}
	if found.files {
		_, err := fmt.Fprintln(out, ":files")
		return err
	}
	return nil
}

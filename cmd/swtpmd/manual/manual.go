// Package manual is the subcommand man: it prints manual pages, which are made of the
// help texts.
package manual

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

const help = `Usage: swtpmd man [flags] [COMMAND]

Prints the manual page of a command, or that of swtpmd itself. The pages are made of
what --help says, so they are those of this very program.

  --dir=DIR              write all of them there, as swtpmd.1, swtpmd-socket.1 and so on

Examples:
  swtpmd man | man -l -
  swtpmd man --dir=/usr/local/share/man/man1

Exit codes: 0; 1 writing failed; 2 usage.
`

// Command returns the subcommand for the commands of a table, as the program's
// version is.
func Command(version string, table func() []cli.Command) cli.Command {
	return cli.Command{Name: "man", Help: help, Args: cli.ArgsAmongFlags, New: func(f *flag.FlagSet) cli.Run {
		dir := f.String("dir", "", "")
		return func(_ context.Context, args []string, s cli.Streams) error {
			commands := table()
			if *dir != "" {
				if err := cli.Unexpected("swtpmd man", args); err != nil {
					return err
				}
				return write(*dir, version, commands)
			}
			word := ""
			if len(args) > 0 {
				word = args[0]
			}
			at := slices.IndexFunc(commands, func(c cli.Command) bool { return c.Name == word })
			if at < 0 || len(args) > 1 || len(args) == 1 && word == "" {
				return cli.Usage(fmt.Errorf("%q is no command", strings.Join(args, " ")), "name one command of swtpmd, or none")
			}
			_, err := s.Out.Write(page(&commands[at], version, commands))
			return err
		}
	}}
}

// write writes the page of each command.
func write(dir, version string, commands []cli.Command) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := range commands {
		name := filepath.Join(dir, pageName(commands[i].Name)+".1")
		if err := os.WriteFile(name, page(&commands[i], version, commands), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pageName is the name of a command's page.
func pageName(command string) string {
	if command == "" {
		return "swtpmd"
	}
	return "swtpmd-" + command
}

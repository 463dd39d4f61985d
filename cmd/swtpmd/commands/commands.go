// Package commands is the subcommand commands: it prints the command table of the
// emulated TPM.
package commands

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

const help = `Usage: swtpmd commands [flags]

Prints the command table of the emulated TPM: every command of Part 3 of the TPM
2.0 Library up to revision 1.84, whether it is implemented or not.

  --format=F             table (default) or json
  --json                 --format=json
  --profile=P            what a TPM of this profile has, as swtpmd --help has it

A line has the code, the name without TPM2_, the revision of the library that
first has it, yes, no, or off for what the profile has disabled, the handles
with the roles that authorize them, attributes, and the chapter. The attributes:
  rhandle      the response has a handle
  nv, extensive, flushed
               as in TPMA_CC
  decrypt, encrypt
               a session may encrypt the first parameter of the command, of the
               response
  no-sessions  takes no sessions
  pp, pp-must  physical presence can be demanded, is always demanded
  read-only    refused in read-only mode
  trial        may be used on a trial policy session

Examples:
  swtpmd commands --json | jq -r '.[] | select(.implemented | not) | .name'
  swtpmd commands --profile=tiny

Exit codes: 0; 1 writing failed; 2 usage.
`

// row is a row of the command table as JSON.
type row struct {
	Code        uint32        `json:"code"`
	Name        string        `json:"name"`
	Chapter     string        `json:"chapter"`
	Since       string        `json:"since"`
	Implemented bool          `json:"implemented"`
	Enabled     bool          `json:"enabled"` // in the profile
	Handles     []handle      `json:"handles"`
	Attributes  []string      `json:"attributes"`
	TPMACC      uint32        `json:"tpma_cc"`
	Timeout     string        `json:"timeout"` // that Linux has for it
	TimeoutNS   time.Duration `json:"timeout_ns"`
}

type handle struct {
	Kind string `json:"kind"`
	Role string `json:"role"`
}

// timeouts are those of emulator.Duration, in its order.
var timeouts = [...]time.Duration{2 * time.Minute, 750 * time.Millisecond, 2 * time.Second, 5 * time.Minute}

// Command is the subcommand.
var Command = cli.Command{Name: "commands", Help: help, New: define}

func define(f *flag.FlagSet) cli.Run {
	format := f.String("format", "table", "")
	asJSON := f.Bool("json", false, "")
	profile := new(cli.Profile)
	profile.Define(f)
	return func(_ context.Context, _ []string, s cli.Streams) error {
		rows := rowsOf(profile.Config().Commands)
		switch {
		case *asJSON, *format == "json":
			return json.NewEncoder(s.Out).Encode(rows)
		case *format == "table":
			return printTable(s.Out, rows)
		}
		return cli.Usage(fmt.Errorf("--format=%s is no format", *format), "table or json")
	}
}

// rowsOf returns the table, with those switched on that a Config names; nil names
// all.
func rowsOf(on []wire.CC) []row {
	var rows []row
	for _, c := range emulator.Commands() {
		r := row{
			Code: uint32(c.Code), Name: c.Name, Chapter: c.Chapter, Since: c.Since,
			Implemented: c.Implemented(), Handles: []handle{},
			Attributes: attributes(&c), TPMACC: uint32(c.Attributes()),
			Timeout: timeouts[c.Duration].String(), TimeoutNS: timeouts[c.Duration],
		}
		r.Enabled = r.Implemented && (on == nil || slices.Contains(on, c.Code))
		for _, h := range c.Handles {
			r.Handles = append(r.Handles, handle{h.Kind.String(), h.Role.String()})
		}
		rows = append(rows, r)
	}
	return rows
}

// attributes are the words of the help.
func attributes(c *emulator.Command) []string {
	words := []string{}
	for _, a := range []struct {
		word string
		has  bool
	}{
		{"rhandle", c.ResponseHandle},
		{"nv", c.NV},
		{"extensive", c.Extensive},
		{"flushed", c.Flushed},
		{"decrypt", c.Decrypt},
		{"encrypt", c.Encrypt},
		{"no-sessions", c.Sessions == emulator.SessionsNone},
		{"pp", c.Presence == emulator.PresenceMay},
		{"pp-must", c.Presence == emulator.PresenceMust},
		{"read-only", c.RefusedInReadOnlyMode},
		{"trial", c.Trial},
	} {
		if a.has {
			words = append(words, a.word)
		}
	}
	return words
}

// printTable writes one line a command, in columns.
func printTable(out io.Writer, rows []row) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CODE\tNAME\tSINCE\tHERE\tHANDLES\tATTRIBUTES\tCHAPTER")
	for _, row := range rows {
		here := "no"
		switch {
		case row.Enabled:
			here = "yes"
		case row.Implemented:
			here = "off"
		}
		var handles []string
		for _, h := range row.Handles {
			handle := h.Kind
			if h.Role != emulator.RoleNone.String() {
				handle += ":" + h.Role
			}
			handles = append(handles, handle)
		}
		fmt.Fprintf(w, "0x%08x\t%s\t%s\t%s\t%s\t%s\t%s\n", row.Code, row.Name, row.Since, here,
			dash(strings.Join(handles, ",")), dash(strings.Join(row.Attributes, ",")), row.Chapter)
	}
	return w.Flush()
}

// dash stands for nothing, so that every line has as many words.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

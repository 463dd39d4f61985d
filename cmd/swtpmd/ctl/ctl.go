// Package ctl is the subcommand ctl: it asks and steers a running daemon through its
// admin socket.
package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/rundir"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

const help = `Usage: swtpmd ctl [flags] COMMAND [flags]

Asks or steers a running swtpmd through its admin socket.

Commands:
  status          how far the boot is, which rules are in force, what they did
  level           the level that the boot has reached, alone on a line
  advance LEVEL   tell the daemon that the boot has reached LEVEL
  pcrs            every PCR of every bank, read beneath the faults
  journal         the last decisions, one a line
  rules           the rules of faults, with how often each fitted and fired
  add RULE...     add rules after those that there are; swtpmd plan explain tells what a
                  rule means
  remove NAME     remove a rule; commands that it holds are let go
  enable NAME     enable a rule
  disable NAME    disable a rule; commands that it holds are let go
  power on|off|reset
                  switch the power of the TPM
  snapshot FILE   save the whole TPM into FILE, with its secrets
  restore FILE    make the TPM the one that is in FILE
  events          what happens, a line each, until the daemon or Ctrl-C ends it
  watch           the same with every command, in a terminal as a view that is redrawn: the
                  level, rules with their hits, what is held, the last commands

Of a fleet (swtpmd fleet):
  fleet list      all TPMs, a line each
  fleet status [NAME]
                  the TPM NAME, or all
  fleet add NAME  add a TPM, with the flags below
  fleet remove NAME
                  remove a TPM; its state stays. One with clients is refused, unless it is
                  asked for twice within a minute or with --force
  fleet metrics   counters and gauges, in Prometheus's text format

Flags:
  --admin PATH    the daemon's admin.sock; without it $SWTPMD_ADMIN, or the only
                  daemon of this user that runs in a directory of its own choice
  --json          JSON on stdout, as the admin socket answers it
  --tpm NAME      the TPM of a fleet that a command other than fleet is about
  --force         with fleet remove: whoever is connected loses the TPM
  --profile, --state, --defer-until, --defer-from, --while-deferred, --hold-max,
  --defer-boots, --fault, --plan, --fault-seed, --dangerous, --console, --timeline,
  --started, --uid, --gid, --clients
                  with fleet add: what the TPM is (docs/fleet.md)

Examples:
  swtpmd ctl status
  swtpmd ctl pcrs --json | jq -r .sha256
  swtpmd ctl --admin /run/user/1000/swtpmd-123/admin.sock advance late_sync
  curl --unix-socket "$SWTPMD_ADMIN" http://swtpmd/status
  swtpmd ctl add 'name=third PCR_Extend#3: rc=TPM_RC_FAILURE'
  swtpmd ctl disable third
  swtpmd ctl events --json | jq 'select(.event == "decision")'
  swtpmd ctl fleet add web1 --profile=hardware-like --defer-until=late_sync
  swtpmd ctl --tpm web1 advance late_sync

Exit codes: 0 done; 1 the daemon cannot be reached or refuses; 2 usage.
`

// words are the words of ctl. asks is how many words follow; many stands for one or more.
var words = map[string]struct {
	asks int
	do   func(*ctl, context.Context, []string) error
}{
	"status":  {0, (*ctl).status},
	"level":   {0, (*ctl).level},
	"advance": {1, (*ctl).advance},
	"pcrs":    {0, (*ctl).pcrs},
	"journal": {0, (*ctl).journal},

	"rules":    {0, (*ctl).rules},
	"add":      {many, (*ctl).add},
	"remove":   {1, (*ctl).remove},
	"enable":   {1, (*ctl).enable},
	"disable":  {1, (*ctl).disable},
	"power":    {1, (*ctl).power},
	"snapshot": {1, (*ctl).snapshot},
	"restore":  {1, (*ctl).restore},
	"events":   {0, (*ctl).events},
	"watch":    {0, (*ctl).watch},
	"fleet":    {many, (*ctl).fleet},
}

const many = -1

type ctl struct {
	client *control.Client
	json   bool
	out    io.Writer
	admin  string // path of the socket
	ofTPM  *fleetFlags
}

// Command is the subcommand.
var Command = cli.Command{Name: "ctl", Help: help, Args: cli.ArgsAmongFlags, New: define}

func define(f *flag.FlagSet) cli.Run {
	admin := f.String("admin", os.Getenv("SWTPMD_ADMIN"), "")
	asJSON := f.Bool("json", false, "")
	ofTPM := new(fleetFlags)
	ofTPM.define(f)
	return func(ctx context.Context, args []string, s cli.Streams) error {
		all := strings.Join(slices.Sorted(maps.Keys(words)), ", ") + "; see swtpmd ctl --help for what they take"
		if len(args) == 0 {
			return cli.Usage(errors.New("there is no command"), "name a command: "+all)
		}
		command, ok := words[args[0]]
		switch given := len(args) - 1; {
		case ok && given < 1 && command.asks != 0:
			return cli.Usage(fmt.Errorf("%s needs a word after it", args[0]), "see swtpmd ctl --help")
		case ok && command.asks != many && given > command.asks:
			return cli.Usage(fmt.Errorf("%s: unexpected argument %q", args[0], args[1+command.asks]), "see swtpmd ctl --help")
		case !ok:
			return cli.Usage(fmt.Errorf("%q is not a command", strings.Join(args, " ")), "the commands are "+all)
		}
		if err := ofTPM.check(args); err != nil {
			return err
		}
		if *admin == "" {
			found, err := rundir.FindAdmin()
			if err != nil {
				return err
			}
			*admin = found
		}
		client := control.NewClientBelow(*admin, ofTPM.below())
		defer client.Close()
		return command.do(&ctl{client, *asJSON, s.Out, *admin, ofTPM}, ctx, args[1:])
	}
}

func (c *ctl) print(v any, text func(io.Writer)) error {
	if c.json {
		return json.NewEncoder(c.out).Encode(v)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	text(w)
	return w.Flush()
}

func (c *ctl) status(ctx context.Context, _ []string) error {
	status, err := c.client.Status(ctx)
	if err != nil {
		return err
	}
	return c.print(status, func(w io.Writer) { printStatus(w, status) })
}

func (c *ctl) level(ctx context.Context, _ []string) error {
	status, err := c.client.Status(ctx)
	if err != nil {
		return err
	}
	return c.print(status.Now, func(w io.Writer) { fmt.Fprintln(w, status.Now.Level) })
}

func (c *ctl) advance(ctx context.Context, args []string) error {
	level, err := initcall.ParseLevel(args[0])
	if err != nil {
		return cli.Usage(err, "")
	}
	status, err := c.client.Advance(ctx, level)
	if err != nil {
		return err
	}
	return c.print(status.Now, func(w io.Writer) { fmt.Fprintln(w, status.Now.Level) })
}

func (c *ctl) pcrs(ctx context.Context, _ []string) error {
	banks, err := c.client.PCRs(ctx)
	if err != nil {
		return err
	}
	return c.print(banks, func(w io.Writer) {
		for _, bank := range slices.Sorted(maps.Keys(banks)) {
			for _, pcr := range slices.Sorted(maps.Keys(banks[bank])) {
				fmt.Fprintf(w, "%s\t%d\t%s\n", bank, pcr, banks[bank][pcr])
			}
		}
	})
}

func (c *ctl) journal(ctx context.Context, _ []string) error {
	entries, err := c.client.Journal(ctx)
	if err != nil {
		return err
	}
	return c.print(entries, func(w io.Writer) {
		for i := range entries {
			d := &entries[i].Decision
			if lost := entries[i].Lost; lost != 0 {
				fmt.Fprintf(w, "%d decisions were replaced by newer ones before they were read\n", lost)
				continue
			}
			fmt.Fprintf(w, "%s\tboot %d\t%s\t%s\tlocality %d\t%s\n", d.Time.Format(time.RFC3339Nano),
				d.Boot, d.Level, cli.CommandName(d.Command), d.Locality, describe(d))
		}
	})
}

// describe says in words what became of a command.
func describe(d *faults.Decision) string {
	text := string(d.Outcome)
	if d.Code != 0 {
		text += " " + wire.RC(d.Code).String()
	}
	if d.HeldFor != 0 {
		text += fmt.Sprintf(" after %s (%s)", d.HeldFor.Round(time.Millisecond), d.Cause)
	}
	if d.Detail != "" {
		text += ": " + d.Detail
	}
	return text
}

func printStatus(w io.Writer, s control.Status) {
	power := "off"
	if s.Powered {
		power = "on"
	}
	fmt.Fprintf(w, "boot\t%d\nlevel\t%s\ncause\t%s\npower\t%s\n", s.Now.Boot, s.Now.Level, s.Now.Cause, power)
	if s.Failure != "" {
		fmt.Fprintf(w, "failure\t%s\n", s.Failure)
	}
	if s.Sandbox != "" {
		fmt.Fprintf(w, "sandbox\t%s\n", s.Sandbox)
	}
	if s.LogLost != 0 {
		fmt.Fprintf(w, "log lost\t%d lines\n", s.LogLost)
	}
	for i := range s.Rules {
		rule := &s.Rules[i]
		fmt.Fprintf(w, "rule\t%s, from %s: %s, fired %s\n", rule.Name, rule.From, state(rule), cli.Plural(int(rule.Fired), "time", "times"))
	}
	if len(s.Held) > 0 {
		fmt.Fprintf(w, "held\t%s\n", cli.Plural(len(s.Held), "command", "commands"))
	}
	for _, outcome := range slices.Sorted(maps.Keys(s.Outcomes)) {
		fmt.Fprintf(w, "%s\t%d\n", outcome, s.Outcomes[outcome])
	}
	for _, e := range s.Levels {
		at := ""
		if e.At >= 0 {
			at = fmt.Sprintf("%.6f s", e.At.Seconds())
		}
		fmt.Fprintf(w, "reached\t%s\t%s\t%s\n", e.Level, at, e.Cause)
	}
}

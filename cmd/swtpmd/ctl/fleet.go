package ctl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/fleet/admin"
)

// fleetFlags are the flags for fleets.
type fleetFlags struct {
	tpm   string
	force bool
	lines []string // of the config of fleet add
	first string   // the first flag of these
}

// switches are the words of a config that need no value.
var switches = []string{"dangerous", "started"}

func (w *fleetFlags) define(f *flag.FlagSet) {
	f.StringVar(&w.tpm, "tpm", "", "")
	f.BoolVar(&w.force, "force", false, "")
	for _, word := range fleet.Words() {
		take := func(value string) error { return w.take(word, value) }
		if slices.Contains(switches, word) {
			f.BoolFunc(word, "", take)
			continue
		}
		f.Func(word, "", take)
	}
	f.Func("plan", "", w.plan)
}

// take takes a word of a config. Paths become absolute: the fleet has another folder.
func (w *fleetFlags) take(word, value string) (err error) {
	isPath := word == "profile" && strings.ContainsAny(value, "./\\") || word == "state" && value != fleet.InMemory
	if isPath {
		if value, err = filepath.Abs(value); err != nil {
			return err
		}
	}
	if strings.ContainsAny(value, "\r\n") {
		return errors.New("a value is one line")
	}
	w.add("--"+word, word+"="+value)
	return nil
}

// plan takes the rules of a plan's file, which the fleet need not be able to read.
func (w *fleetFlags) plan(name string) error {
	file, err := cli.ReadPlan(name)
	if err != nil {
		return err
	}
	if file.Seeded {
		w.add("--plan", fmt.Sprintf("fault-seed=%d", file.Seed))
	}
	for _, rule := range file.Rules {
		w.add("--plan", "fault="+rule.String())
	}
	return nil
}

func (w *fleetFlags) add(name, line string) {
	if w.first == "" {
		w.first = name
	}
	w.lines = append(w.lines, line)
}

// check refuses flags that a command has no use for.
func (w *fleetFlags) check(args []string) error {
	words := strings.Join(args[:min(len(args), 2)], " ")
	switch {
	case w.first != "" && words != "fleet add":
		return cli.Usage(fmt.Errorf("%s is for fleet add", w.first), "see swtpmd ctl --help")
	case w.force && words != "fleet remove":
		return cli.Usage(errors.New("--force is for fleet remove"), "see swtpmd ctl --help")
	case w.tpm != "" && args[0] == "fleet":
		return cli.Usage(errors.New("--tpm is for the other commands"), "name the TPM after fleet add, remove or status")
	}
	return nil
}

// below is what the requests about a TPM of a fleet begin with.
func (w *fleetFlags) below() string {
	if w.tpm == "" {
		return ""
	}
	return "/tpms/" + url.PathEscape(w.tpm)
}

// fleetWords are the words after fleet, and how many names may follow.
var fleetWords = map[string]struct {
	least, most int
	do          func(*ctl, context.Context, *admin.Client, []string) error
}{
	"list":    {0, 0, (*ctl).fleetStatus},
	"status":  {0, 1, (*ctl).fleetStatus},
	"add":     {1, 1, (*ctl).fleetAdd},
	"remove":  {1, 1, (*ctl).fleetRemove},
	"metrics": {0, 0, (*ctl).fleetMetrics},
}

func (c *ctl) fleet(ctx context.Context, args []string) error {
	word, ok := fleetWords[args[0]]
	names := args[1:]
	switch {
	case !ok:
		return cli.Usage(fmt.Errorf("fleet %s is not a command", args[0]), "the commands are fleet add NAME, list, metrics, remove NAME, status [NAME]")
	case len(names) < word.least:
		return cli.Usage(fmt.Errorf("fleet %s needs the name of a TPM after it", args[0]), "see swtpmd ctl --help")
	case len(names) > word.most:
		return cli.Usage(fmt.Errorf("fleet %s: unexpected argument %q", args[0], names[word.most]), "see swtpmd ctl --help")
	}
	client := admin.NewClient(c.admin)
	defer client.Close()
	return word.do(c, ctx, client, names)
}

func (c *ctl) fleetStatus(ctx context.Context, client *admin.Client, names []string) error {
	if len(names) == 1 {
		s, err := client.Status(ctx, names[0])
		if err != nil {
			return err
		}
		return c.print(s, func(w io.Writer) { printTPM(w, &s) })
	}
	list, err := client.List(ctx)
	if err != nil {
		return err
	}
	return c.print(list, func(w io.Writer) {
		for i := range list {
			s := &list[i]
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Name, condition(s), s.Level,
				cli.Plural(s.ControlClients+s.DataClients, "client", "clients"), cli.Plural(int(s.Commands), "command", "commands"))
		}
	})
}

// condition says in words how a TPM is.
func condition(s *fleet.Status) string {
	switch {
	case s.Refused != "":
		return "refused"
	case s.Failure != "":
		return "failure mode"
	case !s.Powered:
		return "power off"
	case !s.InMemory:
		return "put away"
	}
	return "power on"
}

func printTPM(w io.Writer, s *fleet.Status) {
	for _, line := range []struct{ what, value string }{
		{"name", s.Name}, {"is", condition(s)}, {"refused", s.Refused}, {"failure", s.Failure}, {"ctrl", s.Control}, {"data", s.Data},
		{"console", s.Console}, {"state", s.State}, {"profile", s.Profile},
	} {
		if line.value != "" {
			fmt.Fprintf(w, "%s\t%s\n", line.what, line.value)
		}
	}
	if s.Refused == "" {
		fmt.Fprintf(w, "boot\t%d\nlevel\t%s\nclients\t%d on the control socket, %d on the data socket\ncommands\t%d\nerrors\t%d\n",
			s.Boot, s.Level, s.ControlClients, s.DataClients, s.Commands, s.Errors)
	}
}

func (c *ctl) fleetAdd(ctx context.Context, client *admin.Client, names []string) error {
	config := strings.Join(c.ofTPM.lines, "\n")
	if _, err := fleet.ParseConfig("", []byte(config)); err != nil {
		var wrong *fleet.ConfigError
		if errors.As(err, &wrong) {
			wrong.Line = 0 // the words are flags here
		}
		return cli.Usage(err, "see docs/fleet.md for what the words mean")
	}
	s, err := client.Add(ctx, names[0], config)
	if err != nil {
		return err
	}
	return c.print(s, func(w io.Writer) { printTPM(w, &s) })
}

func (c *ctl) fleetRemove(ctx context.Context, client *admin.Client, names []string) error {
	return client.Remove(ctx, names[0], c.ofTPM.force)
}

func (c *ctl) fleetMetrics(ctx context.Context, client *admin.Client, _ []string) error {
	return client.Metrics(ctx, c.out)
}

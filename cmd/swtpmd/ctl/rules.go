package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
)

// state says in words whether a rule is for commands now.
func state(r *control.RuleStatus) string {
	switch {
	case !r.Enabled:
		return "disabled"
	case r.InForce:
		return "in force"
	}
	return "not in force"
}

// printRules prints the rules, or the error of the request for them.
func (c *ctl) printRules(list []control.RuleStatus, err error) error {
	if err != nil {
		return err
	}
	return c.print(list, func(w io.Writer) {
		for i := range list {
			r := &list[i]
			fmt.Fprintf(w, "%s\t%s\tfitted %d\tfired %d\t%s\n", r.Name, state(r), r.Fitted, r.Fired, r.Rule)
		}
	})
}

func (c *ctl) rules(ctx context.Context, _ []string) error { return c.printRules(c.client.Rules(ctx)) }

func (c *ctl) add(ctx context.Context, rules []string) error {
	for _, text := range rules {
		if _, err := faults.ParseRule(text); err != nil {
			return cli.Usage(fmt.Errorf("rule %q: %w", text, err), "swtpmd plan explain --fault=RULE tells what a rule means")
		}
	}
	return c.printRules(c.client.AddRules(ctx, rules...))
}

func (c *ctl) remove(ctx context.Context, args []string) error {
	return c.printRules(c.client.RemoveRule(ctx, args[0]))
}

func (c *ctl) enable(ctx context.Context, args []string) error {
	return c.printRules(c.client.EnableRule(ctx, args[0], true))
}

func (c *ctl) disable(ctx context.Context, args []string) error {
	return c.printRules(c.client.EnableRule(ctx, args[0], false))
}

func (c *ctl) power(ctx context.Context, args []string) error {
	what := control.Power(args[0])
	if what != control.PowerOn && what != control.PowerOff && what != control.PowerReset {
		return cli.Usage(fmt.Errorf("%q is nothing to do with power", args[0]), "say on, off or reset")
	}
	status, err := c.client.Power(ctx, what)
	if err != nil {
		return err
	}
	return c.print(status, func(w io.Writer) { printStatus(w, status) })
}

// snapshot writes the TPM into a new file that nobody else can read.
func (c *ctl) snapshot(ctx context.Context, args []string) error {
	saved, err := c.client.Save(ctx)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(json.NewEncoder(file).Encode(saved), file.Close()); err != nil {
		return errors.Join(err, os.Remove(args[0]))
	}
	return nil
}

func (c *ctl) restore(ctx context.Context, args []string) error {
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()
	decoder := json.NewDecoder(io.LimitReader(file, control.MaxSnapshot))
	decoder.DisallowUnknownFields()
	var saved control.Snapshot
	if err := decoder.Decode(&saved); err != nil {
		return fmt.Errorf("%s is not a snapshot of swtpmd ctl: %w", args[0], err)
	}
	status, err := c.client.Restore(ctx, saved)
	if err != nil {
		return err
	}
	return c.print(status, func(w io.Writer) { printStatus(w, status) })
}

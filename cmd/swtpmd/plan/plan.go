// Package plan is the subcommand plan: it looks for errors in plans of faults, and says in
// words what they do.
package plan

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

const help = `Usage: swtpmd plan check [flags] FILE...
       swtpmd plan explain [flags] FILE...
       swtpmd plan explain --fault=RULE...
       swtpmd plan list [flags]

Works with plans of faults without a TPM. @NAME in place of FILE is a plan of the library.

Commands:
  check FILE...   look for errors in each plan: words and values that do not exist, rules
                  that can never happen. An error has its line and column
  explain FILE... say in words what each rule is for, what happens then, and what the
                  rules after it see
  list            the plans of the library, with what each is about

Flags:
  --fault=RULE    with explain: a rule, as swtpmd --fault has it; may be repeated
  --json          a JSON object a line: with check and list for a plan, with explain for
                  a rule

Examples:
  swtpmd plan explain --fault='PCR_Extend#3: rc=TPM_RC_FAILURE'
  swtpmd plan explain --fault='level=kernel..late_sync: hold=30s' --fault='*/10: rc=RETRY'
  swtpmd plan check my.plan && swtpmd --plan=my.plan
  swtpmd plan list; swtpmd plan explain @slow-nv

Exit codes: 0 the plans are good; 1 one is not, stdout says where and why, or a file
cannot be read; 2 usage.
`

// Command is the subcommand.
var Command = cli.Command{Name: "plan", Help: help, Args: cli.ArgsAmongFlags, New: define}

type flags struct {
	json  bool
	rules []faults.Rule
}

func define(f *flag.FlagSet) cli.Run {
	o := new(flags)
	f.BoolVar(&o.json, "json", false, "")
	f.Func("fault", "", func(text string) error {
		rule, err := faults.ParseRule(text)
		o.rules = append(o.rules, rule)
		return err
	})
	return o.run
}

func (o *flags) run(_ context.Context, args []string, s cli.Streams) error {
	const commands = "say swtpmd plan check FILE..., or swtpmd plan explain FILE... or --fault=RULE, or swtpmd plan list"
	switch {
	case len(args) == 0:
		return cli.Usage(errors.New("there is no command"), commands)
	case args[0] != "explain" && len(o.rules) > 0:
		return cli.Usage(errors.New("--fault is for explain, which finds errors too"), commands)
	case args[0] == "list" && len(args) > 1:
		return cli.Usage(fmt.Errorf("list takes no file, such as %q", args[1]), commands)
	case args[0] == "list":
		return o.list(s.Out)
	case args[0] == "check" && len(args) > 1:
		return o.check(args[1:], s.Out)
	case args[0] == "explain" && len(args)+len(o.rules) > 1:
		return o.explain(args[1:], s.Out)
	case args[0] == "check" || args[0] == "explain":
		return cli.Usage(errors.New("no plan is named"), commands)
	}
	return cli.Usage(fmt.Errorf("%q is not a command", args[0]), commands)
}

// Checked is the result of check for one plan.
type Checked struct {
	File  string `json:"file"`
	Rules int    `json:"rules"`
	// Seed is the plan's, if it has one.
	Seed *uint64 `json:"seed,omitempty"`
	// Dangerous are the lines that need --dangerous.
	Dangerous []int  `json:"dangerous,omitempty"`
	Error     *Error `json:"error,omitempty"`
}

// Listed is the entry of list for a plan of the library.
type Listed struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	// Doc is the comment at the head of the plan.
	Doc string `json:"doc"`
}

func (l Listed) String() string { return fmt.Sprintf("@%-20s %s", l.Name, l.Summary) }

func (o *flags) list(out io.Writer) error {
	for _, p := range faults.NamedPlans() {
		if err := o.print(out, Listed{p.Name, p.Summary(), p.Doc}); err != nil {
			return err
		}
	}
	return nil
}

// Error is an error of a plan, with its place.
type Error struct {
	Line   int    `json:"line"`
	Column int    `json:"column"` // in bytes, from 1
	Reason string `json:"reason"`
}

// check looks at each plan alone.
func (o *flags) check(names []string, out io.Writer) error {
	bad := false
	for _, name := range names {
		c, err := checkFile(name)
		if err != nil {
			return err
		}
		bad = bad || c.Error != nil
		if err := o.print(out, c); err != nil {
			return err
		}
	}
	if bad {
		return &cli.ExitError{Code: cli.ExitFailed}
	}
	return nil
}

// print writes a value as JSON, or as text.
func (o *flags) print(out io.Writer, v fmt.Stringer) error {
	if o.json {
		return json.NewEncoder(out).Encode(v)
	}
	_, err := fmt.Fprintln(out, v)
	return err
}

func checkFile(name string) (Checked, error) {
	c := Checked{File: name}
	file, err := read(name)
	var wrong *faults.SyntaxError
	if errors.As(err, &wrong) {
		c.Error = &Error{wrong.Line, wrong.Column, wrong.Reason}
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c.Rules = len(file.Rules)
	if file.Seeded {
		c.Seed = &file.Seed
	}
	for i := range file.Rules {
		if kindOf(&file.Rules[i]).Dangerous != "" {
			c.Dangerous = append(c.Dangerous, file.Lines[i])
		}
	}
	return c, nil
}

// read reads a plan that is good by itself, dangerous or not. The error of one that is not
// is a *faults.SyntaxError.
func read(name string) (faults.PlanFile, error) {
	file, err := cli.ReadPlan(name)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = fmt.Errorf("the plan cannot be read: %w", err)
		}
		return file, err
	}
	plan := faults.Plan{Clock: new(initcall.Clock), Dangerous: true, Rules: file.Rules}
	var bad *faults.PlanError
	if err := plan.Validate(); errors.As(err, &bad) {
		return file, &faults.SyntaxError{File: name, Line: file.Lines[bad.Index], Column: 1, Reason: bad.Reason}
	}
	return file, nil
}

func (c Checked) String() string {
	if e := c.Error; e != nil {
		return fmt.Sprintf("%s:%d:%d: %s", c.File, e.Line, e.Column, e.Reason)
	}
	text := c.File + ": " + cli.Plural(c.Rules, "rule", "rules")
	if c.Seed != nil {
		text += fmt.Sprintf(", seed %d", *c.Seed)
	}
	for i, line := range c.Dangerous {
		if i == 0 {
			text += "; --dangerous is needed for line "
		} else {
			text += ", "
		}
		text += fmt.Sprint(line)
	}
	return text
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/ima/verify"
)

const matrixHelp = `Usage: swtpmd matrix [flags]

Boots every platform with every strategy, once in peace and once with the attack
that is made for the strategy, and shows what each leaves.

  --platform=P           only this platform; may be repeated
  --strategy=S           only this strategy; may be repeated
  --kernel=RELEASE, --policy=TEXT, --seed=N, and the flags of a deferral:
                         as swtpmd boot --help has them
  --json                 one JSON object a cell

Columns: records kept (in the list), of them not extended; uses of files lost
before IMA started, and denied; the boot aggregate's name and value; what the
built-in appraisal policies say of the list (+ accept, ? cannot tell, - reject)
where the service knows the kernel's build; the attack, and who sees it.

Examples:
  swtpmd matrix
  swtpmd matrix --platform=powervm --json | jq -r .peaceful.boot.summary.lost

Exit codes: 0 every boot came to its end; 1 one did not; 2 usage.
`

// attackOn is the scenario that is made for a strategy (ima/boot: Attack).
var attackOn = map[boot.Strategy]boot.Attack{
	boot.Late: boot.Unlink, boot.LateSync: boot.Filter, boot.Retry: boot.Rename, boot.Kconfig: boot.Rename,
	boot.Dual: boot.Unlink, boot.Queue: boot.Dequeue, boot.Deny: boot.Filter, boot.Notifier: boot.Filter,
}

// cell is a platform booted with a strategy.
type cell struct {
	Platform string        `json:"platform"`
	Strategy boot.Strategy `json:"strategy"`
	// Peaceful is the boot, Attacked the same under the attack made for the
	// strategy.
	Peaceful *outcome    `json:"peaceful"`
	Attack   boot.Attack `json:"attack"`
	Attacked *outcome    `json:"attacked"`
}

// matrixWords is the command line of swtpmd matrix.
type matrixWords struct {
	bootWords
	platforms  []string
	strategies []boot.Strategy
}

func (w *matrixWords) define(f *flag.FlagSet) {
	f.Func("platform", "", func(name string) error { w.platforms = append(w.platforms, name); return nil })
	f.Func("strategy", "", func(name string) error {
		var s boot.Strategy
		err := s.UnmarshalText([]byte(name))
		w.strategies = append(w.strategies, s)
		return err
	})
	f.StringVar(&w.kernel, "kernel", "", "")
	f.StringVar(&w.policy, "policy", "", "")
	f.Uint64Var(&w.seed, "seed", 1, "")
	f.BoolVar(&w.json, "json", false, "")
	w.deferral.define(f)
}

func runMatrix(ctx context.Context, args []string, s streams) error {
	f := flag.NewFlagSet("swtpmd matrix", flag.ContinueOnError)
	var w matrixWords
	w.define(f)
	if err := parse(f, args, s, matrixHelp); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return &usageError{fmt.Errorf("unexpected argument %q", f.Arg(0)), "see swtpmd matrix --help"}
	}
	cells, err := w.boot(ctx)
	if err != nil {
		return err
	}
	if w.json {
		encoder := json.NewEncoder(s.out)
		for _, c := range cells {
			if err := encoder.Encode(c); err != nil {
				return err
			}
		}
		return nil
	}
	return printMatrix(s.out, cells)
}

// boot fills the matrix, platform by platform.
func (w *matrixWords) boot(ctx context.Context) ([]*cell, error) {
	if len(w.platforms) == 0 {
		w.platforms = boot.Platforms()
	}
	if len(w.strategies) == 0 {
		w.strategies = boot.Strategies()
	}
	var cells []*cell
	for _, w.platformName = range w.platforms {
		for _, w.strategy = range w.strategies {
			if err := w.prepare(); err != nil {
				return nil, err
			}
			c, err := w.cell(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", w.platformName, w.strategy, err)
			}
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		return nil, errors.New("no platform to boot")
	}
	return cells, nil
}

func (w *matrixWords) cell(ctx context.Context) (*cell, error) {
	c := &cell{Platform: w.platform.Name, Strategy: w.strategy, Attack: attackOn[w.strategy]}
	peaceful := w.simulation
	var err error
	if c.Peaceful, err = peaceful.run(ctx); err != nil {
		return nil, err
	}
	attacked := w.simulation
	attacked.attack = c.Attack
	c.Attacked, err = attacked.run(ctx)
	return c, err
}

// marks are the outcomes of the policies, one sign each.
func (o *outcome) marks() string {
	signs := map[verify.Outcome]string{verify.Accept: "+", verify.CannotTell: "?", verify.Reject: "-"}
	var text strings.Builder
	for i := range o.Appraisals {
		text.WriteString(signs[o.Appraisals[i].Outcome])
	}
	return text.String()
}

// aggregates names the boot aggregates and begins their values.
func (o *outcome) aggregates() string {
	var all []string
	for _, a := range o.Result.Summary.Aggregates {
		value := "0"
		if !a.Zero {
			value = a.Digest.Sum.String()[:8]
		}
		all = append(all, strings.TrimPrefix(a.Name, "boot_")+"="+value)
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, " ")
}

// attackWord says what became of the attack: it never ran, a record shows it,
// or nothing does, and then what the policies say.
func (c *cell) attackWord() string {
	outcome := &c.Attacked.Result.Summary.Attack
	switch {
	case !outcome.Ran:
		return c.Attack.String() + ": prevented"
	case !outcome.Unseen():
		return c.Attack.String() + ": recorded"
	default:
		return c.Attack.String() + ": unseen " + c.Attacked.marks()
	}
}

func printMatrix(out io.Writer, cells []*cell) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	var policies []string
	for _, a := range cells[0].Peaceful.Appraisals {
		policies = append(policies, a.Policy)
	}
	fmt.Fprintln(w, "platform\tstrategy\tkept\tunext\tlost\tdenied\tIMA\taggregate\tpolicies\tattack")
	last := ""
	for _, c := range cells {
		s := &c.Peaceful.Result.Summary
		state := "TPM"
		switch {
		case s.Panic != "":
			state = "panic"
		case !s.Started:
			state = "never"
		case s.Bypass:
			state = "bypass"
		}
		name := c.Platform
		if name == last {
			name = ""
		}
		last = c.Platform
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", name, c.Strategy,
			s.Kept, s.Unextended, s.Lost, s.Denied, state, c.Peaceful.aggregates(), c.Peaceful.marks(), c.attackWord())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\npolicies: %s; + accept, ? cannot tell, - reject\n", strings.Join(policies, ", "))
	return err
}

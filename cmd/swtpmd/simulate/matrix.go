package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/ima/boot/draw"
)

const matrixHelp = `Usage: swtpmd matrix [flags]

Boots every platform with every strategy, once in peace and once with the attack
that is made for the strategy, and shows what each leaves.

  --platform=P           only this platform; may be repeated
  --strategy=S           only this strategy; may be repeated
  --kernel=RELEASE, --policy=TEXT, --seed=N, --profile=P, --fault=RULE, --plan=FILE,
  --fault-seed=N, --dangerous, and the flags of a deferral:
                         as swtpmd boot --help has them
  --html=FILE            one self-contained page with the picture of every boot
  --json                 one JSON object a cell

A cell has the records kept (in the list), those of them not extended, the uses
of files lost before IMA started, or denied; the boot aggregate's name and value;
what the built-in appraisal policies say of the list where the service knows the
kernel's build; the attack, and whom it deceives. ~ marks a race between IMA and the TPM that may
end in the other way, * a kernel that does not have the strategy. The boot aggregate of powervm is
a real machine's, whose PCRs are not known: no policy can accept it.

Examples:
  swtpmd matrix --html=matrix.html
  swtpmd matrix --platform=powervm --json | jq -r .peaceful.boot.summary.lost

Exit codes: 0 every boot came to its end; 1 one did not; 2 usage.
`

// attackOn is the scenario that is made for a strategy (ima/boot: Attack).
var attackOn = map[boot.Strategy]boot.Attack{
	boot.Late: boot.Unlink, boot.LateSync: boot.Filter, boot.Retry: boot.Rename, boot.Kconfig: boot.Rename,
	boot.Dual: boot.Unlink, boot.Queue: boot.Dequeue, boot.Deny: boot.Filter, boot.Notifier: boot.Filter,
}

// Cell is a platform booted with a strategy.
type Cell struct {
	Platform string        `json:"platform"`
	Strategy boot.Strategy `json:"strategy"`
	// Peaceful is the boot, Attacked the same under the attack made for the
	// strategy.
	Peaceful *Outcome    `json:"peaceful"`
	Attack   boot.Attack `json:"attack"`
	Attacked *Outcome    `json:"attacked"`
}

// matrixWords is the command line of swtpmd matrix.
type matrixWords struct {
	bootWords
	platforms  []string
	strategies []boot.Strategy
	html       string
}

func (w *matrixWords) define(f *flag.FlagSet) {
	w.selfTests = new(crypt.SelfTests)
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
	w.profile.Define(f)
	f.StringVar(&w.html, "html", "", "")
	f.BoolVar(&w.json, "json", false, "")
	w.deferral.Define(f)
	w.faults.Define(f)
}

// Matrix is the subcommand matrix.
var Matrix = cli.Command{
	Name: "matrix", Help: matrixHelp,
	New: func(f *flag.FlagSet) cli.Run {
		w := new(matrixWords)
		w.define(f)
		return w.print
	},
}

func (w *matrixWords) print(ctx context.Context, _ []string, s cli.Streams) error {
	cells, err := w.boot(ctx)
	if err != nil {
		return err
	}
	if w.html != "" {
		if err := writePage(w.html, cells); err != nil {
			return err
		}
	}
	if w.json {
		encoder := json.NewEncoder(s.Out)
		for _, c := range cells {
			if err := encoder.Encode(c); err != nil {
				return err
			}
		}
		return nil
	}
	return draw.Table(s.Out, rows(cells)...)
}

// boot fills the matrix, platform by platform.
func (w *matrixWords) boot(ctx context.Context) ([]*Cell, error) {
	if len(w.platforms) == 0 {
		w.platforms = boot.Platforms()
	}
	if len(w.strategies) == 0 {
		w.strategies = boot.Strategies()
	}
	var cells []*Cell
	for _, w.platformName = range w.platforms {
		for _, w.strategy = range w.strategies {
			if err := w.prepare(ctx); err != nil {
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

func (w *matrixWords) cell(ctx context.Context) (*Cell, error) {
	c := &Cell{Platform: w.platform.Name, Strategy: w.strategy, Attack: attackOn[w.strategy]}
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

// rows are the cells as they are drawn, platform by platform.
func rows(cells []*Cell) []draw.Row {
	var all []draw.Row
	for _, c := range cells {
		if len(all) == 0 || all[len(all)-1].Platform != c.Platform {
			all = append(all, draw.Row{Platform: c.Platform, Title: c.Peaceful.Result.Platform.Title})
		}
		row := &all[len(all)-1]
		row.Cells = append(row.Cells, draw.Cell{
			Strategy: c.Strategy,
			Peaceful: draw.Outcome{Boot: c.Peaceful.Result, Appraisals: c.Peaceful.Appraisals, Rules: c.Peaceful.rules},
			Attacked: draw.Outcome{Boot: c.Attacked.Result, Appraisals: c.Attacked.Appraisals, Rules: c.Attacked.rules},
		})
	}
	return all
}

// writePage writes the matrix as a page; a failure leaves no file.
func writePage(name string, cells []*Cell) error {
	var page bytes.Buffer
	if err := draw.Matrix(&page, rows(cells)...); err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	return os.WriteFile(name, page.Bytes(), 0o644)
}

package cli

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// FaultsHelp is the part of a help about the flags of Faults.
const FaultsHelp = `Faults (docs/faults.md):
  --fault=RULE           what a command meets, such as 'PCR_Extend#3: rc=TPM_RC_FAILURE';
                         may be repeated. swtpmd plan explain says what a rule means
  --plan=FILE            rules from a file, one a line; may be repeated. A deferral comes
                         first, then those of --fault, then those of files. @NAME is a plan
                         of the library, which swtpmd plan list lists
  --fault-seed=N         what chance is drawn from (default: that of a plan's file, or a
                         new one, which the log tells)
  --dangerous            admit faults that leave the protocol: clients have crashed
`

// Faults is the flags of a plan of faults. The zero value has no rules.
type Faults struct {
	texts     []string // of --fault
	rules     []faults.Rule
	files     []faults.PlanFile
	seed      uint64
	seeded    bool
	dangerous bool

	plan faults.Plan // of Check
}

// Define defines the flags.
func (w *Faults) Define(f *flag.FlagSet) {
	f.Func("fault", "", w.addRule)
	f.Func("plan", "", w.addFile)
	f.Func("fault-seed", "", w.setSeed)
	f.BoolVar(&w.dangerous, "dangerous", false, "")
}

func (w *Faults) addRule(text string) error {
	rule, err := faults.ParseRule(text)
	if err != nil {
		return err
	}
	w.texts, w.rules = append(w.texts, text), append(w.rules, rule)
	return nil
}

func (w *Faults) addFile(name string) error {
	file, err := ReadPlan(name)
	if err != nil {
		return err
	}
	w.files = append(w.files, file)
	return nil
}

func (w *Faults) setSeed(text string) (err error) {
	if w.seed, err = strconv.ParseUint(text, 0, 64); err != nil {
		return errors.New("a seed is a number of 64 bits")
	}
	w.seeded = true
	return nil
}

// maxPlanFile bounds what is read of a plan's file, in bytes. faults.ParsePlanFile
// refuses less.
const maxPlanFile = 2 << 20

// ReadPlan reads a plan's file, or with @ before its name a plan of the library.
func ReadPlan(name string) (faults.PlanFile, error) {
	if known, ok := strings.CutPrefix(name, "@"); ok {
		plan, err := faults.FindPlan(known)
		if err != nil {
			return faults.PlanFile{}, err
		}
		return plan.File()
	}
	file, err := os.Open(name)
	if err != nil {
		return faults.PlanFile{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPlanFile))
	if err != nil {
		return faults.PlanFile{}, err
	}
	return faults.ParsePlanFile(name, text)
}

// Rules returns the rules of the flags: those of --fault, then those of files.
func (w *Faults) Rules() []faults.Rule {
	rules := slices.Clone(w.rules)
	for _, file := range w.files {
		rules = append(rules, file.Rules...)
	}
	return rules
}

// Given reports whether there is a rule.
func (w *Faults) Given() bool { return len(w.rules) > 0 || len(w.files) > 0 }

// Follow reports whether a rule depends on how far the boot has come.
func (w *Faults) Follow() bool {
	return slices.ContainsFunc(w.Rules(), func(r faults.Rule) bool {
		return r.When.From != initcall.Firmware || r.When.Until != initcall.Firmware
	})
}

// Check makes the plan: the rules of a deferral come first. Its error is a *UsageError.
// Where no seed is given, it is one of files, or what drawn returns.
func (w *Faults) Check(deferral []faults.Rule, drawn func() uint64) error {
	if w.seeded && !w.Given() {
		return Usage(errors.New("--fault-seed without a rule"), "add --fault=RULE or --plan=FILE")
	}
	plan := faults.Plan{
		Clock: new(initcall.Clock), Dangerous: w.dangerous, Seed: w.seed,
		Rules: append(slices.Clip(deferral), w.Rules()...),
	}
	if err := w.together(&plan, len(deferral)); err != nil {
		return err
	}
	if !w.seeded {
		seeded, err := w.fileSeed()
		switch {
		case err != nil:
			return err
		case seeded != nil:
			plan.Seed = seeded.Seed
		default:
			plan.Seed = drawn()
		}
	}
	w.plan = plan
	return nil
}

// Plan returns the plan that Check has made; its clock is to be replaced.
func (w *Faults) Plan() faults.Plan { return w.plan }

// fileSeed returns the file with the seed, nil if none has one.
func (w *Faults) fileSeed() (seeded *faults.PlanFile, err error) {
	for i := range w.files {
		file := &w.files[i]
		switch {
		case !file.Seeded:
		case seeded != nil && seeded.Seed != file.Seed:
			return nil, Usage(fmt.Errorf("%s and %s have different seeds", seeded.Name, file.Name), "add --fault-seed=N")
		default:
			seeded = file
		}
	}
	return seeded, nil
}

// together finds a rule that cannot be among the others. Those of the deferral are first.
func (w *Faults) together(plan *faults.Plan, first int) error {
	err := plan.Validate()
	var bad *faults.PlanError
	if !errors.As(err, &bad) {
		return err
	}
	at := bad.Index - first
	switch {
	case at < 0:
		return Usage(err, "that rule is the deferral of --defer-until")
	case at < len(w.rules):
		return Usage(fmt.Errorf("--fault %q: %s", w.texts[at], bad.Reason), planHint)
	}
	at -= len(w.rules)
	for _, file := range w.files {
		if at < len(file.Rules) {
			return Usage(&faults.SyntaxError{File: file.Name, Line: file.Lines[at], Column: 1, Reason: bad.Reason}, planHint)
		}
		at -= len(file.Rules)
	}
	return Usage(err, planHint)
}

const planHint = "swtpmd plan explain says what each rule means, and docs/faults.md which there are"

// DrawSeed returns a seed that nobody knows before.
func DrawSeed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint64(b[:])
}

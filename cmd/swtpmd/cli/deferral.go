package cli

import (
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// LevelsHelp is the part of a help that lists the levels.
const LevelsHelp = `Levels, in the order in which a boot reaches them:
  firmware kernel early pure core core_sync postcore postcore_sync arch arch_sync
  subsys subsys_sync fs fs_sync rootfs device device_sync late late_sync userspace
`

// Deferral is the flags of a TPM that comes late.
type Deferral struct {
	Until, From initcall.Level
	While       faults.WhileDeferred
	HoldMax     time.Duration
	Boots       int
	flags       *flag.FlagSet // that the fields are bound to
}

// Rules returns the fault rules of the deferral, none if nothing is deferred.
func (d *Deferral) Rules() []faults.Rule {
	if d.Until == initcall.Firmware {
		return nil
	}
	rule := faults.Defer(d.Until, d.While)
	rule.When.From = d.From
	rule.When.Boots = d.Boots
	if d.While == faults.Hold {
		rule.Do = faults.HoldBack{Max: d.HoldMax}
	}
	return []faults.Rule{rule}
}

// Define defines the flags, with their defaults, but not --defer-boots.
func (d *Deferral) Define(f *flag.FlagSet) {
	d.flags = f
	f.TextVar(&d.Until, "defer-until", initcall.Firmware, "")
	f.TextVar(&d.From, "defer-from", initcall.Kernel, "")
	f.TextVar(&d.While, "while-deferred", faults.Fail, "")
	f.DurationVar(&d.HoldMax, "hold-max", faults.DefaultHoldMax, "")
}

// BoundHold is --hold-max unless the command line has it.
func (d *Deferral) BoundHold(longest time.Duration) {
	said := false
	d.flags.Visit(func(f *flag.Flag) { said = said || f.Name == "hold-max" })
	if !said {
		d.HoldMax = longest
	}
}

// Check returns a *UsageError for a deferral that could never be. Followed reports
// whether other rules depend on how far the boot has come.
func (d *Deferral) Check(followed bool) error {
	if err := d.checkUntil(followed); err != nil {
		return err
	}
	switch {
	case d.HoldMax <= 0:
		return Usage(fmt.Errorf("--hold-max %s is not a time to hold a command for", d.HoldMax), "such as 30s")
	case d.Boots < 0:
		return Usage(fmt.Errorf("--defer-boots=%d is no number of boots", d.Boots), "in the first N boots only, or 0 for every boot")
	}
	plan := faults.Plan{Clock: new(initcall.Clock), Rules: d.Rules()}
	if err := plan.Validate(); err != nil {
		return Usage(err, "--defer-from must come before --defer-until; the levels are in swtpmd --help")
	}
	return nil
}

// checkUntil finds words about a deferral that has no end: without
// --defer-until, which says firmware too, they would do nothing.
func (d *Deferral) checkUntil(followed bool) error {
	var about []string
	until := false
	d.flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "defer-until":
			until = true
		case "defer-from", "while-deferred", "hold-max", "defer-boots":
			about = append(about, "--"+f.Name)
		case "marker", "trust-console", "follow-kexec", "levels", "system-map":
			if !followed {
				about = append(about, "--"+f.Name)
			}
		}
	})
	if until || len(about) == 0 {
		return nil
	}
	return Usage(
		fmt.Errorf("nothing is deferred, and %s would do nothing", strings.Join(about, ", ")),
		"add --defer-until=LEVEL")

}

package prediction

import (
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// Cell is one boot.
type Cell struct {
	Machine  string        `json:"machine"`  // the name of a Machine
	Strategy boot.Strategy `json:"strategy"` // of the kernel
	// Async has the kernel probe the TPM asynchronously (driver_async_probe=).
	Async bool `json:"async,omitempty"`
	// Until is the level at which the TPM becomes available, Firmware for one that is
	// on time, and Way how it answers until then. HoldMax bounds Hold, 0 is the
	// default of swtpmd.
	Until   initcall.Level       `json:"until,omitempty"`
	Way     faults.WhileDeferred `json:"way,omitempty"`
	HoldMax time.Duration        `json:"hold_max_ns,omitempty"`
}

// OnTime reports whether nothing delays the cell's TPM but the machine itself.
func (c Cell) OnTime() bool { return c.Until == initcall.Firmware }

// ID names the cell: machine, strategy, how the driver probes, how the TPM answers and
// until when, such as "q35-tis/late/async/hold/late_sync".
func (c Cell) ID() string {
	words := []string{c.Machine, c.Strategy.String(), c.probing()}
	if c.OnTime() {
		return strings.Join(append(words, "on-time"), "/")
	}
	return strings.Join(append(words, c.way(), c.Until.String()), "/")
}

func (c Cell) probing() string {
	if c.Async {
		return "async"
	}
	return "sync"
}

func (c Cell) way() string {
	if c.HoldMax > 0 {
		return c.Way.String() + "-" + c.HoldMax.String()
	}
	return c.Way.String()
}

// Flags returns the flags of swtpmd and of swtpmd boot that make the TPM late.
func (c Cell) Flags() []string {
	if c.OnTime() {
		return nil
	}
	flags := []string{"--defer-until=" + c.Until.String(), "--while-deferred=" + c.Way.String()}
	if c.HoldMax > 0 {
		flags = append(flags, "--hold-max="+c.HoldMax.String())
	}
	return flags
}

// rules are the fault rules that the flags make.
func (c Cell) rules() []faults.Rule {
	if c.OnTime() {
		return nil
	}
	rule := faults.Defer(c.Until, c.Way)
	if c.Way == faults.Hold && c.HoldMax > 0 {
		rule.Do = faults.HoldBack{Max: c.HoldMax}
	}
	return []faults.Rule{rule}
}

// Evidence returns the cell whose console predicts this one: the same machine with a TPM
// that is on time and a driver that probes synchronously, and where there is a kernel
// with another strategy, that one. A cell that is its own evidence is not predicted.
func (c Cell) Evidence(m *Machine) Cell {
	e := Cell{Machine: c.Machine, Strategy: c.Strategy}
	for _, s := range m.Strategies {
		if s != c.Strategy {
			e.Strategy = s
			break
		}
	}
	return e
}

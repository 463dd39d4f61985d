package prediction

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// Machine is a machine of the lab as the campaign boots it.
type Machine struct {
	Name   string
	Title  string
	Board  lab.Board
	Device lab.Device
	// Tree is the name of a device tree of the lab's, which says for what the TPM waits;
	// empty is QEMU's own.
	Tree string
	// Kernel is the architecture and release of kernels that scripts/kernel-lab builds,
	// such as "arm64-6.1"; empty is Debian's kernel. Modules chooses those with modules.
	Kernel  string
	Modules bool
	// Append is more words for the kernel command line.
	Append string
	// Strategies are those of the kernels that the machine has.
	Strategies []boot.Strategy
	// Levels are those at which a TPM becomes available, Sync and Async the ways in
	// which it answers until then, by how the driver probes.
	Levels      []initcall.Level
	Sync, Async []Way
	// Await is how long the guest's init waits for a TPM that has not registered.
	Await time.Duration
}

// KernelName returns the name by which scripts/kernel-lab knows the kernel with a
// strategy, "" for Debian's kernel.
func (m *Machine) KernelName(s boot.Strategy) string {
	if m.Kernel == "" {
		return ""
	}
	name := m.Kernel + "-late"
	if s != boot.Late {
		name += "_sync"
	}
	if m.Modules {
		name += "-modules"
	}
	return name
}

// Way is how a TPM answers while it is deferred.
type Way struct {
	faults.WhileDeferred
	// Max bounds Hold; 0 is the default of swtpmd.
	Max time.Duration
}

// The ways of a driver that probes synchronously and of one that does not. A synchronous
// probe keeps the kernel from the level that would release its command, so a bound ends
// the hold: one below the kernel's limits, and one above some of them.
var (
	answers = []Way{{WhileDeferred: faults.Fail}, {WhileDeferred: faults.Initialize}, {WhileDeferred: faults.Testing}, {WhileDeferred: faults.Retry}}
	held    = append(slices.Clone(answers), Way{faults.Hold, 300 * time.Millisecond}, Way{faults.Hold, 1200 * time.Millisecond})
	async   = append(slices.Clone(answers), Way{WhileDeferred: faults.Hold})
)

const (
	askedAgain = 4 * time.Second  // the driver asks again for 2.54 s
	timedOut   = 13 * time.Second // deferred_probe_timeout is 10 s where there are modules
)

// kernelLab are the strategies of the kernels that scripts/kernel-lab builds.
var kernelLab = []boot.Strategy{boot.Late, boot.Kconfig}

// Machines lists the machines. Nothing but its title delays a machine's TPM.
func Machines() []*Machine {
	every := initcall.Levels()[initcall.Early:]
	last := []initcall.Level{initcall.Device, initcall.DeviceSync, initcall.Late, initcall.LateSync, initcall.Userspace}
	all := []*Machine{
		{
			Name: "q35-tis", Title: "QEMU q35, `tpm-tis`, Debian's x86-64 kernel", Board: lab.Q35, Device: lab.TIS,
			Strategies: []boot.Strategy{boot.Late}, Levels: every, Sync: held, Async: async, Await: askedAgain,
		},
		{
			Name: "q35-crb", Title: "QEMU q35, `tpm-crb`, Debian's x86-64 kernel", Board: lab.Q35, Device: lab.CRB,
			Strategies: []boot.Strategy{boot.Late}, Levels: every, Sync: held, Async: async, Await: askedAgain,
		},
		{
			Name: "q35-minimal", Title: "QEMU q35, `tpm-tis`, a minimal x86-64 kernel", Board: lab.Q35, Device: lab.TIS, Kernel: "x86_64-6.1",
			Strategies: kernelLab, Levels: last, Sync: held, Async: async, Await: askedAgain,
		},
		{
			Name: "virt", Title: "QEMU virt, `tpm-tis-device`, a minimal arm64 kernel", Board: lab.Virt, Device: lab.TISDevice, Kernel: "arm64-6.1",
			Strategies: kernelLab, Levels: every, Sync: held, Async: async, Await: askedAgain,
		},
	}
	for _, tree := range []struct{ name, title string }{
		{"regulator", "with a regulator that is there in time"},
		{"regulator-gpio", "with a regulator that waits for a GPIO controller"},
		{"leds", "that waits for LEDs, whose driver is linked after its own"},
		{"power-domain", "in a power domain without a driver"},
		{"clock", "with a clock without a driver"},
		{"keys", "that waits for keys, whose driver is registered at late"},
		{"regulator-orphan", "with a regulator that never comes"},
	} {
		m := Machine{
			Name: "virt-" + tree.name, Title: "virt, and the TPM is one " + tree.title, Board: lab.Virt, Device: lab.TISDevice, Tree: tree.name,
			Kernel: "arm64-6.1", Strategies: kernelLab, Levels: last, Sync: held[:len(held)-1], Await: askedAgain,
		}
		off, modules := m, m
		off.Name, off.Title, off.Append, off.Levels = m.Name+"-devlink-off", m.Title+"; `fw_devlink=off`", "fw_devlink=off", nil
		modules.Name, modules.Title, modules.Modules, modules.Levels, modules.Await = m.Name+"-modules", m.Title+"; a kernel with modules", true, nil, timedOut
		all = append(all, &m, &off, &modules)
	}
	return all
}

// MachineByName returns the machine of that name.
func MachineByName(name string) (*Machine, error) {
	var known []string
	for _, m := range Machines() {
		if m.Name == name {
			return m, nil
		}
		known = append(known, m.Name)
	}
	return nil, fmt.Errorf("machine %q: it is one of %s", name, strings.Join(known, ", "))
}

// Cells lists the machine's cells: for each strategy the TPM on time, and then late in
// each way until each level.
func (m *Machine) Cells() []Cell {
	var cells []Cell
	for _, s := range m.Strategies {
		cells = append(cells, Cell{Machine: m.Name, Strategy: s})
	}
	for _, s := range m.Strategies {
		for _, async := range []bool{false, true} {
			ways := m.Sync
			if async {
				ways = m.Async
			}
			if async && len(ways) > 0 {
				cells = append(cells, Cell{Machine: m.Name, Strategy: s, Async: true})
			}
			for _, w := range ways {
				for _, level := range m.Levels {
					cells = append(cells, Cell{Machine: m.Name, Strategy: s, Async: async, Until: level, Way: w.WhileDeferred, HoldMax: m.holdMax(w, async, level)})
				}
			}
		}
	}
	return cells
}

// beforeInit bounds a hold that only init would end: the kernel waits for asynchronous
// probes before it executes init (init/main.c: kernel_init, async_synchronize_full).
const beforeInit = 3 * time.Second

func (m *Machine) holdMax(w Way, async bool, until initcall.Level) time.Duration {
	if w.WhileDeferred == faults.Hold && w.Max == 0 && async && until == initcall.Userspace {
		return beforeInit
	}
	return w.Max
}

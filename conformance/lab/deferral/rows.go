// Package deferral has the boots of the lab in which the kernel itself defers the TPM's
// probe: because of what the machine's device tree says, or how the kernel was built. No
// TPM is made late here; swtpmd answers every command at once.
//
// A [Row] is a machine and what must come of it for both levels at which IMA may start. It
// is data. [Row.Simulate] boots it in the simulation of package boot, [Lab.Boot] in QEMU.
package deferral

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
)

// Start is the initcall level at which IMA starts.
type Start string

// The levels.
const (
	Late     Start = "late"
	LateSync Start = "late_sync"
)

// Starts lists the levels.
func Starts() []Start { return []Start{Late, LateSync} }

// Row is a kernel on QEMU's arm64 machine virt, and what must come of its boots.
type Row struct {
	Release string // of the kernel's source, one of Releases
	Tree    string // what is added to the device tree, by lab.Tree; empty for nothing
	Modules bool   // CONFIG_MODULES
	Args    string // more words for the kernel command line

	// Postponed reports that the TPM's probe ends with -EPROBE_DEFER before IMA at late
	// looks for it.
	Postponed bool
	// Binds is the level in which the TPM binds, or Never, and Inside the initcall. A
	// row that is a race may list several levels, separated by "|".
	Binds, Inside string
	// Outcome is what becomes of IMA.
	Outcome map[Start]lab.Word
	// Await is how long a boot waits for a TPM after /init has started, 0 if it does not.
	Await time.Duration
	// Why is the reason, for people.
	Why string
}

// Never is a TPM that does not bind.
const Never = "never"

// Race is an outcome that nothing orders: IMA at late_sync looks while a kernel thread
// probes the TPM.
const Race lab.Word = "race"

// retries is the initcall that tries deferred probes again.
const retries = "deferred_probe_initcall"

func outcome(late, lateSync lab.Word) map[Start]lab.Word {
	return map[Start]lab.Word{Late: late, LateSync: lateSync}
}

// Releases lists the releases of Linux that are booted: the first is the one that the
// trees were written for, the last has CONFIG_IMA_INIT_LATE_SYNC.
func Releases() []string { return []string{"6.1", "7.3"} }

var (
	onTime  = outcome(lab.Measured, lab.Measured)
	between = outcome(lab.Bypass, lab.Measured)
	tooLate = outcome(lab.Bypass, lab.Bypass)
)

// Rows returns the rows, by release. Those without CONFIG_MODULES come first.
func Rows() []Row {
	var rows []Row
	for _, release := range Releases() {
		for _, r := range since61() {
			if release != "6.1" {
				r = since612(r)
			}
			r.Release = release
			rows = append(rows, r)
		}
	}
	return rows
}

// since612 is the row as it is with Linux 6.12 and later.
func since612(r Row) Row {
	switch {
	case r.Tree == "leds":
		r.Postponed, r.Binds, r.Inside, r.Outcome = false, "device", "init_tis", onTime
		r.Why = "the supplier binds before: drivers/leds is linked before drivers/char (drivers/Makefile)"
	case r.Tree == "regulator-gpio" && r.Args == "":
		r.Binds, r.Inside, r.Outcome = "late|late_sync|userspace", "", outcome(lab.Bypass, Race)
		r.Why = "the supplier waits itself, and its retry is asynchronous (drivers/regulator/fixed.c): deferred_probe_initcall does not wait for it"
	}
	return r
}

// since61 returns the rows as they are with Linux 6.1.
func since61() []Row {
	return []Row{
		{Binds: "device", Inside: "init_tis", Outcome: onTime, Why: "nobody has to be waited for"},
		{Tree: "regulator", Binds: "device", Inside: "init_tis", Outcome: onTime, Why: "the supplier binds before, at subsys"},
		{Tree: "regulator-gpio", Postponed: true, Binds: "late", Inside: retries, Outcome: between, Why: "the supplier waits itself; the retry is after init_ima"},
		{Tree: "leds", Postponed: true, Binds: "late", Inside: retries, Outcome: between, Why: "the supplier binds after the TPM's probe"},
		{Tree: "power-domain", Postponed: true, Binds: "late", Inside: retries, Outcome: between, Why: "no driver; without modules the kernel gives up waiting in deferred_probe_initcall"},
		{Tree: "clock", Postponed: true, Binds: "late", Inside: retries, Outcome: between, Why: "likewise"},
		{Tree: "keys", Postponed: true, Binds: "late", Inside: retries, Outcome: between, Why: "the supplier's driver comes at late; the kernel gives up waiting just before"},
		{Tree: "regulator-orphan", Postponed: true, Binds: Never, Outcome: tooLate, Await: 2 * time.Second, Why: "the supplier waits for what has no driver"},
		{Tree: "regulator-gpio", Args: "fw_devlink=off", Binds: "device", Inside: "init_tis", Outcome: onTime, Why: "the driver core does not wait, and the driver does not ask for the supplier"},
		{Tree: "clock", Args: "fw_devlink=off", Binds: "device", Inside: "init_tis", Outcome: onTime, Why: "likewise"},

		{Tree: "regulator-gpio", Modules: true, Postponed: true, Binds: "late", Inside: retries, Outcome: between, Why: "as without modules"},
		{Tree: "power-domain", Modules: true, Postponed: true, Binds: "userspace", Outcome: tooLate, Await: time.Minute, Why: "a module may bring the driver: the kernel waits 10 s"},
		{Tree: "power-domain", Modules: true, Args: "deferred_probe_timeout=1", Postponed: true, Binds: "userspace", Outcome: tooLate, Await: time.Minute, Why: "it waits 1 s"},
		{Tree: "power-domain", Modules: true, Args: "deferred_probe_timeout=0", Postponed: true, Binds: Never, Outcome: tooLate, Await: 2 * time.Second, Why: "it waits for good"},
		{Tree: "keys", Modules: true, Postponed: true, Binds: "late_sync|userspace", Outcome: outcome(lab.Bypass, Race), Why: "the supplier's driver comes at late; a kernel thread probes the TPM then"},
		{Tree: "regulator-orphan", Modules: true, Args: "deferred_probe_timeout=1", Postponed: true, Binds: Never, Outcome: tooLate, Await: 4 * time.Second, Why: "the supplier waits for what has no driver, after the timeout too"},
	}
}

// Name returns what tells a row from others.
func (r Row) Name() string {
	parts := []string{"none"}
	if r.Tree != "" {
		parts[0] = r.Tree
	}
	parts = append(parts, r.Release)
	if r.Modules {
		parts = append(parts, "modules")
	}
	if r.Args != "" {
		parts = append(parts, r.Args)
	}
	return strings.Join(parts, ", ")
}

// Kernel returns the name of the row's kernel for scripts/kernel-lab.
func (r Row) Kernel(start Start) string {
	name := "arm64-" + r.Release + "-" + string(start)
	if r.Modules {
		name += "-modules"
	}
	return name
}

// Observed is what a boot of a row has shown.
type Observed struct {
	Row   string `json:"row"`
	Start Start  `json:"ima_start"`
	// Postponed are the devices whose probes ended with -EPROBE_DEFER before IMA looked,
	// in the order of their first such probes; Suppliers are for whom the TPM waited.
	Postponed []string `json:"postponed"`
	Suppliers []string `json:"suppliers,omitempty"`
	Binds     string   `json:"binds"`
	Inside    string   `json:"inside,omitempty"`
	// Seconds is the kernel's time when the TPM bound, 0 for never.
	Seconds   float64  `json:"bound_s,omitempty"`
	Outcome   lab.Word `json:"verdict"`
	Aggregate string   `json:"boot_aggregate"`
	// Record is the name of the first record.
	Record string `json:"record"`
}

// Mismatch tells in what a boot is not as the row says; it is empty if all is.
func (r Row) Mismatch(o *Observed) string {
	var wrong []string
	differ := func(what string, got, want any) {
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s is %v, not %v", what, got, want))
		}
	}
	waited := false
	for _, device := range o.Postponed {
		waited = waited || device == tpmDevice
	}
	differ("the TPM postponed", waited, r.Postponed)
	if !slices.Contains(strings.Split(r.Binds, "|"), o.Binds) {
		differ("the level of its binding", o.Binds, r.Binds)
	}
	if r.Inside != "" {
		differ("the initcall of its binding", o.Inside, r.Inside)
	}
	if want := r.Outcome[o.Start]; want != Race || o.Outcome != lab.Measured && o.Outcome != lab.Bypass {
		differ("the verdict", o.Outcome, want)
	}
	return strings.Join(wrong, "; ")
}

// tpmDevice is the kernel's name of the board's TPM.
const tpmDevice = "c000000.tpm_tis"

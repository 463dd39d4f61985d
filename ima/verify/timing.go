package verify

import (
	"fmt"

	"github.com/swtpmd/swtpmd/ima"
)

// timingRow says what the name of a boot aggregate shows of when IMA started,
// for one strategy.
type timingRow struct {
	strategy Strategy
	setting  Setting // of CONFIG_IMA_INIT_LATE_SYNC
	// early is the code for boot_aggregate, late that for boot_aggregate_late
	// does, if the build is bound.
	early, late Code
	// pair reports that a boot aggregate of the other name follows the first,
	// always or at times.
	pair pairing
	// does tells what the kernel does, in a sentence that begins with it.
	does string
}

type pairing uint8

const (
	pairNever pairing = iota
	pairSometimes
	pairAlways
)

// timingTable is the design space: which strategy leaves the kernel a choice.
// What it has chosen when it ran, code that got in before IMA started can have
// chosen for it; then the name is a claim, even if the build is bound.
var timingTable = []timingRow{
	{StrategyUnknown, SettingUnknown, TimingUnknown, TimingUnknown, pairNever, "may be any"},
	{StrategyLate, SettingUnknown, OnTimeBound, NameContradicts, pairNever, "starts IMA at late, with a TPM or without one"},
	{StrategyLateSync, SettingUnknown, LateBound, NameContradicts, pairNever, "starts IMA at late_sync"},
	{StrategyRetry, SettingUnknown, OnTimeClaimed, LateClaimed, pairNever, "starts IMA at late if it finds a TPM there, otherwise at late_sync"},
	{StrategyKconfig, SettingUnknown, OnTimeClaimed, LateClaimed, pairNever, "starts IMA where CONFIG_IMA_INIT_LATE_SYNC says, which is not known"},
	{StrategyKconfig, SettingOff, OnTimeBound, NameContradicts, pairNever, "starts IMA at late, as CONFIG_IMA_INIT_LATE_SYNC is off"},
	{StrategyKconfig, SettingOn, NameContradicts, LateBound, pairNever, "starts IMA at late_sync, as CONFIG_IMA_INIT_LATE_SYNC is on"},
	{StrategyDual, SettingUnknown, NameContradicts, NameContradicts, pairAlways, "starts IMA at late and records a second boot aggregate at late_sync"},
	{StrategyQueue, SettingUnknown, GapUnproven, GapUnproven, pairSometimes, "keeps records in memory until it has a TPM, at late_sync at the latest"},
	{StrategyDeny, SettingUnknown, DeniedBound, NameContradicts, pairNever, "denies access to measured files until it has a TPM"},
	{StrategyNotifier, SettingUnknown, TimingUnknown, LateClaimed, pairNever, "starts IMA when a TPM registers, whenever that is"},
}

func (b *Build) timing() *timingRow {
	for i := range timingTable {
		if row := &timingTable[i]; row.strategy == b.strategy() && row.setting == b.InitLateSync {
			return row
		}
	}
	return &timingTable[0]
}

// hearsay says what is left of a code that holds only for a bound build if the
// build is not bound.
var hearsay = map[Code]Code{
	OnTimeBound: OnTimeClaimed,
	DeniedBound: OnTimeClaimed,
	LateBound:   LateClaimed,
}

// concludeTiming says what is known of when IMA started.
func (r *run) concludeTiming() {
	if r.verdict.Records > 0 {
		r.add(BeforeStartUnknown, "Nothing is known of files used before IMA started; its hooks record nothing until then.")
	}
	bound := r.concludeBuild()
	vouched := r.vouched()
	if len(vouched) == 0 {
		return
	}
	row := r.evidence.Build.timing()
	if r.concludeKernelHasName(&vouched[0], row) {
		return
	}
	if !r.beginsAtBoot() {
		r.concludeKexec(&vouched[len(vouched)-1], row)
		return
	}
	// The build is that of the first kernel. What follows its one boot
	// aggregate, or its two, is of kernels that kexec has started.
	rest := vouched[1:]
	gap := row.pair != pairNever && len(rest) > 0 && vouched[0].Name == ima.BootAggregateName && rest[0].Name == ima.BootAggregateLateName
	if gap {
		r.concludeGap(&vouched[0], &rest[0], row)
		rest = rest[1:]
	}
	kexec := len(rest) > 0 || r.aggregates.count > aggregatesMax
	switch {
	case !kexec && !gap, !gap && row.code(&vouched[0]) == NameContradicts:
		r.concludeName(&vouched[0], row, bound)
	case kexec:
		r.concludeKexec(&vouched[len(vouched)-1], row)
	}
}

// concludeBuild reports whether the measured boot shows the build.
func (r *run) concludeBuild() (bound bool) {
	b := &r.evidence.Build
	switch {
	case b.strategy() == StrategyUnknown && !b.Bound && len(b.Measured) == 0:
		return false
	case !b.Bound && len(b.Measured) == 0:
		r.add(BuildUnbound, "Nothing shows that the build named is the one that ran.")
	case r.has(FirmwareUnmeasured):
		r.add(BuildUnbound, "The build is said to be bound by the measured boot, but the firmware measured nothing.")
	case len(b.Measured) > 0:
		if m, why := r.unmeasured(); why != "" {
			r.add(BuildUnbound, "Nothing shows that the build ran whose measurement in PCR %d of bank %s is %s: %s.", m.PCR, m.Bank, m.Digest, why)
			return false
		}
		r.add(BuildBound, "The event log gives the values of the PCRs and has what this build measures, so it is the one that ran.")
		return true
	default:
		r.add(BuildBound, "The measured boot shows this build to have run, as who gave the evidence says.")
		return true
	}
	return false
}

// concludeKernelHasName reports a name that the kernel's release does not have.
func (r *run) concludeKernelHasName(g *Aggregate, row *timingRow) bool {
	k := &r.evidence.Build.Kernel
	if row.strategy != StrategyUnknown || k.Release == "" || k.InitLateSync || g.Name != ima.BootAggregateLateName {
		return false
	}
	r.add(NameContradicts, "Kernel %s does not record %s.", k.Release, g.Name).at(g.Record)
	return true
}

// code returns the code that the name of a boot aggregate stands for if the build is bound.
func (row *timingRow) code(g *Aggregate) Code {
	if g.Name == ima.BootAggregateLateName {
		return row.late
	}
	return row.early
}

// concludeName says what the name of a single boot aggregate shows.
func (r *run) concludeName(g *Aggregate, row *timingRow, bound bool) {
	code := row.code(g)
	if claim, ok := hearsay[code]; ok && !bound {
		r.add(claim, "A build that %s records %s, but nothing shows that such a one ran: that IMA %s is a claim.", row.does, g.Name, claims[claim]).at(g.Record)
		return
	}
	if g.Zero && (code == OnTimeBound || code == DeniedBound) {
		return // there was no TPM in time, and other findings say so
	}
	text := ""
	switch code {
	case TimingUnknown:
		if row.strategy != StrategyUnknown {
			text = fmt.Sprintf("The name %s says nothing of when IMA started, as the build %s.", g.Name, row.does)
			break
		}
		text = fmt.Sprintf("The name %s says nothing of when IMA started, as nothing is known of the kernel's build: kernels that choose the name when they run exist.", g.Name)
	case OnTimeBound:
		text = "The build " + row.does + ", and had one. What its policy covers has been recorded since then."
	case DeniedBound:
		text = "The build " + row.does + ". What its policy covers was recorded before it was used, or not used."
	case LateBound:
		text = "The build " + row.does + ". So IMA started late by construction: files that the kernel's usermode helpers used between late and late_sync are unknown, and whether the TPM was late is too."
	case OnTimeClaimed, LateClaimed:
		text = claimText(g, code, fmt.Sprintf("a kernel that %s chooses the name when it runs, after a window in which nothing was measured, and code that got in there can have chosen for it", row.does))
	case GapUnproven:
		text = fmt.Sprintf("A kernel that %s extends what it has kept after this boot aggregate, and nothing shows which records these are: until then they were memory that who was in it could change. It is shown that the list was not changed after the extends, and no more.", row.does)
	case NameContradicts:
		text = fmt.Sprintf("The build %s, so it does not record %s alone: another kernel ran, the record is made up, or what is said of the build is wrong.", row.does, g.Name)
	}
	r.add(code, "%s", text).at(g.Record)
}

// concludeKexec says what the name of a boot aggregate shows that a kernel has
// recorded which kexec has started.
func (r *run) concludeKexec(g *Aggregate, row *timingRow) {
	code := OnTimeClaimed
	switch {
	case row.strategy == StrategyUnknown:
		r.concludeName(g, row, false)
		return
	case g.Name == ima.BootAggregateLateName:
		code = LateClaimed
	}
	r.add(code, "%s", claimText(g, code, "the measured boot shows the first kernel, not one that kexec has started")).at(g.Record)
}

func claimText(g *Aggregate, code Code, why string) string {
	return fmt.Sprintf("The kernel says by the name %s that IMA %s. It is a claim: %s.", g.Name, claims[code], why)
}

// claims are what is claimed.
var claims = map[Code]string{
	OnTimeClaimed: "did not start late",
	LateClaimed:   "started late, so that files used before are unknown",
}

// concludeGap says what the records before a second boot aggregate are worth.
func (r *run) concludeGap(first, second *Aggregate, row *timingRow) {
	n := second.Record - first.Record - 1
	text := fmt.Sprintf("A kernel that %s recorded both; what lies between are %d records. Nothing shows that they were extended when they were recorded; until then they were memory that who was in it could change, so they may be incomplete.", row.does, n)
	f := r.add(GapUnproven, "%s", text)
	f.Count = n
	for number := first.Record + 1; number < second.Record && len(f.Records) < MaxRecords; number++ {
		f.Records = append(f.Records, number)
	}
}

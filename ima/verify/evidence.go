package verify

import (
	"fmt"
	"maps"
	"slices"

	"github.com/swtpmd/swtpmd/ima"
)

// Evidence is the evidence that a machine sent, and what is known of it. Only List has to be
// there; what is missing is a finding.
type Evidence struct {
	// List is read once, to its end: a BinaryReader or ASCIIReader over a
	// file of any length, or what ima.Open gives.
	List ima.RecordReader
	// PCRs are PCR values. Those of a quote belong here too: a quote itself
	// has only their digest.
	PCRs ima.PCRs
	// Start are the values of PCRs before the first record of a list whose
	// beginning is missing, as whoever has verified that beginning keeps
	// them; nil for a list that begins at a boot.
	Start ima.PCRs
	// Vouched reports that the caller has read PCRs from the TPM by itself, in
	// a way the machine's software could not change, so that no quote is
	// needed. A test that holds the TPM in its hands may say so.
	Vouched bool
	// Quote is a quote of PCRs; nil if there is none.
	Quote *Quote
	// EventLog is the firmware's event log; nil if there is none.
	EventLog []byte
	// Build has the facts known of the kernel.
	Build Build
}

// Strategy is how a kernel decides when IMA starts and under which name it
// records the boot aggregate. The words are those of the discussion on the
// linux-integrity list in 2026.
type Strategy string

const (
	// StrategyUnknown stands for a kernel of which nothing is known.
	StrategyUnknown Strategy = ""
	// StrategyLate starts IMA as late_initcall, with a TPM or without one:
	// mainline up to 7.2.
	StrategyLate Strategy = "late"
	// StrategyLateSync starts it as late_initcall_sync, and keeps the name
	// boot_aggregate.
	StrategyLateSync Strategy = "late_sync"
	// StrategyRetry starts it at late if there is a TPM by then, otherwise
	// at late_sync, and chooses the name accordingly when it runs.
	StrategyRetry Strategy = "retry"
	// StrategyKconfig starts it where CONFIG_IMA_INIT_LATE_SYNC says, which
	// also gives the name: mainline since 7.3.
	StrategyKconfig Strategy = "kconfig"
	// StrategyDual starts it at late and records a second boot aggregate,
	// boot_aggregate_late, at late_sync.
	StrategyDual Strategy = "dual"
	// StrategyQueue keeps records in memory until there is a TPM, at
	// late_sync at the latest, and extends them then.
	StrategyQueue Strategy = "queue"
	// StrategyDeny denies access to files that the policy measures until
	// there is a TPM, to everybody. A kernel that lets somebody through, such
	// as who loads a TPM's driver, is none of these.
	StrategyDeny Strategy = "deny"
	// StrategyNotifier starts IMA when a TPM registers.
	StrategyNotifier Strategy = "notifier"
)

// Strategies lists the strategies in the order of the discussion.
func Strategies() []Strategy {
	return []Strategy{
		StrategyLate, StrategyLateSync, StrategyRetry, StrategyKconfig,
		StrategyDual, StrategyQueue, StrategyDeny, StrategyNotifier,
	}
}

// Setting is a Kconfig option that may not be known.
type Setting uint8

// The values of a Setting.
const (
	SettingUnknown Setting = iota // nobody has told
	SettingOff                    // not set, or =n
	SettingOn                     // =y
)

var settingNames = [...]string{SettingUnknown: "unknown", SettingOff: "off", SettingOn: "on"}

func (s Setting) String() string {
	if int(s) < len(settingNames) {
		return settingNames[s]
	}
	return fmt.Sprintf("Setting(%d)", uint8(s))
}

// MarshalText returns "unknown", "off" or "on".
func (s Setting) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText gives.
func (s *Setting) UnmarshalText(text []byte) error {
	i := slices.Index(settingNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("no setting %q; there are unknown, off and on", text)
	}
	*s = Setting(i)
	return nil
}

// Kernel has the facts of a kernel's release that verification needs. It has the
// fields of a measure.Kernel of these names.
type Kernel struct {
	// Release names the kernel, such as "6.12".
	Release string
	// InitLateSync reports that the kernel can be built with
	// CONFIG_IMA_INIT_LATE_SYNC.
	InitLateSync bool
	// KexecAtExecute reports that the list for the next kernel is copied when
	// kexec executes, not when it loads.
	KexecAtExecute bool
}

// Build has the facts known of the kernel that made the list. It counts for what
// the measured boot shows: without Bound it is hearsay.
type Build struct {
	// Kernel has the facts of its release; zero if not known.
	Kernel Kernel `json:"kernel,omitzero"`
	// Release is its UTS_RELEASE, such as "7.3.0-1-generic", or a version
	// such as "7.3"; empty if not known. A whole UTS_RELEASE has to be that of
	// the kernel_version record; a version of two numbers, with or without
	// -rcN, stands for all releases that begin with it.
	Release string `json:"release,omitempty"`
	// Strategy is how it decides when IMA starts. An InitLateSync that is
	// known stands for StrategyKconfig, as no other kernel has the option.
	Strategy Strategy `json:"strategy,omitempty"`
	// InitLateSync is CONFIG_IMA_INIT_LATE_SYNC.
	InitLateSync Setting `json:"init_late_sync"`
	// MeasurePCR is CONFIG_IMA_MEASURE_PCR_IDX, 8 to 14; zero stands for 10,
	// which all kernels have that do not let it be chosen. Anybody can extend
	// another PCR with a list of his own.
	MeasurePCR int `json:"measure_pcr,omitempty"`
	// Bound reports that the measured boot shows this build to have run: that
	// the caller has appraised the PCRs of the boot loader and the kernel
	// (4, 8, 9, as the machine uses them).
	Bound bool `json:"bound,omitempty"`
	// Measured are digests that the measured boot extends if it runs this
	// build, as those of the kernel's image. If there are any, Bound is not
	// needed: the event log has to give the values of PCRs that are vouched for, and to
	// have them all, and the boot aggregate has to show that the PCRs had
	// them when IMA started. What else the log has is for the caller to
	// appraise: whoever ran before IMA can have extended these digests too.
	Measured []Measurement `json:"measured,omitempty"`
}

// strategy is Strategy, or what InitLateSync says of it.
func (b *Build) strategy() Strategy {
	if b.Strategy == StrategyUnknown && b.InitLateSync != SettingUnknown {
		return StrategyKconfig
	}
	return b.Strategy
}

// measurePCR is MeasurePCR, or its default.
func (b *Build) measurePCR() int {
	if b.MeasurePCR == 0 {
		return defaultPCR
	}
	return b.MeasurePCR
}

// BuildError says what contradicts itself in a Build.
type BuildError struct {
	Reason string
}

func (e *BuildError) Error() string { return "what is said of the build: " + e.Reason }

func (b *Build) check() error {
	strategy := b.strategy()
	switch {
	case strategy != StrategyUnknown && !slices.Contains(Strategies(), strategy):
		return &BuildError{fmt.Sprintf("no strategy %q; there are %v", strategy, Strategies())}
	case b.measurePCR() < 8 || b.measurePCR() > 14:
		return &BuildError{fmt.Sprintf("PCR %d cannot be CONFIG_IMA_MEASURE_PCR_IDX, which is 8 to 14", b.MeasurePCR)}
	case int(b.InitLateSync) >= len(settingNames):
		return &BuildError{fmt.Sprintf("CONFIG_IMA_INIT_LATE_SYNC is %s", b.InitLateSync)}
	case strategy != StrategyKconfig && b.InitLateSync != SettingUnknown:
		return &BuildError{fmt.Sprintf("CONFIG_IMA_INIT_LATE_SYNC belongs to the strategy %s, not to %s", StrategyKconfig, strategy)}
	case strategy == StrategyKconfig && b.Kernel.Release != "" && !b.Kernel.InitLateSync:
		return &BuildError{fmt.Sprintf("kernel %s does not have CONFIG_IMA_INIT_LATE_SYNC; set InitLateSync in the profile if it was carried back", b.Kernel.Release)}
	}
	for _, m := range b.Measured {
		if m.PCR < 0 || m.PCR > 9 || !m.Bank.Available() || len(m.Digest) != m.Bank.Size() {
			return &BuildError{fmt.Sprintf("measurement %s in PCR %d of bank %s: the measured boot extends digests of a bank into PCR 0 to 9", m.Digest, m.PCR, m.Bank)}
		}
	}
	return nil
}

// InputError says which part of the evidence cannot be read. Err is the reason:
// of the list an ima.ListError with the number of the record.
type InputError struct {
	Part Part
	Err  error
}

func (e *InputError) Error() string { return fmt.Sprintf("%s: %v", e.Part, e.Err) }

func (e *InputError) Unwrap() error { return e.Err }

// PCRValueError says which PCR value is none.
type PCRValueError = ima.PCRValueError

// numPCRs is how many PCRs a TPM has (TCG PC Client Platform TPM Profile 1.05,
// section "PCR Requirements").
const numPCRs = 24

func checkPCRs(pcrs ima.PCRs) error {
	for _, bank := range sortedKeys(pcrs) {
		if bank.Size() < ima.SHA1.Size() {
			return fmt.Errorf("a TPM has no bank %s", bank)
		}
		for pcr := range pcrs[bank] {
			if size := len(pcrs[bank][pcr]); pcr < 0 || pcr >= numPCRs || size != bank.Size() {
				return &PCRValueError{Bank: bank, PCR: pcr, Size: size}
			}
		}
	}
	return nil
}

// sortedKeys returns the banks in the order of the kernel's hashes.
func sortedKeys[T any](banks map[ima.HashAlgo]T) []ima.HashAlgo {
	return slices.Sorted(maps.Keys(banks))
}

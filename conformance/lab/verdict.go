package lab

import (
	"fmt"
	"strconv"
	"time"

	"github.com/swtpmd/swtpmd/ima"
)

// Word is a verdict in one word.
type Word string

// The words.
const (
	// Measured: the boot aggregate is that of the TPM's PCR 0-9 and PCR 10
	// holds the list in every bank.
	Measured Word = "measured"
	// Bypass: the kernel logged that IMA found no TPM, and PCR 10 was not extended.
	Bypass Word = "bypass"
	// Contradiction: the kernel logged that IMA found no TPM, and PCR 10 was
	// extended.
	Contradiction Word = "contradiction"
	// NoSuitableBank: IMA found a TPM without a bank that it could use; its
	// boot aggregate is zero.
	NoSuitableBank Word = "no-suitable-bank"
	// AggregateMismatch: the boot aggregate is not that of PCR 0-9.
	AggregateMismatch Word = "aggregate-mismatch"
	// PCRMismatch: PCR 10 does not hold the list.
	PCRMismatch Word = "pcr-mismatch"
	// Unverified: IMA measured, and no PCRs could be read to compare with.
	Unverified Word = "unverified"
	// NoIMA: the kernel has no measurement list.
	NoIMA Word = "no-ima"
)

// Schema names the JSON form of Verdict. It changes when a field changes its
// meaning or goes away.
const Schema = "swtpmd-qemu-boot/1"

// Verdict is the result of a run.
type Verdict struct {
	Schema      string        `json:"schema"`
	Board       Board         `json:"board"`
	Firmware    Firmware      `json:"firmware"`
	Device      Device        `json:"device"`
	Accel       Accel         `json:"accel"`
	CommandLine string        `json:"command_line"` // the kernel's
	TPM         []string      `json:"tpm"`          // program and arguments
	Boots       []BootVerdict `json:"boots"`
	Took        Seconds       `json:"took_s"` // QEMU's life
}

// Last is the last boot's verdict.
func (v *Verdict) Last() *BootVerdict { return &v.Boots[len(v.Boots)-1] }

// BootVerdict is the result of one boot.
type BootVerdict struct {
	Boot     int    `json:"boot"` // from 1
	Word     Word   `json:"verdict"`
	Sentence string `json:"sentence"`
	Kernel   string `json:"kernel"`

	Release *Release      `json:"tpm_release,omitempty"` // nil: no deferral in this boot, or unknown
	Driver  DriverVerdict `json:"driver"`
	IMA     IMAVerdict    `json:"ima"`

	// Aggregate is nil for a list without a boot aggregate.
	Aggregate *Aggregate `json:"boot_aggregate,omitempty"`
	// List is the ASCII list, line by line.
	List []string `json:"list"`
	// Count and Violations are the kernel's counters.
	Count      int    `json:"runtime_measurements_count"`
	Violations int    `json:"violations"`
	Banks      []Bank `json:"banks"`
	// GuestPCRs and TPMPCRs are all PCRs as the guest's sysfs and the TPM
	// itself show them; null where they could not be read.
	GuestPCRs ima.PCRs `json:"guest_pcrs"`
	TPMPCRs   ima.PCRs `json:"tpm_pcrs"`
	// Refused is the TPM's reason for not reading its PCRs.
	Refused string `json:"tpm_pcrs_refused,omitempty"`
}

// Release is when a deferred TPM became available.
type Release struct {
	Level string  `json:"level"`
	At    Seconds `json:"guest_time_s"` // the kernel's printk time; negative if unknown
	Cause string  `json:"cause"`
	// Decisions counts the outcomes of the commands that the deferral applied to,
	// such as "answered" and "released".
	Decisions map[string]int `json:"decisions"`
}

// Bound is how a TPM was bound to its driver.
type Bound string

// The ways.
const (
	BoundInTime Bound = "in time"   // before IMA looked for it
	BoundLater  Bound = "by itself" // later, without help
	BoundByHand Bound = "by hand"   // when user space bound it
	NeverBound  Bound = "never"
)

// DriverVerdict is the state of the driver.
type DriverVerdict struct {
	Name  string `json:"name,omitempty"` // the kernel's name of the driver that is bound
	Bound Bound  `json:"bound"`
	// At is the printk time of the probe that succeeded.
	At *Seconds `json:"guest_time_s,omitempty"`
	// Level is the level that the kernel had reached when that probe ended, as the TPM
	// has read it on the console; empty if it has not.
	Level string `json:"level,omitempty"`
	// Inside is the initcall that the kernel was executing then, if it is one that the
	// guest reports; empty for another, and after the initcalls.
	Inside string `json:"inside,omitempty"`
	// Postponed are the probes that ended with -EPROBE_DEFER, of the TPM and of others.
	Postponed []PostponedProbe `json:"postponed"`
	// Suppliers are for whom the driver core had the TPM wait. The kernel prints them
	// only with dyndbg="file drivers/base/core.c +p".
	Suppliers []string `json:"suppliers,omitempty"`
	// Failed is the probe that had failed before IMA looked and that the kernel does
	// not retry. Nil: none had, or IMA did not look.
	Failed *FailedProbe `json:"failed_probe,omitempty"`
	// FieldFailure reports that the kernel registered a TPM in field failure mode,
	// which only field upgrade tools can use.
	FieldFailure bool `json:"field_failure_mode"`
	// Version is the TPM's major version as the kernel sees it, Nodes its
	// nodes in /dev.
	Version string   `json:"tpm_version,omitempty"`
	Nodes   []string `json:"nodes"`
	// Deferred are the devices whose probes the driver core has deferred.
	Deferred []string `json:"devices_deferred"`
	Lines    []string `json:"lines"` // the kernel's, about the TPM
}

// PostponedProbe is a probe that the kernel repeats.
type PostponedProbe struct {
	At     Seconds `json:"guest_time_s"`
	Device string  `json:"device"` // the kernel's name
}

// FailedProbe is a probe that ended with an error after which the kernel does not
// retry.
type FailedProbe struct {
	At   Seconds `json:"guest_time_s"`
	Code int     `json:"returned"` // as really_probe prints it
}

// IMAVerdict is what IMA logged.
type IMAVerdict struct {
	LookedAt    *Seconds `json:"looked_at_s,omitempty"`     // printk time of init_ima
	LookedLevel string   `json:"looked_at_level,omitempty"` // the initcall level it ran in
	Bypass      bool     `json:"bypass"`
	Lines       []string `json:"lines"`
}

// Aggregate is the boot aggregate.
type Aggregate struct {
	Algorithm string  `json:"algorithm"`
	Digest    ima.Hex `json:"digest"`
	Zero      bool    `json:"zero"`
	// Expected is the aggregate of PCR 0-9 in the TPM's view, or in the guest's
	// without it; null without both.
	Expected ima.Hex `json:"expected"`
	Match    bool    `json:"match"`
}

// Bank compares PCR 10 of one bank with the list.
type Bank struct {
	Bank ima.HashAlgo `json:"bank"`
	// Replayed is the value after the whole list, with Digests.
	Replayed ima.Hex  `json:"replayed"`
	Digests  string   `json:"digests"`
	Guest    *PCRView `json:"guest,omitempty"` // nil: could not be read
	TPM      *PCRView `json:"tpm,omitempty"`
}

// PCRView is PCR 10 as the guest or the TPM reports it.
type PCRView struct {
	Value ima.Hex `json:"value"`
	Zero  bool    `json:"zero"`
	// Match reports that it holds the whole list.
	Match bool `json:"match"`
}

// Seconds is a time; JSON shows it as a number of seconds.
type Seconds time.Duration

// MarshalJSON returns seconds to the microsecond, as printk prints them.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', 6, 64), nil
}

// String returns seconds to the hundredth.
func (s Seconds) String() string {
	return fmt.Sprintf("%.2f s", time.Duration(s).Seconds())
}

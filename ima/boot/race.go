package boot

import (
	"math/rand/v2"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// RaceWindow is how far apart real kernels were seen to come out of the same
// race between pid 1 and asynchronous work: an unmodified x86-64 kernel whose
// TPM was probed asynchronously and released between two initcalls of late came
// out differently by 20 to 200 ms.
const RaceWindow = 200 * time.Millisecond

// Race reports that nothing in the kernel orders IMA's look for a TPM and the
// registration of the TPM, and that less than RaceWindow was between them: a
// real machine may do it the other way round the next time.
type Race struct {
	// Level and LookedAt are when IMA looked.
	Level    initcall.Level `json:"level"`
	LookedAt time.Duration  `json:"looked_at_ns"`
	// Margin is how long before IMA looked the TPM was registered; negative is
	// after.
	Margin time.Duration `json:"margin_ns"`
}

// look is one call of tpm_default_chip that decides how IMA starts.
type look struct {
	at    time.Duration
	level initcall.Level
}

// look is tpm_default_chip for IMA. Where a chip that comes later changes
// nothing any more, it is part of a race.
func (k *kernel) look(t *task) *chip {
	if t.name == "init" {
		k.looks = append(k.looks, look{at: k.sched.now(), level: k.level})
	}
	return k.defaultChip()
}

// unordered returns the first look that nothing orders with what a task does now,
// -1 if pid 1 waits for the task. Looks that pid 1 had done before it started the
// task, or let go the command that the task waited for, came first.
func (k *kernel) unordered(t *task) int {
	if t.name == "async" || t.name == "kworker" && k.core.flushing == 0 {
		return t.looks
	}
	return -1
}

// letGo is called for a task whose command was not answered before: what makes
// a deferred TPM answer is that pid 1 reaches a level.
func (k *kernel) letGo(t *task) { t.looks = max(t.looks, k.levelLooks) }

// race finds the look that was nearest to the registration of the TPM.
func (k *kernel) race() *Race {
	waits := k.config.Strategy == Deny || k.config.Strategy == Notifier && !k.config.Options.Fallback
	if k.raceFrom < 0 || waits {
		return nil // those start with the TPM, whenever it comes
	}
	var nearest *Race
	for _, l := range k.looks[min(k.raceFrom, len(k.looks)):] {
		r := &Race{Level: l.level, LookedAt: l.at, Margin: l.at - k.summary.TPMAt}
		if r.Margin.Abs() < RaceWindow && (nearest == nil || r.Margin.Abs() < nearest.Margin.Abs()) {
			nearest = r
		}
	}
	return nearest
}

// scatter returns the time that a thread waits for a processor where Config says
// that this differs from boot to boot.
func (k *kernel) scatter() time.Duration {
	if k.config.Scatter <= 0 {
		return 0
	}
	if k.scattered == nil {
		k.scattered = rand.New(rand.NewPCG(k.config.Seed, 0x7261636500000000))
	}
	return time.Duration(k.scattered.Int64N(int64(k.config.Scatter) + 1))
}

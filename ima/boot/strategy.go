package boot

import (
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
)

// Strategy is a way to start IMA on a machine whose TPM may come late: the
// remedies that were proposed on the linux-integrity list in 2026, and what
// kernels did before.
type Strategy uint8

// The strategies.
const (
	Late     Strategy = iota // at late, without a TPM into bypass: Linux until 7.2
	LateSync                 // at late_sync only
	Retry                    // at late if there is a chip, otherwise at late_sync under another name
	Kconfig                  // at late_sync, bound by CONFIG_IMA_INIT_LATE_SYNC: Linux since 7.3
	Dual                     // at late, and a second boot aggregate at late_sync
	Queue                    // at late_sync; measurements made before are queued, and extended then
	Deny                     // at late_sync with a TPM; measured accesses before are denied
	Notifier                 // when the TPM registers, not before late
)

var strategyNames = [...]string{
	Late: "late", LateSync: "late_sync", Retry: "retry", Kconfig: "kconfig",
	Dual: "dual", Queue: "queue", Deny: "deny", Notifier: "notifier",
}

// Strategies lists them in the order of the constants.
func Strategies() []Strategy {
	all := make([]Strategy, len(strategyNames))
	for i := range all {
		all[i] = Strategy(i)
	}
	return all
}

func (s Strategy) String() string { return nameOf(strategyNames[:], s, "Strategy") }

// MarshalText returns the strategy's name.
func (s Strategy) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the strategy's name, with an *UnknownNameError.
func (s *Strategy) UnmarshalText(text []byte) (err error) {
	*s, err = parseName[Strategy](strategyNames[:], string(text), "strategy")
	return err
}

// Options are the choices that a strategy leaves open. The zero value is what was proposed
// or posted.
type Options struct {
	// HooksFrom is from when on the hooks of Queue and Deny act. It is Late
	// if zero: hooks do nothing before init_ima has been called, as their
	// policy is not there.
	HooksFrom initcall.Level `json:"hooks_from,omitempty"`
	// ExemptModules makes Deny let through, unmeasured, what userspace does
	// as long as a TPM's driver may still be loaded as a module.
	ExemptModules bool `json:"exempt_modules,omitempty"`
	// KnowsNoTPM makes Deny start without a TPM at late_sync if the machine
	// has none, as firmware tables tell.
	KnowsNoTPM bool `json:"knows_no_tpm,omitempty"`
	// Fallback makes Notifier start without a TPM at late_sync if there is
	// none by then.
	Fallback bool `json:"fallback,omitempty"`
}

// whatIf says what of the strategy the platform's kernel does not have. The
// strategies that were only proposed are in no kernel, and say so by their names.
func (k *kernel) whatIf() string {
	if k.config.Strategy != Kconfig || k.profile.InitLateSync {
		return ""
	}
	return "Linux " + k.platform.Kernel.Profile + " has no CONFIG_IMA_INIT_LATE_SYNC, which came with 7.3; this is how it would boot with the option carried back"
}

// verdict is the answer of a hook to an access while IMA does not measure.
type verdict uint8

const (
	inert  verdict = iota // nothing: the policy flag is zero
	queued                // what it would measure waits
	denied                // what it would measure fails with EACCES
	exempt                // denied, if it were not exempt
)

// strategy says when IMA starts and what a hook does before that.
type strategy interface {
	// late and lateSync are what init_ima does at these levels; has says
	// which of the two initcalls are built.
	has() (late, lateSync bool)
	late(k *kernel, t *task) int
	lateSync(k *kernel, t *task) int
	// before is the answer of a hook as long as IMA has not started.
	before(k *kernel) verdict
	// chipRegistered is called when tpm_default_chip begins to find the
	// chip.
	chipRegistered(k *kernel, t *task)
}

var strategyTypes = [...]func() strategy{
	Late:     func() strategy { return lateStrategy{} },
	LateSync: func() strategy { return lateSyncStrategy{} },
	Retry:    func() strategy { return retryStrategy{} },
	Kconfig:  func() strategy { return kconfigStrategy{} },
	Dual:     func() strategy { return dualStrategy{} },
	Queue:    func() strategy { return &queueStrategy{} },
	Deny:     func() strategy { return denyStrategy{} },
	Notifier: func() strategy { return &notifierStrategy{} },
}

// plain is the part that most strategies have in common: hooks do nothing before IMA has
// started, and nobody listens to the TPM core.
type plain struct{}

func (plain) late(*kernel, *task) int       { return 0 }
func (plain) lateSync(*kernel, *task) int   { return 0 }
func (plain) before(*kernel) verdict        { return inert }
func (plain) chipRegistered(*kernel, *task) {}

// lateStrategy is late_initcall(init_ima).
type lateStrategy struct{ plain }

func (lateStrategy) has() (bool, bool)           { return true, false }
func (lateStrategy) late(k *kernel, t *task) int { return k.startIMA(t, ima.BootAggregateName) }

// lateSyncStrategy is late_initcall_sync(init_ima).
type lateSyncStrategy struct{ plain }

func (lateSyncStrategy) has() (bool, bool) { return false, true }
func (lateSyncStrategy) lateSync(k *kernel, t *task) int {
	return k.startIMA(t, ima.BootAggregateName)
}

// retryStrategy returns -EPROBE_DEFER at late if there is no chip and the kernel
// has TPM drivers, and tries again at late_sync, whatever comes of that.
type retryStrategy struct{ plain }

func (retryStrategy) has() (bool, bool) { return true, true }

func (retryStrategy) late(k *kernel, t *task) int {
	if k.look(t) == nil && !k.platform.Kernel.NoTPM {
		k.logf(t, "ima: TPM not available, will try later")
		return -eprobeDefer
	}
	return k.startIMA(t, ima.BootAggregateName)
}

func (retryStrategy) lateSync(k *kernel, t *task) int {
	if k.ima.started {
		return 0
	}
	return k.startIMA(t, ima.BootAggregateLateName)
}

// kconfigStrategy is a kernel built with CONFIG_IMA_INIT_LATE_SYNC. Without the
// option it is lateStrategy.
type kconfigStrategy struct{ plain }

func (kconfigStrategy) has() (bool, bool) { return false, true }
func (kconfigStrategy) lateSync(k *kernel, t *task) int {
	return k.startIMA(t, ima.BootAggregateLateName)
}

// dualStrategy starts at late, in bypass if need be, and records the boot
// aggregate once more at late_sync. The chip is not looked for again.
type dualStrategy struct{ plain }

func (dualStrategy) has() (bool, bool)           { return true, true }
func (dualStrategy) late(k *kernel, t *task) int { return k.startIMA(t, ima.BootAggregateName) }
func (dualStrategy) lateSync(k *kernel, t *task) int {
	return k.addBootAggregate(t, ima.BootAggregateLateName)
}

// queueStrategy keeps what hooks measure before late_sync in a list of its own.
// At late_sync IMA starts, and the queue is extended and spliced to its list.
type queueStrategy struct {
	plain
	chip bool // there was one at late
}

func (*queueStrategy) has() (bool, bool) { return true, true }

func (s *queueStrategy) late(k *kernel, t *task) int {
	s.chip = k.look(t) != nil
	return 0
}

func (s *queueStrategy) lateSync(k *kernel, t *task) int {
	name := ima.BootAggregateLateName
	if s.chip {
		name = ima.BootAggregateName
	}
	err := k.startIMA(t, name)
	k.flushQueue(t)
	return err
}

func (*queueStrategy) before(k *kernel) verdict {
	if k.hooksAct() {
		return queued
	}
	return inert
}

// denyStrategy starts at late_sync or, if there is no chip yet, when it
// registers. Until then no program gets at what would be measured.
type denyStrategy struct{ plain }

func (denyStrategy) has() (bool, bool) { return true, true }

func (denyStrategy) lateSync(k *kernel, t *task) int {
	if k.defaultChip() != nil || k.config.Options.KnowsNoTPM && !k.hasTPM() {
		return k.startIMA(t, ima.BootAggregateName)
	}
	return -eprobeDefer
}

func (denyStrategy) chipRegistered(k *kernel, t *task) {
	if k.level >= initcall.LateSync && !k.ima.started {
		k.startIMA(t, ima.BootAggregateName)
	}
}

func (denyStrategy) before(k *kernel) verdict {
	switch {
	case !k.hooksAct():
		return inert
	case k.config.Options.ExemptModules && k.level == initcall.Userspace && k.moduleMayBring():
		return exempt
	}
	return denied
}

// notifierStrategy starts when the TPM layer tells that a chip has registered.
// A chip that is there before init_ima's own level, late, starts IMA then.
type notifierStrategy struct {
	plain
	ready bool // init_ima has been called
}

func (*notifierStrategy) has() (bool, bool) { return true, true }

func (s *notifierStrategy) late(k *kernel, t *task) int {
	s.ready = true
	if k.defaultChip() == nil {
		return 0
	}
	return k.startIMA(t, ima.BootAggregateName)
}

func (s *notifierStrategy) lateSync(k *kernel, t *task) int {
	if k.ima.started || !k.config.Options.Fallback {
		return 0
	}
	return k.startIMA(t, ima.BootAggregateName)
}

func (s *notifierStrategy) chipRegistered(k *kernel, t *task) {
	if s.ready && !k.ima.started {
		k.startIMA(t, ima.BootAggregateName)
	}
}

package boot

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// imaState is IMA in the running machine.
type imaState struct {
	*measure.IMA
	lock mutex // a hook that extends must not be overtaken
	// started reports that init_ima has begun, inForce that hooks measure.
	started, inForce bool
	at               time.Duration
	level            initcall.Level
	task             string
	result           int
	// adding reports that the next extend is that of a boot aggregate, extend
	// what became of the last one.
	adding bool
	extend extendResult
	record int
	queue  []*use
	// shadow is an IMA that measures from power-on, into a list of its own
	// that nobody sees: it says what a hook would have measured.
	shadow *measure.IMA
}

type extendResult struct {
	done  bool
	code  int
	banks int
}

// root is who the kernel's helpers and init are.
var root = &measure.Cred{CapSetUID: true, CapSetGID: true}

// newIMA makes the kernel's IMA and its shadow.
func (k *kernel) newIMA() (err error) {
	profile, err := measure.KernelByRelease(k.platform.Kernel.Profile)
	if err != nil {
		return err
	}
	k.profile = profile
	config := k.platform.Kernel.config(profile)
	config.CommandLine = k.commandLine()
	shadow := config
	shadow.DisableHTable = true
	if k.ima.shadow, err = measure.New(shadow); err != nil {
		return err
	}
	// An IMA that cannot start measures nothing, and neither does its shadow.
	_ = k.ima.shadow.Init(func() measure.TPM { return nil })
	pinned, err := k.pinFiles(&config)
	if err != nil {
		return err
	}
	config.Log = func(line string) { k.logf(k.imaTask, "%s", line) }
	config.Audit = k.audit
	k.ima.IMA, err = measure.New(config)
	if pinned {
		k.afterInit = func() { k.logf(k.imaTask, "ima: No architecture policies found") }
	}
	return err
}

// commandLine is the kernel's, with the policy that the caller asked for in
// place of its own.
func (k *kernel) commandLine() string {
	line, policy := k.platform.Kernel.CommandLine, k.config.Policy
	if policy == "" {
		return line
	}
	return dropPolicy(line) + ` ima_policy="` + policy + `"`
}

// startIMA is init_ima; the result is 0 or a negative errno.
func (k *kernel) startIMA(t *task, name string) int {
	s := &k.ima
	if s.started {
		return -ebusy
	}
	if k.attack.forgesName() {
		name = ima.BootAggregateName
	}
	s.started, s.at, s.level, s.task = true, k.sched.now(), k.level, t.name
	return k.withIMA(t, func() int {
		s.adding = true
		err := s.InitAs(name, func() measure.TPM {
			if c := k.look(t); c != nil {
				return imaTPM{c}
			}
			return nil
		})
		if k.afterInit != nil && err == nil {
			k.afterInit()
		}
		s.inForce = err == nil
		s.result = errno(err)
		k.emit(t, Event{Kind: IMAStarted, Name: name, Code: s.result})
		return s.result
	})
}

// addBootAggregate records a second boot aggregate.
func (k *kernel) addBootAggregate(t *task, name string) int {
	if !k.ima.inForce {
		return -einval
	}
	return k.withIMA(t, func() int {
		k.ima.adding = true
		defer func() { k.ima.adding = false }()
		return errno(k.ima.AddBootAggregate(name))
	})
}

// withIMA has f use IMA for a task.
func (k *kernel) withIMA(t *task, f func() int) int {
	k.ima.lock.lock(t)
	defer k.ima.lock.unlock(k.sched)
	k.imaTask = t
	return f()
}

// errno is the kernel's number of an error, negative.
func errno(err error) int {
	var result measure.ErrnoResult
	var no measure.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &result):
		return result.ErrnoResult()
	case errors.As(err, &no):
		return -int(no)
	}
	return -einval
}

// defaultChip is tpm_default_chip.
func (k *kernel) defaultChip() *chip {
	if k.chip != nil && k.chip.registered {
		return k.chip
	}
	return nil
}

// chipRegistered is the end of tpm_chip_register.
func (k *kernel) chipRegistered(t *task, c *chip) {
	k.chip = c
	k.summary.TPMRegistered = true
	k.summary.TPMAt, k.summary.TPMLevel = k.sched.now(), k.level
	k.summary.FieldFailure = c.failed
	k.raceFrom = max(k.unordered(t), c.device.waitedFor())
	registered := Event{Kind: TPMRegistered, Name: "tpm0"}
	if c.failed {
		// tpm_add_char_device makes a tpmrm for a working chip only.
		registered.Text = "in field failure mode, without tpmrm0"
	}
	k.emit(t, registered)
	k.strategy.chipRegistered(k, t)
}

// hasTPM reports whether the machine has one, be its driver there or not.
func (k *kernel) hasTPM() bool {
	return k.config.Device != nil && slices.ContainsFunc(k.core.devices, func(d *device) bool {
		return d.driver != nil && d.driver.Kind.tpm()
	})
}

// moduleMayBring reports whether a TPM's driver, or one that the TPM waits for, is a
// module that has not been loaded.
func (k *kernel) moduleMayBring() bool {
	if k.defaultChip() != nil || !k.hasTPM() {
		return false
	}
	for _, d := range k.core.drivers {
		if d.Module && !d.registered {
			return true
		}
	}
	return false
}

// hooksAct reports whether the level is reached from which hooks of a strategy act
// before IMA has started.
func (k *kernel) hooksAct() bool {
	if k.config.Options.HooksFrom != 0 {
		return k.level >= k.config.Options.HooksFrom
	}
	return k.lateCalled
}

// access is a program's use of a file: the hooks of package ima or, before IMA
// measures, what the strategy does. A use that is denied is EACCES.
func (k *kernel) access(t *task, u *use) int {
	if k.attack.filters(u) {
		return 0
	}
	if k.ima.inForce {
		k.withIMA(t, func() int { u.hooks(k.ima.IMA, u.file.inode); return 0 })
		return 0
	}
	if !k.wouldMeasure(u) {
		return 0
	}
	switch k.strategy.before(k) {
	case queued:
		k.summary.Queued++
		k.ima.queue = append(k.ima.queue, u)
		k.emit(t, Event{Kind: RecordQueued, Name: u.file.path})
	case denied:
		k.summary.Denied++
		k.emit(t, Event{Kind: AccessDenied, Name: u.file.path})
		return -eacces
	default:
		if !u.file.lost {
			u.file.lost = true
			k.summary.Lost++
			k.emit(t, Event{Kind: RecordLost, Name: u.file.path})
		}
	}
	return 0
}

// wouldMeasure asks the shadow, with a file that it has not seen yet.
func (k *kernel) wouldMeasure(u *use) bool {
	key := u.kind
	if known, ok := u.file.measured[key]; ok {
		return known
	}
	before := k.ima.shadow.Count()
	u.hooks(k.ima.shadow, u.file.newInode(k))
	would := k.ima.shadow.Count() > before
	u.file.measured[key] = would
	return would
}

// flushQueue splices the queue: what it has is measured in order, and extended
// if there is a chip.
func (k *kernel) flushQueue(t *task) {
	queue := k.ima.queue
	k.ima.queue = nil
	if !k.ima.inForce {
		return
	}
	for _, u := range queue {
		k.withIMA(t, func() int { u.hooks(k.ima.IMA, u.file.inode); return 0 })
	}
}

// extended is told what became of an extend, before the record's audit message.
func (k *kernel) extended(code, banks int) {
	k.ima.extend = extendResult{done: true, code: code, banks: banks}
}

// audit turns IMA's audit messages into events: one for each record.
func (k *kernel) audit(m measure.AuditMessage) {
	if m.Op != "add_template_measure" || m.Cause != "hash_added" && !strings.HasPrefix(m.Cause, "TPM_error") {
		return
	}
	s := &k.ima
	s.record++
	e := Event{Name: m.Name, Record: s.record, Kind: RecordExtended}
	k.summary.Kept++
	if s.extend.done && s.extend.code == 0 && s.extend.banks > 0 {
		k.summary.Extended++
	} else {
		e.Kind, e.Code = RecordUnextended, s.extend.code
		k.summary.Unextended++
	}
	s.extend, s.adding = extendResult{}, false
	k.emit(k.imaTask, e)
}

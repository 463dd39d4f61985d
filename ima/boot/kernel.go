package boot

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// kernel is a running machine: firmware, kernel and userspace of one boot.
type kernel struct {
	platform *Platform
	profile  measure.Kernel
	config   *Config
	sched    *sched
	args     kernelArgs
	random   *rand.Rand
	strategy strategy
	attack   attackState

	level   initcall.Level
	events  []Event
	summary Summary

	core driverCore
	chip *chip
	// looks are IMA's for a TPM; raceFrom is the first one that nothing orders
	// with the registration of the TPM, -1 without any.
	looks    []look
	raceFrom int
	// levelLooks counts the looks before the present level.
	levelLooks int
	scattered  *rand.Rand

	ima        imaState
	imaTask    *task // the one that IMA works for
	afterInit  func()
	lateCalled bool // init_ima's place in late has been reached

	helpers    map[string]*Helper
	files      map[string]*file
	mounts     map[string]*measure.Superblock
	umhEnabled bool
	unpacking  bool
	unpacked   waitQueue
}

// maxEvents bounds the timeline of a run.
const maxEvents = 2_000_000

func (k *kernel) emit(t *task, e Event) {
	e.At, e.Level = k.sched.now(), k.level
	if t != nil {
		e.Task = t.name
	}
	if len(k.events) == maxEvents {
		if k.sched.err == nil {
			k.sched.err = &LimitError{Limit: "events", At: e.At, Steps: k.sched.steps}
		}
		return
	}
	k.events = append(k.events, e)
}

// vary returns a duration that differs from d by at most the platform's jitter.
func (k *kernel) vary(d time.Duration) time.Duration {
	jitter := k.platform.Kernel.Jitter
	if d <= 0 || jitter == 0 {
		return d
	}
	percent := (2*k.random.Float64() - 1) * float64(jitter) / 100
	return d + time.Duration(percent*float64(d))
}

// reach moves the boot's clock.
func (k *kernel) reach(t *task, level initcall.Level, cause string) {
	k.level, k.levelLooks = level, len(k.looks)
	k.emit(t, Event{Kind: LevelReached})
	if err := k.config.Clock.Advance(level, k.sched.now(), cause); err != nil && k.sched.err == nil {
		k.sched.err = err
	}
	k.sched.poll()
	k.resetBehind(t)
}

// boot is the machine from power-on to userspace: pid 1, as soon as there is
// one.
func (k *kernel) boot(t *task) {
	k.emit(t, Event{Kind: PowerOn})
	t.name = "firmware"
	k.firmware(t)
	t.name = "init"
	k.summary.KernelAt = k.sched.now()
	k.reach(t, initcall.Kernel, "start_kernel")
	t.sleep(k.vary(k.platform.Kernel.Start))
	k.addRoots()
	calls := k.initcalls()
	for level := initcall.Early; level <= initcall.LateSync; level++ {
		k.reach(t, level, "entering initcall level: "+level.String())
		for _, c := range calls {
			if c.Level == level {
				k.doInitcall(t, c)
			}
		}
	}
	k.runInit(t)
}

// initcalls are the platform's, with those of init_ima that the strategy has.
func (k *kernel) initcalls() (calls []*Initcall) {
	late, lateSync := k.strategy.has()
	first := -1
	placed := false
	for i := range k.platform.Initcalls {
		c := &k.platform.Initcalls[i]
		if c.Level == initcall.LateSync && first < 0 {
			first = len(calls)
		}
		switch c.Action {
		case StartIMA:
			if !late {
				// The place stays: hooks may act from here on.
				c = &Initcall{Level: c.Level, Name: "", Action: StartIMA}
			}
		case StartIMALate:
			placed = true
			if !lateSync {
				continue
			}
		}
		calls = append(calls, c)
	}
	if lateSync && !placed {
		if first < 0 {
			first = len(calls)
		}
		calls = slices.Insert(calls, first, &Initcall{Level: initcall.LateSync, Name: "init_ima_sync", Action: StartIMALate})
	}
	return calls
}

// doInitcall follows do_one_initcall.
func (k *kernel) doInitcall(t *task, c *Initcall) {
	if c.Name == "" {
		k.lateCalled = true
		return
	}
	t.sleep(k.vary(c.Before))
	start := k.sched.now()
	k.emit(t, Event{Kind: InitcallCalled, Name: c.Name})
	result := -c.Fail
	for _, name := range c.Register {
		k.registerDriver(t, name)
	}
	for _, name := range c.Helpers {
		// What a self-test or a request makes of a missing module is its
		// own business; the initcall goes on.
		k.callHelper(t, name)
	}
	if c.Async > 0 {
		k.schedule(t, c.Name, func(t *task) { t.sleep(k.vary(c.Async)) })
	}
	switch c.Action {
	case StartIMA:
		// The chip is looked up first of all.
		t.sleep(k.scatter())
		result = k.strategy.late(k, t)
		k.lateCalled = true
	case StartIMALate:
		t.sleep(k.scatter())
		result = k.strategy.lateSync(k, t)
	}
	t.sleep(k.vary(c.Took))
	switch c.Action {
	case DeferredProbe:
		k.deferredProbeInitcall(t)
	case Initramfs:
		k.populateRootFS(t, c.Unpack)
	}
	k.emit(t, Event{Kind: InitcallReturned, Name: c.Name, Code: result, Took: k.sched.now() - start})
}

// runInit follows kernel_init after the initcalls (init/main.c): async probes
// are waited for, deferred ones only before a root file system is mounted.
func (k *kernel) runInit(t *task) {
	k.waitForInitramfs(t)
	u := &k.platform.Userspace
	if u.Disk {
		k.waitForDeviceProbe(t)
	}
	k.asyncSynchronizeFull(t)
	t.sleep(k.vary(u.Took))
	k.reach(t, initcall.Userspace, "Run init as init process")
	k.summary.UserspaceAt = k.sched.now()
	k.sched.horizon = k.sched.now() + k.config.Tail
	name := "/init"
	if i := slices.IndexFunc(u.Accesses, func(a Access) bool { return a.Kind == Exec }); i >= 0 {
		name = u.Accesses[i].Path
	}
	k.emit(t, Event{Kind: UserspaceReached, Name: name})
	for i := range u.Accesses {
		// Each line is a program of its own, but without the first there is
		// no userspace.
		if err := k.program(t, u.Accesses[i:i+1]); err != 0 && u.Accesses[i].Path == name {
			k.summary.Panic = "No working init found."
			k.emit(t, Event{Kind: Panicked, Text: k.summary.Panic})
			return
		}
	}
	k.summary.Userspace = true
}

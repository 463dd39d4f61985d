package boot

import (
	"fmt"
	"slices"
	"time"
)

// The kernel's error numbers that occur here besides ima's.
const (
	enodev      = 19
	eacces      = 13
	eio         = 5
	ebusy       = 16
	einval      = 22
	enodata     = 61
	etime       = 62
	efault      = 14
	etimedout   = 110
	eprobeDefer = 517
)

// device is a device of the running machine.
type device struct {
	*Device
	k        *kernel
	driver   *driver
	parent   *device
	children []*device
	links    []*link // to its suppliers
	needs    []*device
	domains  []*device
	lock     mutex
	added    bool
	bound    bool
	queued   bool // on the pending or active list
	byHand   bool // userspace has asked for the probe
	// loose is the first of IMA's looks that nothing orders with this device's
	// binding, which a deferred probe waited for; -1 if all are ordered.
	loose int
}

// link is a device link that fw_devlink made. A relaxed one delays no probe.
type link struct {
	supplier *device
	relaxed  bool
}

type driver struct {
	*Driver
	devices    []*device
	registered bool
	async      bool // its probes are asynchronous
}

// driverCore is drivers/base: dd.c and what it needs of core.c.
type driverCore struct {
	drivers map[string]*driver
	devices []*device

	// Deferred probing: the lists, driver_deferred_probe_enable,
	// deferred_trigger_count, and the state of deferred_probe_work.
	pending, active []*device
	enabled         bool
	looks           int // IMA's looks for a TPM before it was enabled
	triggers        int
	workQueued      bool
	workRunning     bool
	workIdle        waitQueue
	flushing        int // who waits for it

	initcallsDone bool
	// timeout is driver_deferred_probe_timeout; 0 is none or expired. expiry
	// voids older timers.
	timeout time.Duration
	expiry  int
	waiting bool // the timeout work is scheduled

	fwDevlink bool
	probing   int // probe_count
	probed    waitQueue

	async      int // async_schedule'd work that has not ended
	asyncEnded waitQueue
}

func (k *kernel) newDriverCore() {
	p, core := k.platform, &k.core
	core.fwDevlink = k.args.fwDevlink
	core.timeout = k.args.deferredTimeout
	core.drivers = make(map[string]*driver, len(p.Drivers))
	for i := range p.Drivers {
		d := &p.Drivers[i]
		core.drivers[d.Name] = &driver{Driver: d, async: k.args.probesAsync(d)}
	}
	byName := make(map[string]*device, len(p.Devices))
	for i := range p.Devices {
		d := &device{Device: &p.Devices[i], k: k, driver: core.drivers[p.Devices[i].Driver]}
		byName[d.Name] = d
		core.devices = append(core.devices, d)
		if d.driver != nil {
			d.driver.devices = append(d.driver.devices, d)
		}
	}
	for _, d := range core.devices {
		if d.Parent != "" {
			d.parent = byName[d.Parent]
			d.parent.children = append(d.parent.children, d)
		}
		for _, name := range d.Suppliers {
			d.links = append(d.links, &link{supplier: byName[name]})
		}
		for _, name := range d.Needs {
			d.needs = append(d.needs, byName[name])
		}
		for _, name := range d.Domains {
			d.domains = append(d.domains, byName[name])
		}
	}
}

// addRoots adds the devices without a parent, at the kernel's start or when they
// appear, and has userspace bind those that it binds by hand.
func (k *kernel) addRoots() {
	since := k.sched.now() - k.summary.KernelAt
	for _, d := range k.core.devices {
		d.added = d.parent == nil && d.Appears == 0
		if d.Appears > 0 {
			k.sched.after(max(d.Appears-since, 0), func() {
				k.sched.spawn("kworker", func(t *task) { k.addDevice(t, d) })
			})
		}
		if d.Bind > 0 {
			k.sched.after(max(d.Bind-since, 0), func() {
				k.sched.spawn("sh", func(t *task) { k.bindByHand(t, d) })
			})
		}
	}
}

// bindByHand follows bind_store: a write to the driver's bind file.
func (k *kernel) bindByHand(t *task, dev *device) {
	if dev.added && dev.driver != nil && dev.driver.registered && !dev.bound {
		dev.byHand = true
		k.probeDevice(t, dev)
	}
}

// registerDriver follows driver_register: its devices are probed, asynchronously
// if it likes that, and a timeout of deferred probing starts anew.
func (k *kernel) registerDriver(t *task, name string) {
	d := k.core.drivers[name]
	if d.registered {
		return
	}
	d.registered = true
	k.emit(t, Event{Kind: DriverRegistered, Name: name})
	k.extendTimeout()
	for _, dev := range d.devices {
		if dev.added && !dev.bound {
			k.attach(t, dev)
		}
	}
}

// attach probes a device or has it probed.
func (k *kernel) attach(t *task, dev *device) {
	if dev.driver == nil || !dev.driver.registered {
		return
	}
	if !dev.driver.async {
		k.probeDevice(t, dev)
		return
	}
	k.schedule(t, "probe of "+dev.Name, func(t *task) { k.probeDevice(t, dev) })
}

// schedule follows async_schedule: f runs beside everything else.
func (k *kernel) schedule(by *task, name string, f func(t *task)) {
	k.core.async++
	looks := by.looks
	if by.name == "init" {
		looks = len(k.looks)
	}
	k.sched.spawn("async", func(t *task) {
		t.looks = looks
		start := k.sched.now()
		k.emit(t, Event{Kind: AsyncStarted, Name: name})
		defer func() {
			k.core.async--
			k.core.asyncEnded.wakeAll(k.sched)
		}()
		t.sleep(k.scatter())
		f(t)
		k.emit(t, Event{Kind: AsyncEnded, Name: name, Took: k.sched.now() - start})
	})
}

// asyncSynchronizeFull follows async_synchronize_full.
func (k *kernel) asyncSynchronizeFull(t *task) {
	k.core.asyncEnded.until(t, func() bool { return k.core.async == 0 })
}

// waitForDeviceProbe follows wait_for_device_probe.
func (k *kernel) waitForDeviceProbe(t *task) {
	k.flushDeferred(t)
	k.core.probed.until(t, func() bool { return k.core.probing == 0 })
	k.asyncSynchronizeFull(t)
}

// addDevice follows device_add.
func (k *kernel) addDevice(t *task, dev *device) {
	dev.added = true
	k.emit(t, Event{Kind: DeviceAdded, Name: dev.Name})
	k.attach(t, dev)
}

// probeDevice follows driver_probe_device: a probe that defers puts the device
// on the pending list, and if somebody triggered meanwhile, triggers again.
func (k *kernel) probeDevice(t *task, dev *device) {
	dev.lock.lock(t)
	defer dev.lock.unlock(k.sched)
	if dev.bound {
		return
	}
	core := &k.core
	triggers := core.triggers
	core.probing++
	defer func() {
		core.probing--
		core.probed.wakeAll(k.sched)
	}()
	if !k.reallyProbe(t, dev) {
		return
	}
	if !dev.queued {
		dev.queued = true
		core.pending = append(core.pending, dev)
	}
	if triggers != core.triggers {
		k.triggerDeferred()
	}
}

// reallyProbe follows really_probe and reports whether the device is to be tried
// again.
func (k *kernel) reallyProbe(t *task, dev *device) (deferred bool) {
	start := k.sched.now()
	// Device links are looked at before the driver is called; the error is
	// printed as it is.
	if s := k.missingSupplier(dev); s != nil {
		k.emit(t, Event{Kind: ProbeDeferred, Name: dev.Name, Text: "supplier " + s.Name, Code: -eprobeDefer})
		return true
	}
	k.emit(t, Event{Kind: ProbeStarted, Name: dev.Name, Text: dev.driver.Name})
	why, err := k.callProbe(t, dev)
	took := k.sched.now() - start
	switch err {
	case 0:
		k.bind(t, dev, took)
	case eprobeDefer:
		k.emit(t, Event{Kind: ProbeDeferred, Name: dev.Name, Text: why, Code: eprobeDefer, Took: took})
		return true
	default:
		k.emit(t, Event{Kind: ProbeFailed, Name: dev.Name, Code: -err, Took: took})
		if err != enodev {
			k.logf(t, "%s: probe of %s failed with error %d", dev.driver.Name, dev.Name, -err)
		}
	}
	return false
}

// missingSupplier follows device_links_check_suppliers.
func (k *kernel) missingSupplier(dev *device) *device {
	if !k.core.fwDevlink {
		return nil
	}
	for _, l := range dev.links {
		if !l.supplier.bound && !l.relaxed {
			return l.supplier
		}
	}
	return nil
}

// callProbe is the bus's and the driver's probe; err is a positive errno.
func (k *kernel) callProbe(t *task, dev *device) (why string, err int) {
	for _, s := range dev.domains {
		if s.bound {
			continue
		}
		if err := k.checkState(t, dev); err != 0 {
			return "domain " + s.Name, err
		}
	}
	for _, s := range dev.needs {
		if !s.bound {
			// It has looked and not found; what binds until it returns is
			// what deferred_trigger_count is for.
			t.sleep(k.vary(dev.driver.Took))
			return "its driver needs " + s.Name, eprobeDefer
		}
	}
	if dev.driver.Kind.tpm() {
		return "", k.probeTPM(t, dev)
	}
	t.sleep(k.vary(dev.driver.Took))
	return "", dev.failure()
}

// failure is the errno that the driver's probe fails with whatever it finds, 0
// for none.
func (d *device) failure() int {
	if d.byHand {
		return 0
	}
	return d.driver.Fail
}

// checkState follows driver_deferred_probe_check_state.
func (k *kernel) checkState(t *task, dev *device) int {
	core := &k.core
	switch {
	case core.initcallsDone && k.platform.Kernel.NoModules:
		k.logf(t, "%s %s: ignoring dependency for device, assuming no driver", dev.driver.Name, dev.Name)
		return enodev
	case core.initcallsDone && core.timeout == 0:
		k.logf(t, "%s %s: deferred probe timeout, ignoring dependency", dev.driver.Name, dev.Name)
		return etimedout
	}
	return eprobeDefer
}

// bind follows driver_bound. What is on the device's bus is added before.
func (k *kernel) bind(t *task, dev *device, took time.Duration) {
	for _, child := range dev.children {
		k.addDevice(t, child)
	}
	dev.bound, dev.loose = true, -1
	if k.core.enabled {
		dev.loose = max(k.unordered(t), dev.waitedFor())
	}
	k.unqueue(dev)
	k.emit(t, Event{Kind: ProbeBound, Name: dev.Name, Text: dev.driver.Name, Took: took})
	k.triggerDeferred()
}

// waitedFor is loose for what the device depends on.
func (d *device) waitedFor() int {
	loose := -1
	for _, l := range d.links {
		if l.supplier.bound {
			loose = max(loose, l.supplier.loose)
		}
	}
	for _, other := range slices.Concat(d.needs, d.domains) {
		if other.bound {
			loose = max(loose, other.loose)
		}
	}
	return loose
}

func (k *kernel) unqueue(dev *device) {
	is := func(d *device) bool { return d == dev }
	k.core.pending = slices.DeleteFunc(k.core.pending, is)
	k.core.active = slices.DeleteFunc(k.core.active, is)
	dev.queued = false
}

// triggerDeferred follows driver_deferred_probe_trigger.
func (k *kernel) triggerDeferred() {
	core := &k.core
	if !core.enabled {
		return
	}
	core.triggers++
	core.active = append(core.active, core.pending...)
	core.pending = core.pending[:0]
	core.workQueued = true
	if !core.workRunning {
		core.workRunning = true
		k.sched.spawn("kworker", k.deferredWork)
	}
}

// deferredWork follows deferred_probe_work_func.
func (k *kernel) deferredWork(t *task) {
	core := &k.core
	t.looks = core.looks
	defer func() {
		core.workRunning = false
		core.workIdle.wakeAll(k.sched)
	}()
	if core.flushing == 0 {
		t.sleep(k.scatter())
	}
	for core.workQueued {
		core.workQueued = false
		for len(core.active) > 0 {
			dev := core.active[0]
			core.active = core.active[1:]
			dev.queued = false
			k.emit(t, Event{Kind: DeferredRetry, Name: dev.Name})
			k.attach(t, dev)
		}
	}
}

// flushDeferred follows flush_work(&deferred_probe_work).
func (k *kernel) flushDeferred(t *task) {
	k.core.flushing++
	defer func() { k.core.flushing-- }()
	k.core.workIdle.until(t, func() bool { return !k.core.workRunning })
}

// deferredProbeInitcall follows deferred_probe_initcall.
func (k *kernel) deferredProbeInitcall(t *task) {
	core := &k.core
	core.enabled, core.looks = true, len(k.looks)
	k.triggerDeferred()
	k.flushDeferred(t)
	core.initcallsDone = true
	if k.platform.Kernel.NoModules {
		k.driversDone(t)
	}
	// Once more: suppliers may have gone without notice.
	k.triggerDeferred()
	k.flushDeferred(t)
	if core.timeout > 0 {
		k.scheduleTimeout()
	}
}

func (k *kernel) scheduleTimeout() {
	core := &k.core
	core.waiting = true
	core.expiry++
	mine := core.expiry
	k.sched.after(core.timeout, func() {
		if core.waiting && core.expiry == mine {
			core.waiting = false
			k.sched.spawn("kworker", k.timeoutWork)
		}
	})
}

// extendTimeout follows deferred_probe_extend_timeout.
func (k *kernel) extendTimeout() {
	if k.core.waiting {
		k.scheduleTimeout()
	}
}

// timeoutWork follows deferred_probe_timeout_work_func.
func (k *kernel) timeoutWork(t *task) {
	k.driversDone(t)
	k.core.timeout = 0
	k.triggerDeferred()
	k.flushDeferred(t)
	for _, dev := range k.core.pending {
		k.logf(t, "%s %s: deferred probe pending", dev.busName(), dev.Name)
	}
}

func (d *device) busName() string {
	if d.Bus == "" {
		return "platform"
	}
	return d.Bus
}

// driversDone follows fw_devlink_drivers_done: suppliers without a driver delay
// nobody any more.
func (k *kernel) driversDone(t *task) {
	for _, dev := range k.core.devices {
		for _, l := range dev.links {
			s := l.supplier
			if !s.added || s.bound || l.relaxed || s.driver != nil && s.driver.registered {
				continue
			}
			l.relaxed = true
			k.emit(t, Event{Kind: DependencyRelaxed, Name: dev.Name, Text: s.Name})
		}
	}
}

func (k *kernel) logf(t *task, format string, args ...any) {
	k.emit(t, Event{Kind: LogLine, Text: fmt.Sprintf(format, args...)})
}

package boot

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// platform makes the platform of what the log has told.
func (c *console) platform(supplier supplierKind) *Platform {
	p := &Platform{Name: "from-console", source: "console log", lines: make(map[string]int), Kernel: c.kernel}
	jitter := p.Kernel
	p.setDefaults()
	p.Kernel.Release, p.Kernel.CommandLine = jitter.Release, jitter.CommandLine
	p.Kernel.Jitter = 0
	p.Title = "from the console log of Linux " + p.Kernel.Release
	if profile, err := measure.KernelByRelease(p.Kernel.Release); err == nil {
		p.Kernel.Profile = profile.Release
	} else {
		p.Kernel.Profile = measure.Kernels()[0].Release
	}
	p.Kernel.Start = c.earlyAt()
	ended := p.Kernel.Start
	for i := range c.calls {
		call := &c.calls[i]
		own := Initcall{Level: call.level, Name: call.name, Before: max(call.at-ended, 0), Took: min(call.took, MaxBoot)}
		if call.code < 0 {
			own.Fail = -call.code
		}
		own.Before = min(own.Before, MaxBoot)
		c.action(i, &own)
		ended = max(ended, call.at) + call.took
		p.lines["initcall "+own.Name] = call.line
		p.Initcalls = append(p.Initcalls, own)
	}
	if c.init != "" {
		p.Userspace.Took = min(max(c.initAt-ended, 0), MaxBoot)
	}
	p.Userspace.Disk = c.mountedRoot
	p.Userspace.Accesses = []Access{{Kind: Exec, Path: c.initPath()}}
	c.rootFS(p)
	c.addTPM(p, supplier)
	c.complete(p)
	return p
}

// earlyAt is when the first level was reached: the kernel says so before it calls the
// level's first function.
func (c *console) earlyAt() time.Duration {
	if at, shown := c.levels[initcall.Early]; shown {
		return min(at, c.start)
	}
	return c.start
}

func (c *console) initPath() string {
	if strings.HasPrefix(c.init, "/") && printable(c.init) && !strings.Contains(c.init, `"`) {
		return c.init
	}
	return "/init"
}

// File systems of include/uapi/linux/magic.h.
const (
	tmpfsMagic = 0x01021994
	ext4Magic  = 0xef53
)

// rootFS declares what the initramfs is unpacked into: a tmpfs, which the policy
// tcb spares, unless the command line names a root device or another file system
// (init/do_mounts.c: init_rootfs).
func (c *console) rootFS(p *Platform) {
	for word := range measure.CommandLineWords(c.kernel.CommandLine) {
		name, value, _ := strings.Cut(word, "=")
		if name == "root" || name == "rootfstype" && !slices.Contains(strings.Split(value, ","), "tmpfs") {
			return
		}
	}
	p.FileSystems = append(p.FileSystems, FileSystem{Name: RootFS, Type: "tmpfs", Magic: tmpfsMagic})
}

// action returns the functions that do something their action.
func (c *console) action(i int, call *Initcall) {
	late, lateSync := c.imaCalls()
	switch {
	case call.Name == "populate_rootfs":
		call.Action, call.Fail = Initramfs, 0
		if c.unpacked > c.unpackFrom {
			call.Unpack = min(c.unpacked-c.unpackFrom, MaxBoot)
		}
	case call.Name == "deferred_probe_initcall" && call.Level == initcall.Late:
		call.Action, call.Fail = DeferredProbe, 0
	case i == late:
		call.Action, call.Fail = StartIMA, 0
	case i == lateSync:
		call.Action, call.Fail = StartIMALate, 0
	}
}

// imaCalls are the initcalls that are init_ima's, -1 for none. Since Linux 6.19
// all security modules share them, and only one of two is IMA's.
func (c *console) imaCalls() (late, lateSync int) {
	late, lateSync = c.ima.late, c.ima.lateSync
	if c.ima.started >= 0 && c.ima.started < len(c.calls) {
		switch c.calls[c.ima.started].level {
		case initcall.Late:
			late = c.ima.started
		case initcall.LateSync:
			lateSync = c.ima.started
		}
	}
	return late, lateSync
}

// strategy is how the log's kernel starts IMA. Under which name it records the
// boot aggregate, and whether once more, the list tells, if there is one.
func (c *console) strategy(list *consoleList) Strategy {
	late, lateSync := c.imaCalls()
	started, aggregate := c.ima.started, list.aggregate()
	switch {
	case late >= 0 && c.calls[late].code == -eprobeDefer:
		return Retry
	case started < 0 && lateSync < 0:
		return Late
	case started == late && (list.again() || lateSync >= 0 && strings.HasPrefix(c.calls[lateSync].name, "init_ima")):
		return Dual
	case started == late, started < 0 && late >= 0:
		return Late
	case aggregate == ima.BootAggregateLateName, aggregate == "" && c.kernelSince(7, 3):
		return Kconfig
	}
	return LateSync
}

// kernelSince reports whether the log's kernel is of that version or newer.
func (c *console) kernelSince(major, minor int) bool {
	first, rest, _ := strings.Cut(c.kernel.Release, ".")
	second := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	m, err := strconv.Atoi(first)
	n, err2 := strconv.Atoi(second)
	return err == nil && err2 == nil && (m > major || m == major && n >= minor)
}

// addTPM adds the TPM, if the log has one.
func (c *console) addTPM(p *Platform, supplier supplierKind) {
	s := c.story()
	if s == nil {
		return
	}
	d := Driver{
		Name: s.driver, Kind: s.kind, Async: s.kind.asynchronous(), Latency: c.latency(s), After: s.after, Slow: min(s.slow, MaxBoot),
		FieldFailure: c.tpm.fieldFailure,
	}
	device := Device{Name: s.device, Driver: s.driver}
	if len(s.probes) > 0 {
		c.addProbes(s, &d, &device)
	} else {
		// Its driver was there and the device refused by all others, or the
		// device is disabled.
		d.Fail = enodev
	}
	c.register(p, s, &d, &device)
	c.addSupplier(p, s, &device, supplier)
	p.Drivers = append(p.Drivers, d)
	p.Devices = append(p.Devices, device)
	if p.Firmware.Startup = !c.tpm.selfStarted && s.boundAt() >= 0; p.Firmware.Startup {
		p.Firmware.Measure = []int{0, 1, 2, 3, 4, 5, 6, 7}
	}
}

// latency is a guess at what a command takes: a probe sends about nine, init_ima
// about twenty.
func (c *console) latency(s *tpmStory) time.Duration {
	latency := time.Millisecond
	for _, p := range s.probes {
		if p.code == 0 {
			latency = min(latency, (p.at-p.began)/20)
		}
	}
	if c.ima.started >= 0 && c.ima.started < len(c.calls) {
		latency = min(latency, c.calls[c.ima.started].took/40)
	}
	return max(latency, time.Microsecond)
}

// addProbes takes how the probes ended and how long the last one took.
func (c *console) addProbes(s *tpmStory, d *Driver, device *Device) {
	final := len(s.probes) - 1
	for i, p := range s.probes {
		if !p.deferred() {
			final = i
			break
		}
	}
	p := &s.probes[final]
	d.Took = min(max(p.at-p.began-20*d.Latency, 0), MaxBoot)
	if p.code == 0 {
		if answered, ok := c.answered(s, p); ok {
			d.Rest = min(d.Took, p.at-answered)
			d.Took -= d.Rest
		}
	}
	if p.code == 0 || p.deferred() {
		return
	}
	d.Took = min(p.at-p.began, MaxBoot)
	d.Fail = abs(p.code)
	// What failed is not retried; a later probe is one that was asked for.
	for _, later := range s.probes[final+1:] {
		if later.code == 0 {
			device.Bind = min(later.began, MaxBoot)
			return
		}
	}
}

// answered returns when the TPM had answered its driver's first command in a probe, where
// the driver has printed that.
func (c *console) answered(s *tpmStory, p *loggedProbe) (at time.Duration, ok bool) {
	if !tpmKinds[s.kind].banner {
		return 0, false
	}
	for _, b := range c.tpm.banners {
		if b.device == s.device && b.driver == s.driver && b.at >= p.began && b.at <= p.at {
			return b.at, true
		}
	}
	return 0, false
}

// register has the TPM's driver registered where the log has it, or as a module.
func (c *console) register(p *Platform, s *tpmStory, d *Driver, device *Device) {
	began, at := time.Duration(-1), initcall.Device
	if len(s.probes) > 0 {
		began, at = s.probes[0].began, s.probes[0].level
	}
	args := parseArgs(&c.kernel)
	switch {
	case s.call >= 0:
		call := &c.calls[s.call]
		p.Initcalls[s.call].Register, p.Initcalls[s.call].Fail = []string{d.Name}, 0
		if len(s.probes) == 0 {
			return
		}
		// A probe that goes on when the initcall has returned is asynchronous;
		// one that begins later waited for its device.
		const slack = 5 * time.Millisecond
		inside := s.probes[0].call == s.call
		if began > call.at+call.took+slack {
			device.Appears = min(began, MaxBoot)
		}
		if !inside && !args.probesAsync(d) {
			d.Async = true
		}
	case at == initcall.Userspace:
		d.Module = true
		wait := max(began-c.initAt, 0)
		p.Userspace.Accesses = append(p.Userspace.Accesses, Access{Kind: Wait, For: min(wait, MaxBoot)},
			Access{Kind: Load, Path: "/lib/modules/" + consoleWord(c.kernel.Release, "linux") + "/" + d.Name + ".ko", Driver: d.Name})
	default:
		// The log has the probe and not who registered the driver.
		i := slices.IndexFunc(p.Initcalls, func(call Initcall) bool { return call.Level >= initcall.Device })
		if i < 0 {
			i = len(p.Initcalls)
		}
		p.Initcalls = slices.Insert(p.Initcalls, i, Initcall{Level: initcall.Device, Name: freeName(p, d.Name+"_init"), Register: []string{d.Name}})
		if began >= 0 {
			device.Appears = min(began, MaxBoot)
		}
	}
}

// freeName is a name for an initcall that the log does not have.
func freeName(p *Platform, name string) string {
	for base, n := name, 2; slices.ContainsFunc(p.Initcalls, func(c Initcall) bool { return c.Name == name }); n++ {
		name = base + "." + strconv.Itoa(n)
	}
	return name
}

// complete adds what every kernel has and the log may not show: kernels that
// start IMA at late_sync only, for instance.
func (c *console) complete(p *Platform) {
	has := func(a Action) bool {
		return slices.ContainsFunc(p.Initcalls, func(i Initcall) bool { return i.Action == a })
	}
	after := func(name string) int {
		// After what belongs before it in link order, else at late's end.
		place := len(p.Initcalls)
		for i, call := range p.Initcalls {
			if call.Level == initcall.Late && call.Name == name {
				return i
			}
			if call.Level > initcall.Late {
				return min(place, i)
			}
		}
		return place
	}
	if !has(DeferredProbe) {
		at := after("")
		p.Initcalls = slices.Insert(p.Initcalls, at, Initcall{Level: initcall.Late, Name: freeName(p, "deferred_probe_initcall"), Action: DeferredProbe})
	}
	if !has(StartIMA) {
		at := after("crypto_algapi_init")
		if d := after("deferred_probe_initcall"); d < at {
			at = d
		}
		p.Initcalls = slices.Insert(p.Initcalls, at, Initcall{Level: initcall.Late, Name: freeName(p, "init_ima_late"), Action: StartIMA})
	}
}

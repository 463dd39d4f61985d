package boot

import (
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// supplierKind says how the supplier comes that a deferred TPM waits for. A log
// does not tell it; the kinds are tried until one makes the log.
type supplierKind uint8

const (
	noSupplier     supplierKind = iota
	supplierBinds               // by an initcall after the TPM's, before the deferred probe
	supplierNobody              // it has no driver, and the kernel no modules: given up in the deferred probe
	supplierComes               // at the time at which the TPM was retried
	supplierAsync               // by a retry that deferred_probe_initcall does not wait for
	supplierLate                // it has no driver, and is given up when deferred_probe_timeout ends
	supplierNever               // it never binds
)

// suppliers are the kinds that a TPM may wait for.
func (c *console) suppliers() []supplierKind {
	s := c.story()
	if s == nil || !slices.ContainsFunc(s.probes, func(p loggedProbe) bool { return p.deferred() }) {
		return []supplierKind{noSupplier}
	}
	if s.probes[len(s.probes)-1].deferred() {
		return []supplierKind{supplierNever, supplierLate}
	}
	if p, _ := c.asyncSupplier(); p != nil {
		return []supplierKind{supplierAsync, supplierBinds, supplierNobody, supplierComes, supplierLate}
	}
	return []supplierKind{supplierBinds, supplierNobody, supplierComes, supplierLate}
}

// asyncDrivers are drivers that prefer asynchronous probes in Linux 6.12 and later, by
// the names that Linux 7.3 prints with their probes.
var asyncDrivers = []string{"reg-fixed-voltage"} // drivers/regulator/fixed.c

// asyncSupplier returns the last probe of the device that the TPM waited for, if its retry
// was asynchronous, and its first probe. Either its driver is known for that, or the log
// shows it: devices are retried in the order in which they were deferred, this one was
// deferred before the TPM and not again, and yet the TPM was retried in vain before it had
// bound.
func (c *console) asyncSupplier() (bound, deferred *loggedProbe) {
	s := c.story()
	last := &s.probes[len(s.probes)-1]
	i := slices.IndexFunc(s.probes, func(p loggedProbe) bool { return p.deferred() })
	if i < 0 || last.code != 0 {
		return nil, nil
	}
	passed := last.at // when the TPM was tried although it came after the supplier
	if vain := slices.IndexFunc(s.probes, func(p loggedProbe) bool { return p.deferred() && p.level >= initcall.Late }); vain >= 0 {
		passed = s.probes[vain].began
	}
	firsts := make(map[string]*loggedProbe)
	for n := range c.probes {
		p := &c.probes[n]
		first := firsts[p.device]
		switch {
		case p.device == s.device:
		case p.deferred() && first == nil && p.at <= s.probes[i].at:
			firsts[p.device] = p
		case p.deferred():
			delete(firsts, p.device)
		case p.code != 0 || first == nil || p.at > last.began || p.level < initcall.Late:
		case p.at >= passed || slices.Contains(asyncDrivers, p.by):
			bound, deferred = p, first
		}
	}
	return bound, deferred
}

// addAsyncSupplier adds a supplier that is deferred before the TPM, for want of a device
// that binds after it, and whose driver probes asynchronously.
func (c *console) addAsyncSupplier(p *Platform, s *tpmStory, tpm *Device) {
	bound, deferred := c.asyncSupplier()
	const driver, other = "tpm-supplier", "tpm-supplier-needs"
	d := Driver{Name: driver, Async: true, Took: min(bound.at-bound.began, MaxBoot)}
	if last := &s.probes[len(s.probes)-1]; last.call >= 0 && c.calls[last.call].name == "deferred_probe_initcall" {
		d.Took = 0 // it had bound while the initcall looked for more to retry
	}
	tpm.Needs, tpm.Suppliers = c.dependency(s, bound.device)
	p.Drivers = append(p.Drivers, d, Driver{Name: other})
	p.Devices = append(p.Devices, Device{Name: bound.device, Driver: driver, Needs: []string{other}}, Device{Name: other, Driver: other})
	at := 0
	if deferred.call >= 0 && deferred.call < len(c.calls) {
		name := c.calls[deferred.call].name
		at = max(slices.IndexFunc(p.Initcalls, func(call Initcall) bool { return call.Name == name }), 0)
	}
	registerAt(p, at, driver)
	after := 0
	for j, call := range p.Initcalls {
		if slices.Contains(call.Register, s.driver) {
			after = j + 1
		}
	}
	registerAt(p, after, other)
}

// registerAt adds an initcall that registers a driver, at index i.
func registerAt(p *Platform, i int, driver string) {
	level := initcall.Device
	if i > 0 {
		level = p.Initcalls[i-1].Level
	}
	p.Initcalls = slices.Insert(p.Initcalls, i, Initcall{Level: level, Name: freeName(p, strings.ReplaceAll(driver, "-", "_")+"_init"), Register: []string{driver}})
}

// dependency returns how the TPM depends on a device: its driver says that it needs it, or
// the driver core has not called the driver.
func (c *console) dependency(s *tpmStory, name string) (needs, suppliers []string) {
	for _, p := range s.probes {
		if p.code == eprobeDefer {
			return []string{name}, nil
		}
	}
	return nil, []string{name}
}

// addSupplier adds what a deferred TPM waits for.
func (c *console) addSupplier(p *Platform, s *tpmStory, device *Device, kind supplierKind) {
	switch kind {
	case noSupplier:
		return
	case supplierAsync:
		c.addAsyncSupplier(p, s, device)
		return
	}
	name := c.tpm.supplier
	if name == "" || name == s.device {
		name = "tpm-supplier"
	}
	last := &s.probes[len(s.probes)-1]
	device.Needs, device.Suppliers = c.dependency(s, name)
	supplier := Device{Name: name}
	const driver = "tpm-supplier"
	if kind != supplierNobody && kind != supplierLate {
		supplier.Driver = driver
		p.Drivers = append(p.Drivers, Driver{Name: driver})
		i := 0
		for j, call := range p.Initcalls {
			if slices.Contains(call.Register, s.driver) {
				i = j + 1
			}
		}
		registerAt(p, i, driver)
	}
	switch kind {
	case supplierNobody:
		p.Kernel.NoModules = true
	case supplierComes:
		supplier.Appears = min(last.began, MaxBoot)
	case supplierNever:
		// Even if fw_devlink gives up waiting, its driver does not.
		const absent = "tpm-supplier-missing"
		supplier.Needs = []string{absent}
		p.Devices = append(p.Devices, Device{Name: absent})
	}
	p.Devices = append(p.Devices, supplier)
	if kind == supplierComes {
		c.addTriggers(p, s)
	}
}

// addTriggers adds devices that bind when the log shows the TPM retried in vain:
// each device that binds has the deferred ones retried.
func (c *console) addTriggers(p *Platform, s *tpmStory) {
	const driver = "others"
	n := 0
	for _, probe := range s.probes[:len(s.probes)-1] {
		if !probe.deferred() || probe.level < initcall.Late || n == 50 || probe.call >= 0 && c.calls[probe.call].name == "deferred_probe_initcall" {
			continue
		}
		n++
		p.Devices = append(p.Devices, Device{Name: "other-" + strconv.Itoa(n), Driver: driver, Appears: min(probe.began, MaxBoot)})
	}
	if n > 0 {
		p.Drivers = append(p.Drivers, Driver{Name: driver})
		p.Initcalls = slices.Insert(p.Initcalls, 0, Initcall{Level: initcall.Early, Name: freeName(p, "others_init"), Register: []string{driver}})
	}
}

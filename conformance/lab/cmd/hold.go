package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// holdWarning returns a warning if the boot waits for itself, else "": a TPM that holds the
// driver's first command until a level, and a kernel that probes it synchronously, and so
// does not go on to that level before the probe has ended.
func (o *options) holdWarning() string {
	var way faults.WhileDeferred
	if o.whileDeferred == "" || way.UnmarshalText([]byte(o.whileDeferred)) != nil || way != faults.Hold {
		return ""
	}
	until, err := initcall.ParseLevel(o.deferUntil)
	if err != nil || until <= o.probedIn() {
		return ""
	}
	if from, err := initcall.ParseLevel(o.deferFrom); err == nil && from > o.probedIn() {
		return ""
	}
	driver := lab.Device(o.device).Driver()
	if o.asyncProbe || probesAsync(o.append, driver) {
		return ""
	}
	longest := o.holdMax
	if longest == 0 {
		longest = faults.DefaultHoldMax
	}
	return fmt.Sprintf("the TPM holds the first command of %s until %s, and the kernel waits for that probe before it goes on to %s: "+
		"the probe ends when the driver gives up or the TPM has held a command for %s. "+
		"With --async-probe (driver_async_probe=%s) the kernel goes on.", driver, until, until, longest, driver)
}

// probedIn is the level in which the driver's first probe that reaches the TPM runs: that
// of drivers, or late if the device tree has the probe deferred.
func (o *options) probedIn() initcall.Level {
	if o.tree != "" {
		return initcall.Late
	}
	return initcall.Device
}

// probesAsync reports whether a command line has the kernel probe the driver
// asynchronously (drivers/base/dd.c: cmdline_requested_async_probing). The last such word
// counts; an asterisk at its beginning means all but the drivers after it.
func probesAsync(line, driver string) bool {
	async := false
	for _, word := range strings.Fields(line) {
		if list, ok := strings.CutPrefix(word, "driver_async_probe="); ok {
			names := strings.Split(list, ",")
			async = slices.Contains(names, driver) != (names[0] == "*")
		}
	}
	return async
}

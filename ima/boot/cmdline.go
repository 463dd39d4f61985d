package boot

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/ima/measure"
)

// kernelArgs are the options of the driver core on the kernel's command line.
type kernelArgs struct {
	fwDevlink       bool
	deferredTimeout time.Duration
	// async are the drivers of driver_async_probe=. With asyncAll they are
	// the exceptions.
	async         []string
	asyncAll      bool
	initramfsWait bool // initramfs_async=0
}

// parseArgs reads the command line. Later words go over earlier ones.
func parseArgs(k *KernelBuild) kernelArgs {
	a := kernelArgs{fwDevlink: true, deferredTimeout: 10 * time.Second}
	if k.NoModules {
		a.deferredTimeout = 0 // CONFIG_MODULES decides (dd.c)
	}
	for word := range measure.CommandLineWords(k.CommandLine) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "fw_devlink":
			a.fwDevlink = value != "off" && value != "permissive"
		case "deferred_probe_timeout":
			if seconds, err := strconv.Atoi(value); err == nil && seconds < int(MaxBoot/time.Second) {
				a.deferredTimeout = time.Duration(max(seconds, 0)) * time.Second
			}
		case "driver_async_probe":
			names := strings.Split(value, ",")
			a.asyncAll = names[0] == "*"
			a.async = names
		case "initramfs_async":
			a.initramfsWait = value == "0"
		}
	}
	return a
}

// probesAsync follows driver_allows_async_probing.
func (a *kernelArgs) probesAsync(d *Driver) bool {
	if len(a.async) > 0 {
		listed := slices.Contains(a.async, d.Name)
		if listed != a.asyncAll {
			return true
		}
	}
	return d.Async
}

package deferral

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/transport"
)

// Simulate boots the row in the simulation, with that TPM, whose clock is now. Threads
// wait for a processor up to scatter, and seed tells how long each does.
func (r Row) Simulate(ctx context.Context, start Start, tpm transport.Device, now *boot.Time, seed uint64, scatter time.Duration) (*Observed, error) {
	platform, err := r.platform()
	if err != nil {
		return nil, err
	}
	config := boot.Config{Strategy: boot.Late, Device: tpm, Time: now, Seed: seed, Scatter: scatter}
	if start == LateSync {
		config.Strategy = boot.Kconfig
	}
	result, err := boot.Run(ctx, platform, config)
	if err != nil {
		return nil, err
	}
	return r.simulated(start, result), nil
}

// supplies is what a tree adds to the simulated machine: devices, and for what the TPM
// waits.
type supplies struct {
	devices   []boot.Device
	suppliers []string
}

const gpioController = "9030000.pl061"

var trees = map[string]supplies{
	"regulator": {devices: []boot.Device{{Name: "regulator-tpm", Driver: "reg-fixed-voltage"}}, suppliers: []string{"regulator-tpm"}},
	"regulator-gpio": {
		devices:   []boot.Device{{Name: "regulator-tpm", Driver: "reg-fixed-voltage", Suppliers: []string{gpioController}, Needs: []string{gpioController}}},
		suppliers: []string{"regulator-tpm"},
	},
	"regulator-orphan": {
		devices: []boot.Device{
			{Name: "gpio-orphan"},
			{Name: "regulator-tpm", Driver: "reg-fixed-voltage", Suppliers: []string{"gpio-orphan"}, Needs: []string{"gpio-orphan"}},
		},
		suppliers: []string{"regulator-tpm"},
	},
	"leds": {
		devices:   []boot.Device{{Name: "leds", Driver: "leds-gpio", Suppliers: []string{gpioController}}},
		suppliers: []string{"leds"},
	},
	// The kernel is built without CONFIG_PM_GENERIC_DOMAINS: nobody but fw_devlink looks
	// at power-domains.
	"power-domain": {devices: []boot.Device{{Name: "power-controller"}}, suppliers: []string{"power-controller"}},
	"keys":         {suppliers: []string{"gpio-keys"}}, // the platform has them
	"clock":        {devices: []boot.Device{{Name: "clock-tpm"}}, suppliers: []string{"clock-tpm"}},
}

// platform is the board with what the row's tree adds.
func (r Row) platform() (*boot.Platform, error) {
	p, err := boot.PlatformByName("arm64-virt")
	if err != nil {
		return nil, err
	}
	p.Kernel.NoModules = !r.Modules
	p.Kernel.CommandLine += " " + r.Args
	added, known := trees[r.Tree]
	if !known && r.Tree != "" {
		return nil, fmt.Errorf("the simulation does not know the device tree %q", r.Tree)
	}
	p.Drivers = append(p.Drivers, boot.Driver{Name: "leds-gpio", Took: time.Millisecond})
	// The platform file has the regulator of one tree.
	p.Devices = slices.DeleteFunc(p.Devices, func(d boot.Device) bool { return d.Name == "regulator-tpm" })
	p.Devices = append(p.Devices, added.devices...)
	for i := range p.Devices {
		if p.Devices[i].Name == tpmDevice {
			p.Devices[i].Suppliers = added.suppliers
		}
	}
	leds := "init_tis" // drivers/leds is linked after drivers/char
	if r.Release != "6.1" {
		p.Kernel.Profile, p.Kernel.Release = r.Release, ""
		leds = "pl061_gpio_driver_init" // it is linked after drivers/gpio
		for i := range p.Drivers {
			p.Drivers[i].Async = p.Drivers[i].Async || p.Drivers[i].Name == "reg-fixed-voltage"
		}
	}
	for i := range p.Initcalls {
		if p.Initcalls[i].Name == leds {
			p.Initcalls[i].Register = append(p.Initcalls[i].Register, "leds-gpio")
		}
	}
	return p, p.Validate()
}

// simulated reads the result of a simulated boot.
func (r Row) simulated(start Start, result *boot.Result) *Observed {
	s := result.Summary
	o := &Observed{Row: r.Name(), Start: start, Binds: Never, Postponed: []string{}, Outcome: lab.Measured}
	if s.Bypass {
		o.Outcome = lab.Bypass
	}
	if n := len(s.Aggregates); n > 0 {
		o.Aggregate, o.Record = s.Aggregates[n-1].Digest.Sum.String(), s.Aggregates[n-1].Name
	}
	if s.TPMRegistered {
		o.Binds, o.Seconds = s.TPMLevel.String(), (s.TPMAt - s.KernelAt).Seconds()
	}
	looked := false
	inside := ""
	for _, e := range result.Events {
		switch e.Kind {
		case boot.InitcallCalled:
			inside = e.Name
			looked = looked || e.Name == "init_ima" && start == Late
		case boot.InitcallReturned:
			inside = ""
		case boot.IMAStarted:
			looked = true
		case boot.ProbeDeferred:
			o.postponed(e.Name, looked)
		case boot.ProbeBound:
			if e.Name == tpmDevice {
				o.Inside = inside
			}
		}
	}
	return o
}

// postponed records a device whose probe was deferred.
func (o *Observed) postponed(device string, looked bool) {
	if looked {
		return
	}
	for _, known := range o.Postponed {
		if known == device {
			return
		}
	}
	o.Postponed = append(o.Postponed, device)
}

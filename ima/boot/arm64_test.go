package boot_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// The TPM's supplier in the device tree and how the kernel was built and booted:
// the rows of the table measured with a 6.1 kernel on QEMU's machine virt, where
// only what is added to the TPM's node differs.
func TestARM64VirtAsMeasured(t *testing.T) {
	t.Parallel()
	const (
		bypass    = "bypass"
		aggregate = "aggregate"
		unknown   = "" // not measured
		never     = "never"
		atDevice  = "device"
		inside    = "inside deferred_probe_initcall"
		second    = "inside deferred_probe_initcall, second trigger"
		userspace = "userspace"
		lateTail  = "after regulator_init_complete, before init"
	)
	fixed := boot.Device{Name: "regulator-tpm", Driver: "reg-fixed-voltage"}
	gpio := boot.Device{Name: "regulator-tpm", Driver: "reg-fixed-voltage", Suppliers: []string{"9030000.pl061"}, Needs: []string{"9030000.pl061"}}
	leds := boot.Device{Name: "leds", Driver: "leds-gpio", Suppliers: []string{"9030000.pl061"}}
	none := boot.Device{Name: "power-controller"}
	orphan := boot.Device{Name: "regulator-tpm", Driver: "reg-fixed-voltage", Suppliers: []string{"gpio-without-driver"}, Needs: []string{"gpio-without-driver"}}
	tests := []struct {
		name           string
		supplier       boot.Device
		modules        bool
		args           string
		binds          string
		at             time.Duration // after the kernel's start, roughly
		late, lateSync string
	}{
		{name: "none", binds: atDevice, late: aggregate, lateSync: aggregate},
		{name: "regulator", supplier: fixed, binds: atDevice, late: aggregate},
		{name: "regulator with gpio", supplier: gpio, binds: inside, late: bypass, lateSync: aggregate},
		{name: "gpio-leds", supplier: leds, binds: inside, late: bypass},
		{name: "no driver, MODULES=n", supplier: none, binds: second, late: bypass, lateSync: aggregate},
		{name: "no driver, MODULES=y", supplier: none, modules: true, binds: userspace, at: 10470 * time.Millisecond, late: bypass, lateSync: bypass},
		{name: "no driver, MODULES=y, timeout 1", supplier: none, modules: true, args: "deferred_probe_timeout=1", binds: userspace, at: 1260 * time.Millisecond, late: bypass, lateSync: bypass},
		{name: "no driver, MODULES=y, timeout 0", supplier: none, modules: true, args: "deferred_probe_timeout=0", binds: never, late: bypass, lateSync: bypass},
		{name: "gpio-keys, MODULES=y", supplier: boot.Device{Name: "gpio-keys"}, modules: true, binds: lateTail, late: bypass},
		{name: "regulator, gpio without driver", supplier: orphan, binds: never, late: bypass, lateSync: bypass},
		{name: "regulator with gpio, fw_devlink=off", supplier: gpio, args: "fw_devlink=off", binds: atDevice, late: aggregate},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := arm64With(t, test.supplier)
			p.Kernel.NoModules = !test.modules
			p.Kernel.CommandLine += " " + test.args
			for strategy, want := range map[boot.Strategy]string{boot.Late: test.late, boot.LateSync: test.lateSync} {
				r := machine{platform: p, config: boot.Config{Strategy: strategy}}.boot(t)
				s := r.Summary
				require.Len(t, s.Aggregates, 1)
				switch want {
				case bypass:
					assert.True(t, s.Bypass, strategy)
					assert.True(t, s.Aggregates[0].Zero, strategy)
				case aggregate:
					assert.False(t, s.Bypass, strategy)
					assert.Equal(t, zeroAggregate, s.Aggregates[0].Digest.Sum.String(), strategy)
				}
				bound := find(r, boot.ProbeBound, "c000000.tpm_tis")
				if test.binds == never {
					assert.Empty(t, bound)
					continue
				}
				require.Len(t, bound, 1)
				at := bound[0].At
				in := func(name string) bool {
					return at > find(r, boot.InitcallCalled, name)[0].At && at <= find(r, boot.InitcallReturned, name)[0].At
				}
				switch test.binds {
				case atDevice:
					assert.Equal(t, initcall.Device, bound[0].Level)
				case inside:
					assert.True(t, in("deferred_probe_initcall"))
					assert.Empty(t, find(r, boot.DependencyRelaxed, ""))
				case second:
					assert.True(t, in("deferred_probe_initcall"))
					assert.NotEmpty(t, find(r, boot.DependencyRelaxed, "c000000.tpm_tis"))
				case userspace:
					assert.Equal(t, initcall.Userspace, bound[0].Level)
					assert.InDelta(t, test.at.Seconds(), at.Seconds(), 0.25)
				case lateTail:
					assert.Greater(t, at, find(r, boot.InitcallReturned, "regulator_init_complete")[0].At)
					assert.Less(t, at, s.UserspaceAt)
				}
			}
		})
	}
}

// arm64With is the platform arm64-virt with a supplier for its TPM.
func arm64With(t testing.TB, supplier boot.Device) *boot.Platform {
	p := platform(t, "arm64-virt")
	if supplier.Name == "" {
		return p
	}
	p.Drivers = append(p.Drivers, boot.Driver{Name: "leds-gpio", Took: time.Millisecond})
	p.Devices = append(p.Devices, boot.Device{Name: "gpio-without-driver"})
	known := false
	for i := range p.Devices {
		d := &p.Devices[i]
		switch d.Name {
		case "c000000.tpm_tis":
			d.Suppliers = []string{supplier.Name}
		case supplier.Name:
			known = true
			if supplier.Driver != "" {
				*d = supplier
			}
		}
	}
	if !known {
		p.Devices = append(p.Devices, supplier)
	}
	for i := range p.Initcalls {
		// drivers/leds is linked after drivers/char.
		if p.Initcalls[i].Name == "init_tis" {
			p.Initcalls[i].Register = append(p.Initcalls[i].Register, "leds-gpio")
		}
	}
	require.NoError(t, p.Validate())
	return p
}

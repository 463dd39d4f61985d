package boot_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// A PC whose TPM answers nothing but an error until late_sync: IMA finds no chip
// and stays without one.
func Example() {
	platform, err := boot.PlatformByName("pc-tis")
	if err != nil {
		log.Fatal(err)
	}
	clock, now := new(initcall.Clock), new(boot.Time)
	tpm, err := emulator.New(emulator.Platform{Clock: now}, emulator.Config{})
	if err != nil {
		log.Fatal(err)
	}
	device, err := faults.Wrap(tpm, faults.Plan{
		Clock: clock,
		Rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Fail)},
	})
	if err != nil {
		log.Fatal(err)
	}
	result, err := boot.Run(context.Background(), platform, boot.Config{
		Strategy: boot.Late, Device: device, Clock: clock, Time: now, Seed: 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range result.Events {
		if e.Kind == boot.LogLine {
			fmt.Println(e.Text)
		}
	}
	fmt.Println("bypass:", result.Summary.Bypass, "- kept:", result.Summary.Kept, "- extended:", result.Summary.Extended)
	// Output:
	// tpm_tis MSFT0101:00: 2.0 TPM (device-id 0x1, rev-id 1)
	// tpm tpm0: A TPM error (257) occurred attempting the self test
	// tpm tpm0: A TPM error (257) occurred attempting the self test
	// ima: secureboot mode disabled
	// ima: No TPM chip found, activating TPM-bypass!
	// ima: Allocated hash algorithm: sha256
	// ima: No architecture policies found
	// bypass: true - kept: 4 - extended: 0
}

// A platform of one's own.
func ExampleParsePlatform() {
	const file = `
platform my-board title="My board, TPM behind a regulator"
kernel 6.12 cmdline="ima_policy=tcb"
driver reg-fixed-voltage took=2ms
driver tpm_tis kind=tis took=3ms latency=2ms
device vcc-tpm driver=reg-fixed-voltage
device tpm0 driver=tpm_tis suppliers=vcc-tpm
initcall device init_tis register=tpm_tis
initcall device_sync regulator_init register=reg-fixed-voltage  # too late
initcall late   init_ima ima
initcall late   deferred_probe_initcall deferred-probe
userspace
  exec /init
`
	platform, err := boot.ParsePlatform("my-board.platform", strings.NewReader(file))
	if err != nil {
		log.Fatal(err)
	}
	for _, strategy := range []boot.Strategy{boot.Late, boot.LateSync} {
		tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
		if err != nil {
			log.Fatal(err)
		}
		result, err := boot.Run(context.Background(), platform, boot.Config{Strategy: strategy, Device: tpm})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: TPM registered at %s, bypass: %t\n", strategy, result.Summary.TPMLevel, result.Summary.Bypass)
	}
	// Output:
	// late: TPM registered at late, bypass: true
	// late_sync: TPM registered at late, bypass: false
}

// What is wrong with a platform file is said with its line.
func ExamplePlatformError() {
	_, err := boot.ParsePlatform("my-board.platform", strings.NewReader("platform my-board\nkernel 6.12\ndevice tpm0 suplier=vcc\n"))
	fmt.Println(err)
	// Output:
	// my-board.platform:3: device: key "suplier": there is no such key
}

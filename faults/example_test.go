package faults_test

import (
	"context"
	"fmt"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// A driver that probes at device_initcall finds a failing TPM; one that asks
// again after late_sync finds a working one.
func ExampleWrap() {
	var clock initcall.Clock
	tpm, err := faults.Wrap(new(bare), faults.Plan{
		Clock: &clock,
		Rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Fail)},
		Journal: func(d faults.Decision) {
			fmt.Printf("at %s command %#x was %s with %#x by %s\n", d.Level, d.Command, d.Outcome, d.Code, d.Rule)
		},
	})
	if err != nil {
		panic(err)
	}
	for _, level := range []initcall.Level{initcall.Device, initcall.LateSync} {
		if err := clock.Advance(level, initcall.NoTime, "example"); err != nil {
			panic(err)
		}
		response, err := tpm.Send(context.Background(), 0, selfTest)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: %x\n", level, response)
	}
	// Output:
	// at device command 0x143 was answered with 0x101 by defer-until=late_sync
	// device: 80010000000a00000101
	// late_sync: 80010000000a00000000
}

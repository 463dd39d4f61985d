package faults_test

import (
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Who asks at device_initcall finds a failing TPM; who asks again after late_sync
// finds a working one.
func ExampleWrap() {
	t := &testing.T{} // in a test, its own t

	var clock initcall.Clock
	late, err := faults.Wrap(emulatortest.New(t), faults.Plan{
		Clock: &clock,
		Rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Fail)},
		Journal: func(d faults.Decision) {
			fmt.Printf("at %s command %#x was %s with %#x by %s\n", d.Level, d.Command, d.Outcome, d.Code, d.Rule)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	tpm := emulatortest.Client{TPM: late} // for google/go-tpm
	for _, level := range []initcall.Level{initcall.Device, initcall.LateSync} {
		if err := clock.Advance(level, initcall.NoTime, "example"); err != nil {
			t.Fatal(err)
		}
		random, err := tpm2.GetRandom{BytesRequested: 8}.Execute(tpm)
		if err != nil {
			fmt.Printf("%s: %v\n", level, err)
			continue
		}
		fmt.Printf("%s: %d random bytes\n", level, len(random.RandomBytes.Buffer))
	}
	// Output:
	// at device command 0x17b was answered with 0x101 by defer-until=late_sync
	// device: TPM_RC_FAILURE: commands not being accepted because of a TPM failure
	// late_sync: 8 random bytes
}

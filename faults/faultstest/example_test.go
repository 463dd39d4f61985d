package faultstest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/faultstest"
)

// The third command is answered with a code, once.
func ExampleNew() {
	t := &testing.T{} // in a test, its own t

	tpm := emulatortest.Client{TPM: faultstest.New(t, emulatortest.New(t), "GetRandom#3: rc=TPM_RC_RETRY")}
	for range 4 {
		_, err := tpm2.GetRandom{BytesRequested: 8}.Execute(tpm)
		fmt.Println(err == nil, errors.Is(err, tpm2.TPMRCRetry))
	}
	// Output:
	// true false
	// true false
	// false true
	// true false
}

// One rule makes a command slow, another one has the first two of a kind refused, and from
// the tenth command on the TPM is gone.
func ExampleNew_rules() {
	t := &testing.T{} // in a test, its own t

	device := faultstest.New(t, emulatortest.New(t),
		"*#10: gone",
		"PCR_Read: delay=50ms",
		"GetRandom times=2: rc=TPM_RC_RETRY",
	)
	tpm := emulatortest.Client{TPM: device}
	start := time.Now()
	_, err := tpm2.PCRRead{}.Execute(tpm)
	fmt.Println(err, time.Since(start) >= 50*time.Millisecond)
	var worked, refused, lost int
	for range 12 {
		_, err = tpm2.GetRandom{BytesRequested: 8}.Execute(tpm)
		switch {
		case err == nil:
			worked++
		case errors.Is(err, tpm2.TPMRCRetry):
			refused++
		case errors.Is(err, faults.ErrNoAnswer):
			lost++
		}
	}
	fmt.Println(worked, refused, lost)
	for _, r := range device.Rules() {
		fmt.Println(r.Name, "fired", r.Fired)
	}
	// Output:
	// <nil> true
	// 6 2 4
	// *#10: gone fired 1
	// PCR_Read: delay=50ms fired 1
	// GetRandom times=2: rc=TPM_RC_RETRY fired 2
}

// The TPM's flash fails at the second write, until the power has been off.
func Example_flash() {
	t := &testing.T{} // in a test, its own t

	tpm := emulatortest.New(t)
	tpm.Store.DieAt(tpm.Store.Commits() + 2)
	change := func(of tpm2.TPMHandle) {
		_, err := tpm2.HierarchyChangeAuth{AuthHandle: of, NewAuth: tpm2.TPM2BAuth{Buffer: []byte("new")}}.Execute(tpm.Client())
		fmt.Println(err)
	}
	change(tpm2.TPMRHLockout)
	change(tpm2.TPMRHEndorsement)
	tpm.Store.DieAt(0)
	fmt.Println(tpm.Restart(0))
	change(tpm2.TPMRHEndorsement)
	// Output:
	// <nil>
	// TPM_RC_FAILURE: commands not being accepted because of a TPM failure
	// TPM_RC_SUCCESS (0x000)
	// <nil>
}

// FuzzPlansOnAClient fuzzes a client that takes every error for what it is.
func FuzzPlansOnAClient(f *testing.F) {
	faultstest.FuzzPlans(f, func(t *testing.T, rules []faults.Rule) {
		tpm := emulatortest.Client{TPM: faultstest.New(t, emulatortest.New(t, emulatortest.Unchecked()), rules...)}
		for range 4 {
			random, err := tpm2.GetRandom{BytesRequested: 8}.Execute(tpm)
			if err == nil && len(random.RandomBytes.Buffer) != 8 {
				t.Errorf("%d bytes of 8, and no error", len(random.RandomBytes.Buffer))
			}
		}
	})
}

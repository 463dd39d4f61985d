package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// A rule concerns single commands: one is slow, another is refused.
func ExampleRule() {
	t := &testing.T{} // in a test, its own t

	broken, err := faults.Wrap(emulatortest.New(t), faults.Plan{
		Clock: new(initcall.Clock),
		Rules: []faults.Rule{
			{Name: "slow", When: faults.When{Commands: []uint32{uint32(tpm2.TPMCCPCRRead)}},
				Do: faults.HoldBack{Max: 50 * time.Millisecond}},
			{Name: "refused", When: faults.When{Commands: []uint32{uint32(tpm2.TPMCCGetRandom)}},
				Do: faults.Answer(tpm2.TPMRCRetry)},
		},
		Journal: func(d faults.Decision) { fmt.Println(d.Rule, d.Outcome) },
	})
	if err != nil {
		t.Fatal(err)
	}
	tpm := emulatortest.Client{TPM: broken}
	start := time.Now()
	_, err = tpm2.PCRRead{}.Execute(tpm)
	fmt.Println(err, time.Since(start) >= 50*time.Millisecond)
	_, err = tpm2.GetRandom{BytesRequested: 8}.Execute(tpm)
	fmt.Println(errors.Is(err, tpm2.TPMRCRetry))
	// Output:
	// slow held
	// slow expired
	// <nil> true
	// refused answered
	// true
}

// failsAt is a TPM whose n-th command, counted from 1, gets no answer.
type failsAt struct {
	transport.Device
	n int
}

// Unwrap lets others find what the TPM can do besides.
func (f *failsAt) Unwrap() transport.Device { return f.Device }

func (f *failsAt) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if f.n--; f.n == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return f.Device.Send(ctx, locality, command)
}

// The third command fails.
func Example_nthCommand() {
	t := &testing.T{} // in a test, its own t

	tpm := emulatortest.Client{TPM: &failsAt{Device: emulatortest.New(t), n: 3}}
	for range 4 {
		_, err := tpm2.GetRandom{BytesRequested: 8}.Execute(tpm)
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
	// unexpected EOF
	// <nil>
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

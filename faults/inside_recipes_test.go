package faults_test

import (
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
)

// Others have filled the slots for objects but for one, and the second write of the TPM's
// flash breaks off.
func Example_inside() {
	t := &testing.T{} // in a test, its own t

	plan, err := faults.ParsePlan("inside.plan", []byte(`
seed 1
CreatePrimary#1: fill=objects:1
HierarchyChangeAuth#2: store=torn
`), faults.Plan{Journal: func(d faults.Decision) { fmt.Println(d.Fault) }})
	if err != nil {
		t.Fatal(err)
	}
	device, err := faults.Wrap(emulatortest.New(t), plan)
	if err != nil {
		t.Fatal(err)
	}
	tpm := emulatortest.Client{TPM: device}
	for range 2 {
		_, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
		fmt.Println("CreatePrimary:", err)
	}
	for _, hierarchy := range []tpm2.TPMHandle{tpm2.TPMRHOwner, tpm2.TPMRHEndorsement} {
		_, err := tpm2.HierarchyChangeAuth{AuthHandle: hierarchy, NewAuth: tpm2.TPM2BAuth{Buffer: []byte("new")}}.Execute(tpm)
		fmt.Println("HierarchyChangeAuth:", err)
	}
	// Output:
	// fill=objects:1
	// CreatePrimary: <nil>
	// CreatePrimary: TPM_RC_OBJECT_MEMORY: out of memory for object contexts
	// HierarchyChangeAuth: <nil>
	// store=torn
	// HierarchyChangeAuth: TPM_RC_FAILURE: commands not being accepted because of a TPM failure
}

package evidence_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults/faultstest"
	"github.com/swtpmd/swtpmd/ima/attest"
	"github.com/swtpmd/swtpmd/ima/evidence"
	"github.com/swtpmd/swtpmd/ima/measure"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// A TPM fails at the first extend, that of the boot aggregate: the list has a record that
// the PCR does not have, and the verdict says so.
func ExampleCollect() {
	t := &testing.T{} // in a test, its own t

	tpm, err := attest.New(context.Background(),
		faultstest.New(t, emulatortest.New(t), "PCR_Extend#1: rc=TPM_RC_FAILURE"))
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := measure.KernelByRelease("6.12")
	if err != nil {
		t.Fatal(err)
	}
	m, err := measure.New(measure.Config{Kernel: kernel, CommandLine: "ima_policy=tcb"})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Init(func() measure.TPM { return tpm }); err != nil {
		t.Fatal(err)
	}
	m.BprmCheck(&measure.File{Path: "/sbin/init", Read: true, Inode: &measure.Inode{
		Superblock: &measure.Superblock{Magic: 0xef53, FSName: "ext4", IVersion: true},
		Mode:       0o100755,
		Content:    func() (io.Reader, error) { return strings.NewReader("hello\n"), nil },
	}}, &measure.Cred{})

	e, err := evidence.Collect(m, tpm, []byte("nonce"))
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := verify.Verify(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range verdict.Findings {
		if f.Severity == verify.Failure {
			fmt.Println(f.Code, f.Where())
		}
	}
	fmt.Println("quote verified:", verdict.Quote.Verified)
	// Output:
	// replay-mismatch sha1 PCR 10
	// replay-mismatch sha256 PCR 10
	// replay-mismatch sha384 PCR 10
	// replay-mismatch sha512 PCR 10
	// quote verified: true
}

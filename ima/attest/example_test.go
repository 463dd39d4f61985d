package attest_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/attest"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// A kernel's IMA measures /sbin/init into an emulated TPM.
func Example() {
	t := &testing.T{} // in a test, its own t

	ctx, device := context.Background(), emulatortest.New(t)
	tpm, err := attest.New(ctx, device)
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

	list, err := m.ReadSecurityFile("ascii_runtime_measurements")
	if err != nil {
		t.Fatal(err)
	}
	pcrs, err := attest.ReadPCRs(ctx, device)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%sPCR 10 %s\n", list, pcrs[ima.SHA256][10])
	// Output:
	// 10 6bdad7efa602f84ca31ffe3f11ff7c476e25dcdd ima-ng sha256:7b6436b0c98f62380866d9432c2af0ee08ce16a171bda6951aecd95ee1307d61 boot_aggregate
	// 10 f572b70206a4c4fa932bc4c40515375506d5d34d ima-ng sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 /sbin/init
	// PCR 10 b1a0858af4fd62a9394451fb4dbada2ffe819bda8ed7ef9db5db856913438090
}

package clients_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	tpmtransport "github.com/google/go-tpm/tpm2/transport"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// chip is a TPM with one bank, as IMA sees it.
type chip struct{ tpmtransport.TPM }

func (chip) Banks() []ima.Bank { return []ima.Bank{ima.BankOf(ima.SHA256)} }

func (c chip) ReadPCR(bank ima.Bank, pcr int) ([]byte, error) {
	one := tpm2.TPMSPCRSelection{Hash: tpm2.TPMAlgID(bank.AlgID), PCRSelect: tpm2.PCClientCompatible.PCRs(uint(pcr))}
	rsp, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{one}}}.Execute(c)
	if err != nil {
		return nil, err
	}
	return rsp.PCRValues.Digests[0].Buffer, nil
}

func (c chip) PCRExtend(pcr int, digests [][]byte) error {
	sha256 := tpm2.TPMTHA{HashAlg: tpm2.TPMAlgSHA256, Digest: digests[0]}
	extend := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{sha256}},
	}
	_, err := extend.Execute(c)
	return err
}

// A kernel's IMA measures /sbin/init into an emulated TPM.
func Example_ima() {
	t := &testing.T{} // in a test, its own t

	kernel, err := measure.KernelByRelease("6.12")
	if err != nil {
		t.Fatal(err)
	}
	m, err := measure.New(measure.Config{Kernel: kernel, CommandLine: "ima_policy=tcb"})
	if err != nil {
		t.Fatal(err)
	}
	tpm := chip{emulatortest.New(t).Client()}
	if err := m.Init(func() measure.TPM { return tpm }); err != nil { // a func that returns nil: TPM-bypass
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

	pcr10, err := tpm.ReadPCR(ima.BankOf(ima.SHA256), 10)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%sPCR 10 %x\n", list, pcr10)
	// Output:
	// 10 6bdad7efa602f84ca31ffe3f11ff7c476e25dcdd ima-ng sha256:7b6436b0c98f62380866d9432c2af0ee08ce16a171bda6951aecd95ee1307d61 boot_aggregate
	// 10 f572b70206a4c4fa932bc4c40515375506d5d34d ima-ng sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 /sbin/init
	// PCR 10 b1a0858af4fd62a9394451fb4dbada2ffe819bda8ed7ef9db5db856913438090
}

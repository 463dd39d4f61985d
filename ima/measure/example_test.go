package measure_test

import (
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// printTPM is a TPM with one bank that prints what is extended.
type printTPM struct{}

func (printTPM) Banks() []ima.Bank { return []ima.Bank{ima.BankOf(ima.SHA256)} }

func (printTPM) ReadPCR(bank ima.Bank, _ int) ([]byte, error) {
	return make([]byte, bank.DigestSize), nil
}

func (printTPM) PCRExtend(index int, digests [][]byte) error {
	fmt.Printf("PCR %d: %x…\n", index, digests[0][:4])
	return nil
}

// A kernel boots with ima_policy=tcb, and init is executed.
func ExampleIMA() {
	kernel, err := measure.KernelByRelease("6.12")
	if err != nil {
		log.Fatal(err)
	}
	m, err := measure.New(measure.Config{
		Kernel:      kernel,
		CommandLine: "quiet ima_policy=tcb",
		Log:         func(line string) { fmt.Println(line) },
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Init(func() measure.TPM { return printTPM{} }); err != nil {
		log.Fatal(err)
	}
	init := &measure.File{Path: "/sbin/init", Read: true, Inode: &measure.Inode{
		Superblock: &measure.Superblock{Magic: 0xef53, FSName: "ext4", IVersion: true},
		Mode:       0o100755,
		Content:    func() (io.Reader, error) { return strings.NewReader("hello\n"), nil },
	}}
	m.BprmCheck(init, &measure.Cred{})
	list, err := m.ReadSecurityFile("ascii_runtime_measurements")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(list))
	// Output:
	// ima: Allocated hash algorithm: sha256
	// PCR 10: 7b400d2d…
	// ima: No architecture policies found
	// PCR 10: aac8cae3…
	// 10 6bdad7efa602f84ca31ffe3f11ff7c476e25dcdd ima-ng sha256:7b6436b0c98f62380866d9432c2af0ee08ce16a171bda6951aecd95ee1307d61 boot_aggregate
	// 10 f572b70206a4c4fa932bc4c40515375506d5d34d ima-ng sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 /sbin/init
}

package ima_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/swtpmd/swtpmd/ima"
)

// Does a list say what a TPM's PCRs say? This one is of a Debian kernel that
// cannot allocate sha384, so its bank was extended with padded sha1 digests.
func ExampleCompare() {
	file, err := os.ReadFile("testdata/lists/debian-6.1-file.ascii")
	if err != nil {
		log.Fatal(err)
	}
	values, err := os.ReadFile("testdata/lists/debian-6.1-file.pcrs.json")
	if err != nil {
		log.Fatal(err)
	}
	var pcrs ima.PCRs
	if err := json.Unmarshal(values, &pcrs); err != nil {
		log.Fatal(err)
	}
	list, err := ima.Open(file, ima.Format{})
	if err != nil {
		log.Fatal(err)
	}
	c, err := ima.Compare(list, pcrs)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d records, %d violations, %d damaged\n", c.Records, c.Violations, len(c.Damaged))
	for _, b := range c.BootAggregates {
		fmt.Printf("%s: zero %t, of the PCRs %t\n", b.Name, b.Zero, b.Match)
	}
	for _, bank := range c.Banks {
		match, ok := bank.Match()
		fmt.Printf("%s PCR %d: %t, %s\n", bank.Bank, bank.PCR, ok, match.Digests)
	}
	// Output:
	// 10 records, 3 violations, 0 damaged
	// boot_aggregate: zero false, of the PCRs true
	// sha1 PCR 10: true, per-bank digests
	// sha256 PCR 10: true, per-bank digests
	// sha384 PCR 10: true, padded sha1 digests
	// sha512 PCR 10: true, padded sha1 digests
}

// A list is replayed record by record, however long it is.
func ExampleReplay() {
	file, err := os.Open("testdata/lists/debian-6.1-crit.bin")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	list, err := ima.NewBinaryReader(file, ima.Format{Order: ima.LittleEndian})
	if err != nil {
		log.Fatal(err)
	}
	bank := ima.ReplayBank{Bank: ima.SHA256, Digests: ima.PerBank}
	replay, err := ima.NewReplay(bank)
	if err != nil {
		log.Fatal(err)
	}
	var rec ima.Record
	for {
		err := list.Read(&rec)
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		intact, err := replay.Extend(&rec)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(rec.Name(), intact)
	}
	fmt.Printf("PCR 10: %x\n", replay.PCR(bank, 10))
	// Output:
	// boot_aggregate true
	// kernel_version true
	// PCR 10: 40098eec61b04882a77d6f92dee4bb1c6fe11375165a2c5d954f329c07822e27
}

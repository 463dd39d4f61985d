package emulator_test

import (
	"context"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A TPM with everything by default takes bytes and gives bytes.
func Example() {
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := tpm.Init(); err != nil {
		fmt.Println(err)
		return
	}
	startup := []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0}
	for range 2 {
		response, err := tpm.Send(context.Background(), 0, startup)
		fmt.Printf("%x %v\n", response, err)
	}
	// Output:
	// 80010000000a00000000 <nil>
	// 80010000000a00000100 <nil>
}

// A Go client that uses google/go-tpm talks to the TPM through
// emulatortest.Client.
func Example_goTPM() {
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA256}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := tpm.Init(); err != nil {
		fmt.Println(err)
		return
	}
	client := emulatortest.Client{TPM: tpm, Locality: 3}
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(client); err != nil {
		fmt.Println(err)
		return
	}
	rsp, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(0)}}}}.Execute(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("PCR 0 is %x: started at locality 3\n", rsp.PCRValues.Digests[0].Buffer[28:])
	// Output: PCR 0 is 00000003: started at locality 3
}

// Commands is the table for a list of what is supported.
func ExampleCommands() {
	for _, c := range emulator.Commands() {
		if c.Chapter == "Clocks and Timers" {
			fmt.Printf("TPM2_%s 0x%03X since %s implemented %v\n", c.Name, uint32(c.Code), c.Since, c.Implemented())
		}
	}
	// Output:
	// TPM2_ClockSet 0x128 since 1.16 implemented true
	// TPM2_ClockRateAdjust 0x130 since 1.16 implemented true
	// TPM2_ReadClock 0x181 since 1.16 implemented true
}

// A snapshot is a point to come back to, as often as one likes: each attempt of
// a test starts with the same keys, sessions, PCRs and random numbers.
func ExampleTPM_Snapshot() {
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := tpm.Init(); err != nil {
		fmt.Println(err)
		return
	}
	client := emulatortest.Client{TPM: tpm}
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(client); err != nil {
		fmt.Println(err)
		return
	}
	snapshot, err := tpm.Snapshot()
	if err != nil {
		fmt.Println(err)
		return
	}
	var drawn []string
	for range 2 {
		if err := tpm.Restore(snapshot); err != nil {
			fmt.Println(err)
			return
		}
		rsp, err := tpm2.GetRandom{BytesRequested: 16}.Execute(client)
		if err != nil {
			fmt.Println(err)
			return
		}
		drawn = append(drawn, string(rsp.RandomBytes.Buffer))
	}
	fmt.Println("the same random bytes:", drawn[0] == drawn[1])
	// Output: the same random bytes: true
}

package state_test

import (
	"fmt"
	"log"
	"os"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
)

// A TPM that is there again after its process has ended.
func ExampleOpenDirectory() {
	dir, err := os.MkdirTemp("", "tpm")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 2 {
		store, err := state.OpenDirectory(dir, state.DirectoryOptions{})
		if err != nil {
			log.Fatal(err) // a *state.LockedError if another TPM lives there
		}
		tpm, err := emulator.New(emulator.Platform{Store: store}, emulator.Config{})
		if err != nil {
			log.Fatal(err)
		}
		if err := tpm.Init(); err != nil {
			log.Fatal(err) // a *state.FileError if the state is damaged
		}
		client := emulatortest.Client{TPM: tpm}
		if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(client); err != nil {
			log.Fatal(err)
		}
		rsp, err := tpm2.ReadClock{}.Execute(client)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("resetCount", rsp.CurrentTime.ClockInfo.ResetCount)
		if err := store.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// resetCount 1
	// resetCount 2
}

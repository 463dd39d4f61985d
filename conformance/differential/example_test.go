package differential_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/swtpmd/swtpmd/conformance/differential"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/transport"
)

func ExampleCampaign() {
	target := differential.Target{
		Name: "emulator",
		Fresh: func(context.Context) (transport.Device, error) {
			tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
			if err != nil {
				return nil, err
			}
			return tpm, tpm.Init()
		},
	}
	report, err := differential.Campaign{
		Ours: target, Theirs: target, Seed: 1, Packets: 300, Sequences: 2, Power: 2,
	}.Run(context.Background())
	fmt.Println(report.Unexplained(), len(report.Layers), err)
	// Output: 0 3 <nil>
}

func ExampleReadScript() {
	script, err := differential.ReadScript(strings.NewReader("init\nsend 0 80010000000c000001440000\n"))
	fmt.Print(script)
	fmt.Println(err)
	// Output:
	// init
	// send 0 80010000000c000001440000 # Startup
	// <nil>
}

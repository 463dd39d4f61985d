package differential_test

import (
	"context"
	"fmt"

	"github.com/swtpmd/swtpmd/conformance/differential"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/transport"
)

func ExampleCampaign() {
	target := conversation.Target{
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

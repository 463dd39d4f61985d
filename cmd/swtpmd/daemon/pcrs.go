package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/ima/attest"
	"github.com/swtpmd/swtpmd/transport"
)

// pcrs reads the PCRs of a daemon's TPM. channels are its control channels. The errors
// are for somebody who can
// start a guest and not call a function.
func pcrs(ctx context.Context, tpm transport.Device, channels []*options.Endpoint) (control.PCRs, error) {
	read, err := attest.ReadPCRs(ctx, tpm)
	switch {
	case errors.Is(err, emulator.ErrNoPower):
		ways := []string{"start the guest"}
		for _, e := range channels {
			if e.Network == "unix" {
				ways = append(ways, "run swtpm_ioctl --unix "+shellQuote(e.Address)+" -i")
				break
			}
		}
		ways = append(ways, "begin with --flags=startup-clear")
		return nil, errors.New("the TPM has no power: " + strings.Join(ways, ", or "))
	case errors.Is(err, wire.RCInitialize):
		return nil, fmt.Errorf("the TPM has had no TPM2_Startup, which a guest's firmware sends: wait for it, or run tpm2_startup -c: %w", err)
	case err != nil:
		return nil, err
	}
	values := control.PCRs{}
	for algo, bank := range read {
		name := algo.String()
		values[name] = make(map[int]string)
		for pcr, value := range bank {
			values[name][pcr] = hex.EncodeToString(value)
		}
	}
	return values, nil
}

package daemon

import (
	"context"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/fleet/machine"
)

// watchedTPM is a TPM whose failure mode the log tells. Everything but that is the TPM
// itself.
type watchedTPM struct {
	*emulator.TPM
	failures machine.Failures
}

// Send looks for the cause where the answer is TPM_RC_FAILURE.
func (w *watchedTPM) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	response, err := w.TPM.Send(ctx, locality, command)
	if err == nil && transport.ResponseCode(response) == transport.RCFailure {
		w.failures.Look(w.Failure)
	}
	return response, err
}

// Init leaves failure mode, or begins it where there is no entropy.
func (w *watchedTPM) Init() error {
	err := w.TPM.Init()
	w.failures.Look(w.Failure)
	return err
}

// PowerOff leaves failure mode.
func (w *watchedTPM) PowerOff() error {
	err := w.TPM.PowerOff()
	w.failures.Look(w.Failure)
	return err
}

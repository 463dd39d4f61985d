package conform

import (
	"context"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// FailureModeError is a TPM that is in failure mode after a case, and that nothing may reset.
type FailureModeError struct {
	// Case is the name of the case.
	Case string
}

func (e *FailureModeError) Error() string {
	return fmt.Sprintf("the TPM is in failure mode since the case %q: it answers TPM_RC_FAILURE to all that is asked; reset it, and ask that case alone", e.Case)
}

// recoverFrom finds out whether a TPM is in failure mode after a case that failed, in which it
// answers TPM_RC_FAILURE to nearly every command until a reset (Part 1, section "Failure
// Mode"). With leave to destroy and a channel for that it resets the TPM.
func (r *Runner) recoverFrom(ctx context.Context, result *Result) error {
	clock := conformance.Packet{Code: uint32(tpm2.TPMCCReadClock)}
	answer, err := r.ask(ctx, clock)
	if err != nil || tpm2.TPMRC(answer.Code) != tpm2.TPMRCFailure {
		return err
	}
	if !r.options.Destructive || !r.state.Features.Power {
		return &FailureModeError{Case: result.Case.Name}
	}
	if err := r.restart(ctx, false); err != nil {
		return err
	}
	if answer, err = r.ask(ctx, clock); err != nil {
		return err
	}
	if tpm2.TPMRC(answer.Code) == tpm2.TPMRCFailure {
		return &FailureModeError{Case: result.Case.Name}
	}
	if result.Why == "" {
		result.Why = fmt.Sprintf("expected %s, got %s", result.Expected(), CodeName(result.Got))
	}
	result.Why += "; the TPM was in failure mode then, and was reset"
	return nil
}

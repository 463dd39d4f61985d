package conform

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
)

// managerLayer is the layer in response codes that a resource manager gives in place of the
// TPM (TSS2_RESMGR_TPM_RC_LAYER, TCG TSS 2.0 Overview and Common Structures).
const (
	managerLayer = 11 << 16
	layerMask    = 0xff << 16
)

// refusals are what Linux's resource manager answers to a write or read where it does not
// pass the command or the response on (drivers/char/tpm/tpm2-space.c).
var refusals = []struct {
	errno syscall.Errno
	why   string
}{
	{syscall.EINVAL, "it refuses handles that are not of its own objects, and commands without room for them"},
	{syscall.ENOMEM, "it has room for 3 objects and 3 sessions"},
	{syscall.EFAULT, "it cannot load or save its own objects and sessions any more"},
	{syscall.E2BIG, "it takes no command that is as long"},
}

// managerError is what a resource manager has answered by itself, or kept from the TPM. So
// does the kernel's device without one with a command that its buffer has no room for.
type managerError struct {
	command, why string
	// device says that it was the device: nothing is lost.
	device bool
}

func (e *managerError) Error() string {
	who := "resource manager"
	if e.device {
		who = "the kernel's device"
	}
	return fmt.Sprintf("%s, %s: %s", who, e.command, e.why)
}

// managed returns what a resource manager has done instead of the TPM, nil if nothing; or
// that the kernel's device takes no command that is as long (drivers/char/tpm/tpm-dev-common.c,
// tpm_common_write).
func (r *Runner) managed(outcome conversation.Outcome, err error) error {
	manager := r.options.ResourceManager
	if err == nil && !manager {
		return nil
	}
	command := nameOf(&conversation.Step{Data: outcome.Sent})
	for _, known := range refusals {
		if errors.Is(err, known.errno) && (manager || known.errno == syscall.E2BIG) {
			return &managerError{command: command, why: fmt.Sprintf("%v: %s", known.errno, known.why), device: !manager}
		}
	}
	if code := outcome.Code(); manager && err == nil && code&layerMask == managerLayer {
		return &managerError{command: command, why: fmt.Sprintf("it answers %s itself", CodeName(tpm2.TPMRC(code&^layerMask)))}
	}
	return nil
}

// reopen begins again with a resource manager that has refused a command. All objects and
// sessions of the file before are gone with it.
func (r *Runner) reopen(ctx context.Context) error {
	if r.options.Reopen == nil {
		return nil
	}
	device, err := r.options.Reopen(context.WithoutCancel(ctx))
	if err != nil {
		return &GoneError{Case: r.current, Command: "the resource manager is opened again", Err: err}
	}
	r.clock.Device = device
	r.made.contexts = nil
	clear(r.loaded)
	clear(r.state.fixtures)
	return nil
}

package chardev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// ErrUnsupported is the error of a system without these devices.
var ErrUnsupported = errors.New("character devices that serve a TPM are Linux' own, and this system is another")

// ErrHungUp is the error of a device whose other end has gone. For a Proxy it means
// that the kernel did not register the TPM, because it refused one of the first
// commands: the kernel's log tells which.
var ErrHungUp = errors.New("the other end of the device has hung up")

// Responder answers TPM commands; a *swtpm.Server is one. The context ends when nobody
// waits for the response any more. An empty response is not written.
type Responder interface {
	Respond(ctx context.Context, command []byte) (response []byte)
}

// ControllerPath is the controller of the vTPM proxy.
const ControllerPath = "/dev/vtpmx"

// ProxyError is what kept the kernel from making a TPM.
type ProxyError struct {
	// Making is set if the controller is open and makes none.
	Making bool
	Err    error
}

func (e *ProxyError) Error() string {
	hint := ""
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		hint = "; load the kernel's module: modprobe tpm_vtpm_proxy"
	case errors.Is(e.Err, syscall.EPERM) && e.Making:
		hint = "; the kernel makes TPMs for processes with CAP_SYS_ADMIN only"
	case errors.Is(e.Err, fs.ErrPermission):
		hint = "; it takes root, or the permission to read and write " + ControllerPath
	}
	if e.Making {
		return fmt.Sprintf("no TPM from %s: %v%s", ControllerPath, e.Err, hint)
	}
	return fmt.Sprintf("%v%s", e.Err, hint)
}

// Unwrap returns what the kernel said.
func (e *ProxyError) Unwrap() error { return e.Err }

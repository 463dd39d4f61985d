// Package chardev answers the TPM commands that come from a character device, at the
// end that is not the client's: each command is read, and its response written.
//
// The device that matters is the kernel's vTPM proxy (module tpm_vtpm_proxy,
// drivers/char/tpm/tpm_vtpm_proxy.c). A Controller, which is /dev/vtpmx, makes TPMs of
// the running kernel: /dev/tpmN, and the kernel's own driver and resource manager above
// it. The commands of a Proxy come to this process. A TPM is there as long as its Proxy
// is open.
//
// Any other device at which TPM commands arrive as a stream of bytes is opened by its
// path or taken over as a descriptor: a virtio port, a serial line, a pseudo-terminal.
//
// All of it is Linux'. Elsewhere the functions return ErrUnsupported.
package chardev

// Package cuse makes a character device /dev/NAME of which this process is the driver,
// and serves a TPM there as swtpm's interface cuse does: a write is a command, reads are
// its response, and the control requests are ioctls (swtpm's
// include/swtpm/tpm_ioctl.h; its manual page swtpm_ioctls(3)).
//
// The kernel's side is CUSE (fs/fuse/cuse.c): each system call on the device comes from
// /dev/cuse as a request of the FUSE protocol and is answered there
// (include/uapi/linux/fuse.h). Structures are in the machine's byte order.
//
// As with swtpm the device is opened by one client at a time. Otherwise it goes
// further: the control requests work while a command runs, CANCEL_TPM_CMD cancels any
// command, and poll(2) tells when the response is there.
//
// It is Linux' own. Elsewhere Open returns ErrUnsupported.
package cuse

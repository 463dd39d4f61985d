// Package lab boots an unmodified Debian kernel in QEMU with a software TPM and
// says what the kernel's IMA made of it.
//
// A boot has three parts. The host part (Tools, Kernel, Initramfs) gets what a
// fresh machine lacks. Run starts the TPM and QEMU, talks to the guest's init
// over a serial port of its own, and brings home a Record: what the guest saw, what
// the TPM saw, what the console said. Judge makes a Verdict of a Record and
// needs nothing else, so that it can be tested without a machine.
//
// The guest decides nothing: guest.sh, its init, executes one order after the
// other (collect, await, bind, policy, reboot, poweroff) and answers each, in
// the format that Wire decodes. Nothing in this package waits by sleeping; the
// only polling is the guest's bounded wait for a TPM that is still on its way.
package lab

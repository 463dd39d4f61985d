// Package lab boots an unmodified Debian kernel in QEMU with a software TPM and
// reports what the kernel's IMA measured.
//
// A boot has three parts. [FindTools], [DebianKernel] and [Initramfs] get what a fresh
// machine lacks. [Run] starts the TPM and QEMU, talks to the guest's init over a serial
// port that nothing else uses, and returns a [Record]: the guest's reports, the TPM's
// view, the console. [Judge] makes a [Verdict] from a Record and needs nothing else, so
// that it can be tested without a machine.
//
// The guest decides nothing: guest.sh, its init, executes one order after the
// other (collect, await, bind, policy, reboot, poweroff) and answers each, in
// the format that [Wire] decodes. Nothing in this package waits by sleeping; the
// only polling is the guest's bounded wait for a TPM that has not registered yet.
package lab

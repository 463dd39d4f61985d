// Package measure is the measuring half of the Linux kernel's Integrity
// Measurement Architecture, bit for bit: the start with a TPM or without one, the
// policy, the hooks, the list and what is extended into the TPM. Package ima reads
// and checks the lists that it makes.
//
// It is written in the kernel's words, and each file names the kernel's file it
// follows (security/integrity/ima, unless it says otherwise):
//
//	config.go                  Kconfig and command line          ima_main.c, ima_template.c
//	kconfig.go                 a kernel's configuration file     Kconfig, crypto/Kconfig
//	kernel.go                  in what kernels differ
//	kernel_changes.go          since which release
//	kernel_release.go          the profile of a release
//	init.go slots.go           the start, TPM-bypass             ima_init.c, ima_crypto.c
//	policy.go policy_*.go      rules, their language, built-ins  ima_policy.c
//	main.go                    hooks on files, violations        ima_main.c
//	buffer.go                  hooks on buffers                  ima_main.c
//	queue.go                   list, hash table, extend          ima_queue.c
//	queue_keys.go              keys and their queue              ima_queue_keys.c
//	fs_security.go             the files in securityfs           ima_fs.c
//	kexec.go                   the list and kexec                ima_kexec.c
//
// [New] reads a kernel's configuration and command line, [IMA.Init] starts IMA
// with a TPM or without one, and then its hooks are called with the files and
// buffers of a simulated system. A [Kernel] profile selects what differs between
// releases; [KernelByRelease] has those of Linux since 6.1.
//
// Appraisal is not done: rules to appraise, audit or hash are read and matched,
// and that is all. Changes below a stacked file system and namespaces are not
// modeled.
//
// The package knows a TPM only as a [TPM]: an [Extender] and an [ima.PCRReader].
// It keeps no package state.
package measure

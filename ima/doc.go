// Package ima is the measuring half of the Linux kernel's Integrity
// Measurement Architecture, bit for bit: measurement lists, templates, what is
// extended into a TPM's PCRs, the boot aggregate, the policy and the hooks.
//
// It is written in the kernel's words and cut along the kernel's files
// (security/integrity/ima); each file here names the one it follows:
//
//	crypto.go                  hash registry                     crypto/hash_info.c
//	sm3.go                     SM3                               crypto/sm3_generic.c
//	aggregate.go               boot aggregate                    ima_crypto.c
//	template.go                template table, custom formats    ima_template.c
//	template_lib.go            encodings of the fields           ima_template_lib.c
//	record.go api.go           records of events                 ima_api.c
//	record_decode.go           records of logs in other forms
//	fs_binary.go fs_ascii.go   the two forms of the list         ima_fs.c
//	fs_open.go                 what a list is                    ima_fs.c
//	fs_security.go             the files in securityfs           ima_fs.c
//	replay.go compare.go       what the list does to the PCRs    ima_queue.c
//	queue.go                   list, hash table, extend          ima_queue.c
//	config.go                  Kconfig and command line          ima_main.c, ima_template.c
//	init.go slots.go           the start, TPM-bypass             ima_init.c, ima_crypto.c
//	main.go                    hooks on files, violations        ima_main.c
//	buffer.go                  hooks on buffers                  ima_main.c
//	queue_keys.go              keys and their queue              ima_queue_keys.c
//	policy.go policy_*.go      rules, their language, built-ins  ima_policy.c
//	kexec.go                   the list and kexec                ima_kexec.c
//	kernel.go kernelchanges.go in what kernels differ
//	release.go                 which profile a release has
//
// A measurement list is read record by record with a [BinaryReader] or an
// [ASCIIReader], replayed with a [Replay], or, in one call, compared with the
// PCR values of a TPM by [Compare].
//
// The measuring side is an [IMA]: New reads a kernel's configuration and command
// line, Init starts it with a TPM or without one, and then its hooks are called
// with the files and buffers of a simulated system. A [Kernel] profile selects
// what differs between releases. Appraisal is not done: rules to appraise, audit
// or hash are read and matched, and that is all. Changes behind a stacked file
// system and namespaces are not modelled.
//
// Values that the kernel stores in its own byte order (the lengths in a list
// above all) are little-endian unless a [Format] says otherwise. Digests are
// raw bytes, never hex, except in the ASCII list and in JSON.
//
// This package knows a TPM only as an [Extender] and a [PCRReader]. It uses the
// standard library alone and keeps no package state.
package ima

// Package ima reads, writes and checks the measurement lists of the Linux
// kernel's Integrity Measurement Architecture: their records and templates,
// their two forms, what they extend into a TPM's PCRs, and the boot aggregate.
// Package ima/measure makes such lists, as a kernel does.
//
// It is written in the kernel's words, and each file names the kernel's file it
// follows (security/integrity/ima, unless it says otherwise):
//
//	crypto.go                  hash registry                     crypto/hash_info.c
//	sm3.go                     SM3                               crypto/sm3_generic.c
//	bank.go                    PCR banks and values              include/linux/tpm.h
//	order.go                   byte order
//	template.go                template table, custom formats    ima_template.c
//	template_lib.go            encodings of the fields           ima_template_lib.c
//	event.go                   what fields are filled from       ima_template_lib.c
//	record.go api.go           records, records of events        ima_api.c
//	record_decode.go           records of logs in other forms
//	format.go                  what a list is, where it is wrong
//	fs_binary.go fs_ascii.go   the two forms of the list         ima_fs.c
//	fs_open.go                 finds out what a list is          ima_fs.c
//	replay.go                  what the list does to the PCRs    ima_queue.c
//	aggregate.go               boot aggregate                    ima_crypto.c
//	compare.go                 a list and the PCRs of a TPM
//
// Read a measurement list record by record with [NewReader], which finds out what
// the list is, or with a [BinaryReader] or an [ASCIIReader]. Replay it with a
// [Replay], or compare it with the PCR values of a TPM in one call to [Compare].
//
// Values that the kernel stores in its own byte order (above all the lengths in a
// list) are little-endian unless a [Format] says otherwise. Digests are raw bytes,
// never hex, except in the ASCII list and in JSON.
//
// The package knows a TPM only as a [PCRReader]. It uses the standard library
// alone and keeps no package state.
package ima

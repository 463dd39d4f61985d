// Package ima is the measuring half of the Linux kernel's Integrity
// Measurement Architecture, bit for bit: measurement lists, templates, what is
// extended into a TPM's PCRs, the boot aggregate, the policy and the hooks.
//
// It is written in the kernel's words and cut along the kernel's files
// (security/integrity/ima); each file here names the one it follows:
//
//	crypto.go aggregate.go   hash registry, boot aggregate     ima_crypto.c
//	template.go              template table, custom formats    ima_template.c
//	template_lib.go          field encodings                   ima_template_lib.c
//	api.go record.go         records of events                 ima_api.c
//	fs_binary.go fs_ascii.go the two forms of the list         ima_fs.c
//	replay.go compare.go     what the list does to the PCRs    ima_queue.c
//
// A measurement list is read record by record with a [BinaryReader] or an
// [ASCIIReader], replayed with a [Replay], or, in one call, compared with the
// PCR values of a TPM by [Compare].
//
// Values that the kernel stores in its own byte order (the lengths in a list
// above all) are little-endian unless a [Format] says otherwise. Digests are
// raw bytes, never hex, except in the ASCII list and in JSON.
//
// This package knows a TPM only as a [PCRReader]. It uses the
// standard library alone and keeps no package state.
package ima

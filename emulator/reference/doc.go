// Package reference runs the TPM 2.0 implementations of others, each as a
// transport.Device, so that the emulator can be compared with them command by
// command. Nothing the daemon ships imports it; it serves tests and campaigns.
//
// Two references exist, each in a process of its own.
//
//   - Simulator is the TCG reference code (Microsoft's 2019 edition, library
//     revision 1.54) as github.com/google/go-tpm-tools/simulator builds it,
//     through cgo. Its process is this program again, as a worker: importing this
//     package is enough for that. Every command arrives at locality 0.
//   - SWTPM is a process of the swtpm program with libtpms. It knows
//     localities 0 to 4.
//
// A process that ends, or does not answer, gives an *EndedError, and the next
// Manufacture starts another one. InProcess is the reference code without a
// process of its own, for benchmarks.
//
// Both can lose power at any time and take the _TPM_Hash_Start, _TPM_Hash_Data
// and _TPM_Hash_End signals. Both share ancestry, so their agreement proves
// less than the text of TPM 2.0 Library Part 3.
package reference

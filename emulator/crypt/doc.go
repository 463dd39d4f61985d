// Package crypt holds the cryptography of the TPM: the registry of algorithms
// that everything else asks (decoders, GetCapability, self-test), the hashes
// and the random bit generator. It follows TPM 2.0 Library Part 1, annexes on
// algorithms, and the TCG Algorithm Registry rev 1.34.
//
// Nothing here keeps state of its own: a DRBG works on a value
// that its owner keeps, and registries are read-only once built.
package crypt

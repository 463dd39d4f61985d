// Package crypt holds the cryptography of the TPM: the registry of algorithms
// that everything else asks (decoders, GetCapability, self-test), the hashes
// and the random bit generator. It follows TPM 2.0 Library Part 1, annexes on
// algorithms, and the TCG Algorithm Registry rev 1.34. Of version 185 of the library it
// has ML-KEM, ML-DSA and HashML-DSA, EdDSA and X25519 of curve 25519, DHKEM and SHAKE256;
// of curve 448 it has nothing.
//
// Nothing here keeps state of its own: a DRBG works on a value
// that its owner keeps, and registries are read-only once built.
package crypt

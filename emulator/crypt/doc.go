// Package crypt holds the cryptography of the TPM: the registry of algorithms
// that everything else asks (decoders, GetCapability, self-test), the hashes
// and the random bit generator. It follows TPM 2.0 Library Part 1, annexes on
// algorithms, and the TCG Algorithm Registry rev 1.34. Of version 185 of the library it
// has ML-KEM, ML-DSA and HashML-DSA, EdDSA and key exchange of curves 25519 and 448, DHKEM
// and SHAKE256.
//
// Nothing here keeps state of its own: a DRBG works on a value
// that its owner keeps, and registries are read-only once built.
package crypt

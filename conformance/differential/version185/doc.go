// Package version185 holds a TPM against a model of version 185 of the TPM 2.0 Library:
// ML-KEM, ML-DSA, HashML-DSA, EdDSA, HashEdDSA, DHKEM, and the eight commands that came
// with them. There is no reference implementation to compare with, so the other side is
// the client's.
//
// [Play] draws a conversation from a seed. It makes keys of all types, parameter sets and
// schemes, with attributes that fit and others; uses them in the new commands and in the
// old ones; and knows before each command which response code the answer has. Of a
// success it checks every output with crypto/mlkem, filippo.io/mldsa, crypto/ed25519,
// crypto/ecdh and packages lattice and curve448. The emulator has code of its own for
// ML-KEM, ML-DSA and verification of Ed25519; to sign with Ed25519 and for ECDH with the
// other curves both sides stand on the standard library. With curve 448 they share no
// arithmetic: the emulator's is that of circl, and package curve448 is held to the vectors
// of RFC 8032 and RFC 7748. The same seed gives the same commands.
//
// The rules of the model are those of Parts 1 to 3 with errata 1, and where the text
// leaves a choice those of docs/deviations.md, section "Version 185".
package version185

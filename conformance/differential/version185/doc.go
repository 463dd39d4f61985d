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
// ML-DSA; it computes ML-KEM and curve 448 with circl, and Ed25519 with filippo.io/edwards25519
// and code of its own. So they share no arithmetic but for ECDH with the other curves, which
// is the standard library's on both sides, and the check that 32 bytes are a point of
// Ed25519. Package curve448 is held to the vectors of RFC 8032 and RFC 7748. The same seed gives the same commands.
//
// The rules of the model are those of Parts 1 to 3 with errata 1, and where the text
// leaves a choice those of docs/deviations.md, section "Version 185".
package version185

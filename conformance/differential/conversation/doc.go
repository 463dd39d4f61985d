// Package conversation plays scripts on a TPM and checks what a caller can check.
//
// A [Script] holds nothing that only one device knows: handles, nonces, blobs and
// tickets of earlier answers are a [Hole], HMACs are a [Secret]. A [Player] plays
// the steps on one device of a [Target]. It fills the holes, makes the HMACs,
// encrypts and decrypts parameters, and checks names, creation data, policy
// digests, attestations and signatures. What became of a step is an [Outcome].
package conversation

// Package clients holds tests only: programs of others, written against
// the TPMs of others, run here against the emulator and against references.
//
//   - google/go-tpm: endorsement and attestation keys, quotes, sealing, NV, audit,
//     import, and the test suites of both of its packages
//   - google/go-tpm-tools/client: attestation, sealing to PCRs, certificates in NV
//   - google/go-attestation: attest, and its test suite
//   - the commands of version 185 with keys of every algorithm, against the libraries
//
// What a flow expects is therefore what these programs expect of a TPM, and a
// flow that a reference fails is a wrong flow.
package clients

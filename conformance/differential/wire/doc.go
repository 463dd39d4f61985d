// Package wire reads and writes the pieces of commands and responses that the
// packages of conformance/differential share: integers and sized buffers, public
// areas, attestations and signatures, the layout of every response, attributes
// (TPM 2.0 Library Part 2). It knows the specification and no device.
package wire

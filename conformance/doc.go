// Package conformance holds what every check of a TPM 2.0 from outside needs. It
// reaches the TPM through transport.Device alone and shares no code with the
// emulator: it lays commands out byte by byte (TPM 2.0 Library Part 1, section
// "Command/Response Structure", and Part 3, rev 1.59), and takes constants from
// google/go-tpm.
//
// [Packet] builds a command, well-formed or malformed on purpose. [ParseResponse]
// takes a response apart. [Commands] lists all commands of Part 3 with their handle
// areas. Package differential, below this one, compares two devices.
package conformance

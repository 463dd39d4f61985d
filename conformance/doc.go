// Package conformance looks at a TPM 2.0 from outside, through
// transport.Device alone, and trusts nobody's codec: commands are laid out
// here byte by byte after TPM 2.0 Library Part 1, section "Command/Response
// Structure", and Part 3 (rev 1.59), constants come from google/go-tpm, and
// the module's own emulator is never imported.
//
// This package holds what every check needs: Packet builds a command, sound or
// unsound on purpose; Response takes a response apart; Commands is the list of
// all commands of Part 3 with their handle areas. Package differential below
// it compares two devices.
package conformance

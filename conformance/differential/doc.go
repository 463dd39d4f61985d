// Package differential compares two TPM 2.0 implementations command by
// command. One of them is under test, the other is the reference; both are
// reached through transport.Device and nothing else.
//
// A [Campaign] draws scripts from one seed: package generator writes a script
// while it plays it on the reference, so that it knows which handles and
// authorization values are alive. Package conversation plays the script on the
// device under test, and package comparison compares the answers step by step:
//
//   - Exactly, byte by byte: every error, and every success whose content the
//     specification determines (PCR values, digests, counters, capabilities).
//   - By shape and relation where it does not: random bytes, time, tickets,
//     nonces, identity properties.
//
// What is left is a difference. An entry of the list in package known explains it,
// or it is a finding: the script is shrunk to the steps that matter and printed in
// a form that [Replay] plays again.
//
// A campaign has three layers: single commands, sound and broken in every way
// the command format allows; sequences of commands that build state; and
// scripts of power, locality and hash signals. Commands that only one of the two
// devices has, by its own TPM2_GetCapability, are counted apart: the other one has
// to answer TPM_RC_COMMAND_CODE.
package differential

// Package emulator is a TPM 2.0: bytes of commands in, bytes of responses out,
// no I/O. It follows the TPM 2.0 Library specification (Part 1 architecture,
// Part 2 structures, Part 3 commands; rev 1.59, command codes up to 1.84) and
// the PC Client Platform TPM Profile 1.05.
//
// New makes a TPM, Init gives it power, Send executes a command:
//
//	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
//	err = tpm.Init()
//	response, err := tpm.Send(ctx, 0, command)
//
// A command passes the pipeline in exec.go: header, handle area (handles.go),
// authorisation area (auth.go), parameters (call.go), and its action, which
// lives in the file named after its chapter of Part 3. What is known about a
// command besides its action is one row of the table in commands.go, which
// dispatch, decoding, authorisation and TPM2_GetCapability read, and which
// Commands gives to others. A command without action does not exist for a
// client: it answers TPM_RC_COMMAND_CODE and TPM2_GetCapability is silent
// about it.
//
// What kind of TPM it is says Config: identity, limits, algorithms, curves, banks,
// commands. A Profile is such a Config as a text with a name; Profiles lists those
// that come with the package.
//
// Time, entropy, storage and physical presence come through Platform. Time is
// read once per command and persistent state is committed at most once, after
// the command. A fault of the platform ends in failure mode (Part 1, section
// "Failure Mode").
//
// Keys are made here and nowhere else: primary objects are derived from the seed
// of their hierarchy as the reference implementation derives them, so that equal
// seeds give equal keys on both; the others come from the random generator of the
// TPM, whose whole course follows from Platform.Entropy. Equal entropy and equal
// commands therefore give equal responses, byte for byte.
//
// Snapshot and Restore have the whole TPM, the volatile part included; SaveState
// and LoadState have it in the two parts that a virtual machine moves.
package emulator

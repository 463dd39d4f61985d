// Package emulator is a TPM 2.0: bytes of commands in, bytes of responses out,
// no I/O. It follows the TPM 2.0 Library specification (Part 1 architecture,
// Part 2 structures, Part 3 commands; rev 1.59, command codes up to 1.84) and
// the PC Client Platform TPM Profile 1.05. With a [Config] of version 185 of the Library, such
// as the profile v185, it has the keys of ML-KEM, ML-DSA and EdDSA.
//
// [New] makes a TPM, [TPM.Init] gives it power, [TPM.Send] executes a command:
//
//	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
//	err = tpm.Init()
//	response, err := tpm.Send(ctx, 0, command)
//
// [Config] says what kind of TPM it is: identity, limits, algorithms, curves, banks,
// commands. A [Profile] is a Config as a text with a name; [Profiles] lists those that
// come with the package.
//
// Time, entropy, storage and physical presence come through [Platform]. Time is
// read once per command, and state is committed at most once, after the command. A
// fault of the platform ends in failure mode (Part 1, section "Failure Mode").
//
// Keys are made here and nowhere else: primary objects are derived from the seed
// of their hierarchy as the reference implementation derives them, so that equal
// seeds give equal keys on both. The others come from the random generator of the
// TPM, which [Platform.Entropy] alone determines. Equal entropy and equal commands
// therefore give equal responses, byte for byte.
//
// [TPM.Snapshot] and [TPM.Restore] have the whole TPM, the volatile part included.
// [TPM.SaveState] and [TPM.LoadState] have it in the two parts that a virtual machine
// moves.
//
// # The way of a command
//
// A command passes header, handle area, authorization area, parameters and its
// action. Each handle is looked up once, in the handle area, and becomes an entity:
// what has a Name, an authValue, a policy and dictionary attack protection. What is
// known about a command besides its action is one row of the table that [Commands]
// lists, which dispatch, decoding, authorization and TPM2_GetCapability read. A
// command without action does not exist for a client: it answers
// TPM_RC_COMMAND_CODE, and TPM2_GetCapability does not list it.
//
// # Files
//
// A file is named after what it is about, with underscores between the words; the first
// word tells where it belongs:
//
//   - cmd_: the actions of the commands, one or a few files for each chapter of Part 3
//   - tpm, power, exec, call, command, handle, entity: the way of a command
//   - session_: the table of sessions, and authorization, audit and encryption by them
//   - object_, nv_, pcr_, ticket, commitment: what commands work on
//   - state_: what may change of the state, snapshots, migration, and the comparisons
//   - config_, profile_, capability_: what kind of TPM it is, and how it tells
//   - platform, failure, drtm: the signals and faults of what surrounds the TPM
//
// # What a command may change
//
// A command that answers an error has changed nothing. There are two exceptions: what
// time itself does when a command begins, and what an authorization leaves, because a
// failed one counts whatever becomes of its command. For the others it depends on
// where the state lives (package state):
//
//   - Persistent state, persistent objects, and NV indices that are not orderly are in
//     NV. As its last check the action asks needNV, which is TPM_RC_NV_UNAVAILABLE or
//     TPM_RC_NV_RATE while the Store cannot be written. It changes the state through
//     changePersistent, or with save, or saveIndices where only indices change.
//   - Orderly state, and state that lasts until TPM Reset or TPM Restart, is in RAM, and
//     TPM2_Shutdown saves it. After a shutdown it changes only if the mark of the
//     shutdown can be removed from NV. As its last check the action asks changeOrderly,
//     which also withdraws the shutdown; where the action can still fail it asks
//     orderlyChangeable, and withdrawShutdown at its end. The PCRs are an exception: a
//     change after TPM2_Shutdown(STATE) is saved again.
//   - Volatile state is in RAM and nobody saves it. It needs neither.
//
// An authorization that leaves something calls recordAuth. When NV cannot be written,
// a failed one waits in the volatile state, and what it protects is locked out until
// it is recorded. What has changed is committed when the command ends, or when a later
// one finds the Store writable. [Config].CheckErrors compares the state before and
// after each command with these rules and panics if one is broken.
package emulator

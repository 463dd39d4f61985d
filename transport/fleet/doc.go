// Package fleet serves many TPMs from one process: to each its own sockets, its own state,
// its own kind and its own faults, and memory only while it is used.
//
// A Fleet lives in a directory. For a TPM with the name NAME there is NAME.tpm, a text
// with its Config, and the directory NAME (mode 0700) with its sockets:
//
//	tpm.sock.ctrl  swtpm's control channel
//	tpm.sock       TPM commands
//	console.sock   the guest's serial console, if the TPM depends on how far its boot is
//
// A client sees of each what it sees of swtpmd alone, but that SHUTDOWN on the control
// channel takes the power and leaves the sockets for the next guest. A fleet that is made
// on the same directory later finds the TPMs again.
//
// What happens in one TPM is its own: a panic is its failure mode, and a disk that is
// full, a client that does not read or a command that is held keeps nobody else waiting.
package fleet

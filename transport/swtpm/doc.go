// Package swtpm speaks the protocol of swtpm's sockets, server and client: what
// QEMU's tpm-emulator backend, libvirt's tools, swtpm_ioctl, swtpm_setup and
// tpm2-tss' tcti-swtpm talk to.
//
// There are two channels. The control channel carries requests of a 32-bit
// code and a payload, big-endian, and replies that begin with a 32-bit result;
// no length goes over the wire, each code implies it (swtpm's
// include/swtpm/tpm_ioctl.h; its manual page swtpm_ioctls(3)). The data
// channel carries TPM commands and responses, either bare or after a 9-byte
// prefix with the locality. QEMU makes the data channel itself and passes it
// over the control channel's unix socket (SET_DATAFD).
//
// A Server puts both in front of any transport.Device. Whatever swtpm answers
// it answers byte for byte, and where swtpm is limited it goes further:
//
//   - several control clients and several data clients at a time, passed
//     descriptors and listeners side by side; swtpm takes one of each and
//     lets the others hang,
//   - control requests while a command runs: CANCEL_TPM_CMD cancels, INIT and
//     STOP take effect at once,
//   - several requests in one segment, and one request in several,
//   - commands reassembled by their size field.
//
// The price of the third point: bytes that follow a complete request in the
// same segment are the next request if they begin with a code that exists,
// even where swtpm would call them excess and answer BAD_PARAMETER.
//
// GET_STATEBLOB and SET_STATEBLOB move the state of a transport.Migratable, in a
// form of its own that swtpm does not read. So QEMU migrates, and saves and loads
// virtual machines, between servers of this package. With another Device, QEMU
// runs and refuses to migrate. A Storage keeps volatile state for a later server, and
// two servers that share one hand it over.
//
// GET_INFO is answered from a Description, and never by a command to the TPM.
//
// QEMU that ends while a command runs closes its connections without SHUTDOWN,
// and so does QEMU that is killed: Options.TerminateWithControl ends the server
// then.
//
// A Client drives the control channel of a server, and Dial makes a
// transport.Device of both channels.
package swtpm

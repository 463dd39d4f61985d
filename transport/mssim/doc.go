// Package mssim speaks the protocol of the TPM simulator of the TCG reference code,
// server and client: what tpm2-tss' tcti-mssim, IBM's TSS, go-tpm's transport/tcp,
// canonical/go-tpm2 and wolfTPM talk to.
//
// There are two ports, a command port and a platform port, which is one higher, or at a
// unix socket the one with ".ctrl" after its name. Each request is a 32-bit code and a
// payload, big-endian; each response ends with a 32-bit acknowledgment, 0 (TpmTcpProtocol.h
// and TcpServer.c of the reference code's simulator).
//
//	command port    HASH_START, HASH_DATA, HASH_END, SEND_COMMAND, REMOTE_HANDSHAKE,
//	                SET_ALTERNATIVE_RESULT, SESSION_END, STOP
//	platform port   POWER_ON and POWER_OFF, RESET, CANCEL_ON and CANCEL_OFF, NV_ON and
//	                NV_OFF, PHYS_PRES_ON and PHYS_PRES_OFF, GET_COMMAND_RESPONSE_SIZES,
//	                TEST_FAILURE_MODE and others, SESSION_END, STOP
//
// A Server puts both in front of any transport.Device. Where the reference server is
// limited it goes further:
//
//   - many clients at a time on each port; the reference server takes one and lets the
//     others wait,
//   - platform requests while a command runs: CANCEL_ON cancels it, and POWER_OFF and
//     RESET take effect at once,
//   - a client that stalls in the middle of a request is disconnected,
//   - a response and its acknowledgment in one write, which go-tpm depends on,
//   - clients that speak swtpm's protocols on the same two ports (Options.Swtpm).
//
// A request that the server cannot execute ends its connection: on the platform port
// after the answer 1, on the command port without one, as with the reference server. So
// does SET_FW_HASH and SET_FW_SVN, as no Device here derives keys from its firmware.
//
// Dial makes a transport.Device of both ports of a server.
package mssim

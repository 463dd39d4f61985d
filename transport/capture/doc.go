// Package capture writes what passes between a TPM and its clients as pcapng, which
// Wireshark, tshark and tcpdump read, and reads such files.
//
// A capture has TCP connections that never were, between ports of a client and port
// 2321 of 127.0.0.1, for which Wireshark has a dissector of TPM 2.0. Commands that
// wait at the same time stand in connections of their own, because a connection
// carries one command after the other. What a packet cannot tell is in its comment
// (opt_comment): the locality, if it is not 0; that a response is not the TPM's; that
// a command was sent by the program itself.
//
// The format is that of the Internet-Draft draft-ietf-opsawg-pcapng, "PCAP Next
// Generation (pcapng) Capture File Format".
package capture

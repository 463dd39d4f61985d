// Package soak keeps swtpmd busy for a time, as the process that its users start:
// clients that behave well, and beside them everything that a hostile guest, a
// careless starter and an unlucky host do. It counts what became of the clients.
//
// Run is the whole. Attacks is the table of what is done beside the clients, Kill
// kills a daemon while it acknowledges writes, Transports has clients of every socket
// transport, and CutPower looks at every directory that a power cut could have left of a
// recorded run.
//
// Whatever chance decides comes from a seed, which the Report has: the same seed
// makes the same attacks in the same order. When they happen is the machine's to
// say.
package soak

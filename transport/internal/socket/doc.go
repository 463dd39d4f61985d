// Package socket turns connections into what a TPM transport serves fastest.
//
// A TPM client sends one command, waits, and sends the next. For such a
// ping-pong Go's network poller costs more than it gives: each command is a
// read that fails with EAGAIN, an epoll_wait, and often a futex to hand the
// goroutine to another thread. On Linux, Adopt therefore takes the connection
// out of the poller and back into blocking mode: one read(2) and one write(2)
// per command, and the thread sleeps in read(2). The price is one operating
// system thread per connection, which the servers bound. The benchmarks in
// this package compare both ways.
//
// Elsewhere Adopt gives the connection back as it is.
package socket

// Package raw speaks TPM commands over a stream socket with nothing around
// them: the bytes of a command go in, the bytes of its response come out, and
// the size fields of their headers are the only framing (TPM 2.0 Library
// Part 1, section "Command/Response Structure"). It is what swtpm's --server,
// a passed data descriptor and many TSS test setups speak.
//
// The framing has no room for a locality: a Server sends every command at the
// one it was made for, a Client refuses any but 0.
package raw

// Package tour runs the programs of tpm2-tools on a TPM 2.0 and checks their
// results: that the unsealed bytes are the sealed ones, that
// OpenSSL accepts the signature, that the changed PCR, the wrong value, the lock
// are refused with the code of TPM 2.0 Library Part 3 and no other.
//
// The steps are data: each file below chapters is a chapter, each line an action or
// a check. No chapter depends on another one.
//
//	# comment
//	step TOOL[,TOOL…]: what is proved about these tools
//	tpm2_… ARGUMENT…         runs a program, which must succeed; openssl may be run too
//	fails WANT PROGRAM…      … which must fail and say WANT, a response code such as 0x99D
//	eventually PROGRAM…      … which is repeated until it succeeds, for patience at most
//	from FILE PROGRAM…       … which reads the file
//	keep PROGRAM…            … after which the transient objects stay loaded
//
// The table acts has all other kinds of lines. Words are separated by
// blanks; quotes, single or double, keep blanks in a word. {NAME} is the
// value that let found, {hex:FILE} the content of a file in hexadecimal, {HEX:FILE} in capitals,
// {size:FILE} its number of bytes. The last program's
// output is the file stdout.
//
// tpm2-tools leave their transient objects for a resource manager, or for
// tpm2_flushcontext, to flush; here that happens after every program.
package tour

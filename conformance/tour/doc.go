// Package tour takes the programs of tpm2-tools through a TPM 2.0 and looks at
// what they bring back: that the unsealed bytes are the sealed ones, that
// OpenSSL accepts the signature, that the changed PCR, the wrong value, the lock
// are refused with the code of TPM 2.0 Library Part 3 and no other.
//
// The steps are data: one file a chapter below chapters, one line an action or a
// check. A chapter needs nothing of another one.
//
//	# comment
//	step TOOL[,TOOL…]: what is proved about these tools
//	tpm2_… ARGUMENT…         runs a program, which must succeed; openssl may be run too
//	fails WANT PROGRAM…      … which must fail and say WANT, a response code such as 0x99D
//	eventually PROGRAM…      … which is repeated until it succeeds, for patience at most
//	from FILE PROGRAM…       … which reads the file
//	keep PROGRAM…            … after which the transient objects stay loaded
//
// What else a line can be stands in the table acts. Words are separated by
// blanks; quotes, single or double, keep blanks in a word. {NAME} is what let
// found, {hex:FILE} the content of a file in hexadecimal, {HEX:FILE} in capitals,
// {size:FILE} its number of bytes. The last program's
// output is the file stdout.
//
// tpm2-tools expect somebody (a resource manager, or their user with
// tpm2_flushcontext) to flush the transient objects that one program after the
// other leaves behind; here that happens after every program.
package tour

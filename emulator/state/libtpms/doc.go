// Package libtpms reads the permanent state of a TPM 2.0 that swtpm has written with
// libtpms (tpm2-00.permall), and makes it the state of this module's TPM: seeds,
// proofs, authorization, NV indices, persistent objects, PCR banks, dictionary attack
// protection, clock and counters.
//
// All numbers are big-endian. The file is swtpm's frame (a header of 10 octets, then
// tag, length and data of each part), in which the state is plain or encrypted. The
// state is libtpms': structures that begin with a version, a magic number and, from
// version 2 on, the oldest version that may read them, and that end with a block for
// what later versions add. Read from files of libtpms 0.9.2, and from src/swtpm and
// src/tpm2/NVMarshal.c of swtpm and libtpms as of 2026.
package libtpms

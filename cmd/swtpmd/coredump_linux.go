package main

import "golang.org/x/sys/unix"

// noCoreDumps keeps the memory of this process, which has the TPM's secrets, from
// files and debuggers (PR_SET_DUMPABLE, prctl(2)).
func noCoreDumps() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

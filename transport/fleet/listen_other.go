//go:build !linux

package fleet

import "syscall"

const privateFromBind = false

func private(string, string, syscall.RawConn) error { return nil }

// writable reports whether the process is known to be able to make names in a directory.
func writable(string) bool { return false }

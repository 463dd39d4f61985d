//go:build !unix

package state

// syncDirectory does nothing where a directory cannot be synced.
func syncDirectory(string) error { return nil }

//go:build unix

package fleet

import "golang.org/x/sys/unix"

// descriptors returns how many descriptors the process may have open.
func descriptors() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1 << 62
	}
	return uint64(limit.Cur)
}

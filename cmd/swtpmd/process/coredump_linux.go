package process

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// SetCoreDumps allows core dumps and debuggers, or keeps the memory of this process,
// which has the TPM's secrets, from them (PR_SET_DUMPABLE, prctl(2)). A change of the
// user forbids them too.
func SetCoreDumps(allowed bool) error {
	dumpable := uintptr(0)
	if allowed {
		dumpable = 1
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, dumpable, 0, 0, 0)
}

// CoreDirectory is where the kernel makes a core file in this process's name,
// with its rights; "" if a program takes it (core(5), "Naming of core dump
// files").
func CoreDirectory() (string, error) {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		return "", err
	}
	name := strings.TrimSuffix(string(pattern), "\n")
	if strings.HasPrefix(name, "|") || strings.HasPrefix(name, "@") {
		return "", nil
	}
	fixed, _, _ := strings.Cut(name, "%")
	return filepath.Abs(filepath.Dir(fixed))
}

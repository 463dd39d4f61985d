package measure

import (
	"fmt"
	"strings"

	"github.com/swtpmd/swtpmd/ima/internal/clip"
	"github.com/swtpmd/swtpmd/ima/internal/release"
)

// KernelByRelease returns the profile of a kernel: the newest that is not newer
// than the release name, which is a UTS_RELEASE (uname -r) such as "6.8.0-31-generic",
// or a version as people write it, such as "6.12" or "7.3-rc1". A release
// candidate has what its release has but for the changes of later candidates. A
// stable release has what was carried back to its series; a distribution's
// number such as 6.1.0-56-amd64 does not tell, and counts for the series' first.
// The error is an UnknownKernelError.
func KernelByRelease(name string) (Kernel, error) {
	v, ok := release.Parse(name)
	if !ok {
		return Kernel{}, &UnknownKernelError{Release: name, Malformed: true}
	}
	if k, ok := kernelOf(v); ok {
		return k, nil
	}
	return Kernel{}, &UnknownKernelError{Release: name}
}

// UnknownKernelError is the answer to a release without a profile.
type UnknownKernelError struct {
	Release string
	// Malformed reports that Release is no kernel's; otherwise it is older
	// than the oldest profile.
	Malformed bool
}

func (e *UnknownKernelError) Error() string {
	if e.Malformed {
		return fmt.Sprintf("no kernel release %q; one begins with two numbers, as 6.12 or 6.1.0-56-amd64 do", clip.String(e.Release))
	}
	return fmt.Sprintf("no kernel profile for %q, which is older than the oldest one; there are %s", clip.String(e.Release), strings.Join(profiles, ", "))
}

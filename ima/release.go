package ima

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// KernelByRelease returns the profile of a kernel: the newest that is not newer
// than release, which is a UTS_RELEASE (uname -r) such as "6.8.0-31-generic",
// or a version as people write it, such as "6.12" or "7.3-rc1". A release
// candidate has what its release has but for the changes of later candidates. A
// stable release has what was carried back to its series; a distribution's
// number such as 6.1.0-56-amd64 does not tell, and counts for the series' first.
// The error is an UnknownKernelError.
func KernelByRelease(release string) (Kernel, error) {
	v, ok := parseVersion(release)
	if !ok {
		return Kernel{}, &UnknownKernelError{Release: release, Malformed: true}
	}
	if k, ok := kernelOf(v); ok {
		return k, nil
	}
	return Kernel{}, &UnknownKernelError{Release: release}
}

// SameRelease reports whether a kernel that calls itself recorded can be the one
// that wanted names. A whole UTS_RELEASE is compared whole. A version of two
// numbers, with or without -rcN, is no UTS_RELEASE, which has three: it names
// all releases that begin with it.
func SameRelease(recorded, wanted string) bool {
	if recorded == wanted {
		return true
	}
	w, ok := parseVersion(wanted)
	if !ok || !w.short {
		return false
	}
	r, ok := parseVersion(recorded)
	return ok && r.major == w.major && r.minor == w.minor && (w.rc == released || r.rc == w.rc)
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
		return fmt.Sprintf("no kernel release %q; one begins with two numbers, as 6.12 or 6.1.0-56-amd64 do", clip(e.Release))
	}
	return fmt.Sprintf("no kernel profile for %q, which is older than the oldest one; there are %s", clip(e.Release), strings.Join(profiles, ", "))
}

// version holds the parts of a release that order it by age.
type version struct {
	major, minor, patch int
	// rc is the number of a release candidate, otherwise released.
	rc int
	// short reports that the release has two numbers and no more, besides
	// those of a release candidate.
	short bool
}

const released = math.MaxInt

var (
	releaseForm   = regexp.MustCompile(`^([0-9]{1,5})\.([0-9]{1,5})(?:\.([0-9]{1,5}))?((?:[^0-9[:space:]][[:graph:]]*)?)$`)
	candidateForm = regexp.MustCompile(`(?:^|[-.~_0-9])rc([0-9]{1,3})`)
	shortForm     = regexp.MustCompile(`^[0-9]+\.[0-9]+(?:-rc[0-9]+)?$`)
)

// parseVersion reads the beginning of a release: 6.1.0-56-amd64, 7.3.0-rc1+,
// 6.8.0-0.rc1.12.fc40.x86_64, 6.12~rc6-amd64.
func parseVersion(release string) (v version, ok bool) {
	m := releaseForm.FindStringSubmatch(release)
	if m == nil {
		return v, false
	}
	// The form bounds the numbers.
	v.major, _ = strconv.Atoi(m[1])
	v.minor, _ = strconv.Atoi(m[2])
	v.patch, _ = strconv.Atoi(m[3])
	v.rc = released
	if rc := candidateForm.FindStringSubmatch(m[4]); rc != nil && v.patch == 0 {
		v.rc, _ = strconv.Atoi(rc[1])
	}
	v.short = shortForm.MatchString(release)
	return v, true
}

// reaches reports whether a kernel of this version has what came with first. A
// release without -rcN stands for its first candidate there, as new things come
// in the merge window.
func (v version) reaches(first version) bool {
	if first.rc == released {
		first.rc = 0
	}
	return cmp.Or(
		cmp.Compare(v.major, first.major), cmp.Compare(v.minor, first.minor),
		cmp.Compare(v.patch, first.patch), cmp.Compare(v.rc, first.rc),
	) >= 0
}

// after reports whether a release is newer than another, candidates counting for
// their release.
func (v version) after(other version) bool {
	return cmp.Or(
		cmp.Compare(v.major, other.major), cmp.Compare(v.minor, other.minor), cmp.Compare(v.patch, other.patch),
	) > 0
}

func (v version) sameSeries(other version) bool {
	return v.major == other.major && v.minor == other.minor
}

// String is the release without the number of a candidate.
func (v version) String() string {
	if v.patch > 0 {
		return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch)
	}
	return fmt.Sprintf("%d.%d", v.major, v.minor)
}

// mustVersion is for the releases of this package's tables.
func mustVersion(release string) version {
	v, ok := parseVersion(release)
	if !ok {
		panic("internal error: release " + release)
	}
	return v
}

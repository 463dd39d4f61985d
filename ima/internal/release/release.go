// Package release reads the names of kernel releases (UTS_RELEASE) and puts them
// in order.
package release

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"sync"
)

// Version holds the parts of a release that order it by age.
type Version struct {
	Major, Minor, Patch int
	// RC is the number of a release candidate, otherwise Released.
	RC int
	// short reports that the release has two numbers and no more, besides
	// those of a release candidate.
	short bool
}

// Released is the RC of a release that is no candidate.
const Released = math.MaxInt

var (
	releaseForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([0-9]{1,5})\.([0-9]{1,5})(?:\.([0-9]{1,5}))?((?:[^0-9[:space:]][[:graph:]]*)?)$`)
	})
	candidateForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?:^|[-.~_0-9])rc([0-9]{1,3})`) })
	shortForm     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]+\.[0-9]+(?:-rc[0-9]+)?$`) })
)

// Parse reads the beginning of a release: 6.1.0-56-amd64, 7.3.0-rc1+,
// 6.8.0-0.rc1.12.fc40.x86_64, 6.12~rc6-amd64.
func Parse(release string) (v Version, ok bool) {
	m := releaseForm().FindStringSubmatch(release)
	if m == nil {
		return v, false
	}
	// The form bounds the numbers.
	v.Major, _ = strconv.Atoi(m[1])
	v.Minor, _ = strconv.Atoi(m[2])
	v.Patch, _ = strconv.Atoi(m[3])
	v.RC = Released
	if rc := candidateForm().FindStringSubmatch(m[4]); rc != nil && v.Patch == 0 {
		v.RC, _ = strconv.Atoi(rc[1])
	}
	v.short = shortForm().MatchString(release)
	return v, true
}

// Reaches reports whether a kernel of this version has what came with first. A
// release without -rcN stands for its first candidate there, as new things come
// in the merge window.
func (v Version) Reaches(first Version) bool {
	if first.RC == Released {
		first.RC = 0
	}
	return cmp.Or(
		cmp.Compare(v.Major, first.Major), cmp.Compare(v.Minor, first.Minor),
		cmp.Compare(v.Patch, first.Patch), cmp.Compare(v.RC, first.RC),
	) >= 0
}

// After reports whether a release is newer than another, candidates counting for
// their release.
func (v Version) After(other Version) bool {
	return cmp.Or(
		cmp.Compare(v.Major, other.Major), cmp.Compare(v.Minor, other.Minor), cmp.Compare(v.Patch, other.Patch),
	) > 0
}

// SameSeries reports whether two releases differ in the patch level or the
// candidate alone.
func (v Version) SameSeries(other Version) bool {
	return v.Major == other.Major && v.Minor == other.Minor
}

// String is the release without the number of a candidate.
func (v Version) String() string {
	if v.Patch > 0 {
		return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
	}
	return fmt.Sprintf("%d.%d", v.Major, v.Minor)
}

// Same reports whether a kernel that calls itself recorded can be the one
// that wanted names. A whole UTS_RELEASE is compared whole. A version of two
// numbers, with or without -rcN, is no UTS_RELEASE, which has three: it names
// all releases that begin with it.
func Same(recorded, wanted string) bool {
	if recorded == wanted {
		return true
	}
	w, ok := Parse(wanted)
	if !ok || !w.short {
		return false
	}
	r, ok := Parse(recorded)
	return ok && r.Major == w.Major && r.Minor == w.Minor && (w.RC == Released || r.RC == w.RC)
}

package swtpm

import "fmt"

// Version is a release of swtpm that a Server imitates: which requests there are, what
// GET_CAPABILITY and GET_INFO tell, and result codes.
type Version uint8

// The versions.
const (
	// V0_10 is swtpm 0.10.0 with libtpms 0.10.0.
	V0_10 Version = iota
	// V0_7 is swtpm 0.7.1 with libtpms 0.9.2, which Debian 12 has.
	V0_7
)

// releases are the versions with what they differ in.
var releases = [...]struct {
	name, full string
	// lockStorage says that LOCK_STORAGE exists, since 0.8.
	lockStorage bool
	// info are the flags of GET_INFO, eight since 0.10.
	info uint64
	// leastBuffer is the least that SET_BUFFERSIZE takes, in bytes: what libtpms
	// needs for a saved context.
	leastBuffer uint32
	// noSuchState is what GET_STATEBLOB answers for a type that does not exist.
	noSuchState Result
}{
	V0_10: {name: "0.10", full: "0.10.0", lockStorage: true, info: infoAll, leastBuffer: 2896, noSuchState: Fail},
	V0_7:  {name: "0.7", full: "0.7.1", info: InfoSpecification | InfoAttributes | InfoFeatures, leastBuffer: 2808, noSuchState: Retry},
}

// Versions lists the versions, the default one first.
func Versions() []Version { return []Version{V0_10, V0_7} }

// ParseVersion reads a version as String writes it. The error for any other text is
// an *UnknownVersionError.
func ParseVersion(text string) (Version, error) {
	for v := range releases {
		if releases[v].name == text {
			return Version(v), nil
		}
	}
	return 0, &UnknownVersionError{text}
}

// String returns the two numbers of the version, such as "0.10".
func (v Version) String() string { return releases[v].name }

// Release returns the three numbers of the release, such as "0.10.0", which swtpm prints
// as its own version.
func (v Version) Release() string { return releases[v].full }

// UnknownVersionError says that no such version is imitated.
type UnknownVersionError struct{ Text string }

// Error lists the versions there are.
func (e *UnknownVersionError) Error() string {
	return fmt.Sprintf("swtpm %q is not imitated: choose %v or %v", e.Text, V0_7, V0_10)
}

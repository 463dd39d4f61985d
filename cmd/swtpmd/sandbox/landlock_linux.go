package sandbox

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	right "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// leastLandlock is the first version of Landlock that lets a file be renamed from
// one directory to another (Linux 5.19).
const leastLandlock = 2

// Landlock bounds the files that this process can open, make and remove to those
// in r, and has it run no program, bind no TCP port, connect to no other than r's and reach no
// abstract unix socket, as far as the kernel's version of Landlock, which it
// returns, can tell (kernel, Documentation/userspace-api/landlock.rst). It holds
// for all threads. Permissions and owners of files are not bounded.
func Landlock(r Reach) (version int, err error) {
	version, err = landlockVersion()
	if err != nil {
		return 0, err
	}
	all := landlock.V11
	bounds := landlock.Config{
		HandledAccessFS:  all.HandledAccessFS,
		HandledAccessNet: all.HandledAccessNet,
		// Signals are seccomp's: kernels exist in which this one would keep the
		// threads of one process from each other.
		Scoped: right.ScopeAbstractUnixSocket,
	}
	var rules []landlock.Rule
	for _, p := range r.Paths {
		rules = append(rules, landlock.PathAccess(p.May.landlock(), p.Name))
	}
	for _, port := range r.TCPPorts {
		rules = append(rules, landlock.ConnectTCP(port))
	}
	if err := bounds.BestEffort().Restrict(rules...); err != nil {
		return 0, fmt.Errorf("landlock: %w", err)
	}
	return version, nil
}

// landlockVersion asks the kernel (landlock_create_ruleset(2)).
func landlockVersion() (int, error) {
	const flagVersion = 1 // LANDLOCK_CREATE_RULESET_VERSION
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, flagVersion)
	switch {
	case errno == unix.ENOSYS, errno == unix.EOPNOTSUPP:
		return 0, fmt.Errorf("landlock: the kernel was built or started without it (lsm=): %w", ErrUnsupported)
	case errno != 0:
		return 0, fmt.Errorf("landlock: %w: %w", errno, ErrUnsupported)
	case version < leastLandlock:
		return 0, fmt.Errorf("landlock: the kernel has version %d, and it takes %d (Linux 5.19): %w", version, leastLandlock, ErrUnsupported)
	}
	return int(version), nil
}

// landlock returns the rights in the kernel's words.
func (r Right) landlock() landlock.AccessFSSet {
	var set landlock.AccessFSSet
	for _, x := range []struct {
		right Right
		words landlock.AccessFSSet
	}{
		{Read, right.AccessFSReadFile},
		{Write, right.AccessFSWriteFile | right.AccessFSTruncate},
		{List, right.AccessFSReadDir},
		{MakeFiles, right.AccessFSMakeReg},
		{MakeSockets, right.AccessFSMakeSock | right.AccessFSRefer},
		{MakeDirs, right.AccessFSMakeDir},
		{RemoveFiles, right.AccessFSRemoveFile},
		{RemoveDirs, right.AccessFSRemoveDir},
		{ConnectToUnix, right.AccessFSResolveUnix},
	} {
		if r&x.right != 0 {
			set |= x.words
		}
	}
	return set
}
